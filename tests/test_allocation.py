"""Memory that is freed is kept."""

import platform

import pytest
from forked import start_code

# What a step does: a buffer larger than glibc keeps, written and freed.
STEPS = """
import resource, sys
import numpy as np
from phash_jax.allocation import keep_freed_memory
told = sys.argv[1] == "kept" and keep_freed_memory()
faults = []
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.full(10_000_000, 1.0)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(told, sum(faults[2:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_what_a_step_frees_is_kept_for_the_next(tmp_path):
    said = {}
    for how in ("kept", "given_back"):
        process = start_code(STEPS, [how], tmp_path / how)
        process.join(60)
        told, faults = (tmp_path / how).read_text().split()
        assert told == str(how == "kept")
        said[how] = int(faults)
    # 80 MB are 19,500 pages, or 39 of the large ones.
    assert said["kept"] < 100
    assert said["given_back"] > 2 * said["kept"] + 100
