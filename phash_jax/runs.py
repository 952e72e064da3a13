"""From one config to the named runs it describes."""

from pathlib import Path

import ml_collections

from phash_jax.choices import names


def named_runs(
    config: ml_collections.ConfigDict, workdir: Path
) -> list[tuple[ml_collections.ConfigDict, Path]]:
    """The runs of a config, each with its own locked config and folder.

    Without named runs it is the config itself, in ``workdir``; with them, each is the config with
    its overrides, in ``workdir/<name>``.

    Raises:
        ValueError: a run overrides a field that does not exist or gives it a value of another
            type, or ``only`` names no run.
    """
    unknown = [name for name in names(config.only) if name not in config.runs]
    if unknown:
        raise ValueError(
            f"only names unknown runs {', '.join(unknown)}; "
            f"{config.name} has {', '.join(config.runs) or 'none'}"
        )
    if not config.runs:
        return [(config, workdir)]
    runs = []
    for name, overrides in config.runs.items():
        run = config.copy_and_resolve_references()
        run.unlock()
        run.runs = ml_collections.ConfigDict()
        run.only = ""
        run.name = name
        run.lock()
        try:
            run.update(overrides)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"run {name} of {config.name}: {error}") from error
        runs.append((run, workdir / name))
    return runs
