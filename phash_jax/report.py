"""Tables and curves from the results of any workdirs."""

from pathlib import Path


def collect(workdirs):
    from phash_jax import results
    runs = {}
    for w in workdirs:
        runs |= results.read(Path(w))
    return runs


def write(workdir, workdirs):
    from phash_jax import results
    results.write(Path(workdir), collect(workdirs))


def table(runs):
    return "\n".join(f"{n}: {r['statistics']}" for n, r in runs.items())
