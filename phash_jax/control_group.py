"""What a container or a scheduler lets this process use: the limits of its Linux control groups."""

import math
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")


def num_cores() -> float:
    """Cores whose time this process may use; infinity if there is no limit or no control group."""
    limits = [math.inf]
    for folder in _folders("cpu"):
        # Version 2 has quota and period in one file, version 1 each in its own.
        two = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        match _words(folder / "cpu.max") or two:
            case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
                limits.append(int(quota) / int(period))
    return min(limits)


def num_bytes() -> float:
    """Memory this process may use, bytes; infinity if there is no limit or no control group."""
    limits = [math.inf]
    for folder in _folders("memory"):
        for file in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(word) for word in _words(folder / file) if word.isdigit()]
    return min(limits)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in; the limits of all of them apply.

    Within a container the path may be that of the host: then the mounted folder is the container's.
    """
    for line in _lines(_GROUPS):
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2, where one tree has all controllers
            root = _MOUNT
        elif controller in controllers.split(","):
            root = _MOUNT / controller
        else:
            continue
        inner = root / path.lstrip("/")
        yield from [inner, *(outer for outer in inner.parents if root in (outer, *outer.parents))]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]
