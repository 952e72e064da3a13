"""Memory that is freed is kept, in large pages."""

import platform
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from forked import start_code

from phash_jax import allocation

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


def test_a_glibc_that_refuses_so_high_a_threshold_is_left_as_it_is(monkeypatch):
    asked = []

    def mallopt(option, value):
        asked.append(option)
        return 0

    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert not allocation.keep_freed_memory()
    assert asked == [allocation._MMAP_THRESHOLD]


# Prints how the kernel describes the heap; "hg" among its flags: large pages are asked for.
HEAP = """
from pathlib import Path
from phash_jax.allocation import keep_freed_memory
keep_freed_memory()
print(Path("/proc/self/smaps").read_text())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="this kernel has no large pages",
)
def test_the_heap_asks_for_large_pages_and_takes_no_memory_for_it(tmp_path):
    process = start_code(HEAP, [], tmp_path / "smaps")
    process.join(60)
    regions = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", (tmp_path / "smaps").read_text())
    # Libraries may have heaps of their own besides.
    heap = [text for text in regions if "[heap]" in text]
    asked = [text for text in heap if re.search(r"^VmFlags:.* hg\b", text, re.MULTILINE)]

    def mib(field):
        sizes = (re.search(rf"^{field}: +(\d+) kB", text, re.MULTILINE)[1] for text in asked)
        return sum(map(int, sizes)) / 1024

    assert 1000 < mib("Size") < 1100
    assert mib("Rss") < 100
