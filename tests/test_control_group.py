"""What a container may use, whatever its host has."""

import math

import pytest

from phash_jax import control_group, placement


def make_groups(folder, groups, files):
    """A tree of control groups as Linux shows it, and the groups that this process is in."""
    for name, content in files.items():
        path = folder / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    (folder / "groups").write_text(groups + "\n")


@pytest.mark.parametrize(
    ("groups", "files", "cores", "memory"),
    [
        # Version 2: a container that sees its own group as the root, and one without limits.
        ("0::/", {"cpu.max": "250000 100000", "memory.max": "1000"}, 2.5, 1000),
        ("0::/", {"cpu.max": "max 100000", "memory.max": "max"}, math.inf, math.inf),
        # The tightest of all groups around it counts.
        (
            "0::/slurm/job/step",
            {
                "slurm/job/cpu.max": "400000 100000",
                "slurm/job/step/cpu.max": "max 100000",
                "slurm/memory.max": "3000",
                "slurm/job/step/memory.max": "5000",
            },
            4,
            3000,
        ),
        # A path of the host, which is not there in the container.
        ("0::/docker/0123", {"cpu.max": "50000 100000", "memory.max": "7"}, 0.5, 7),
        # Version 1: a tree for each controller, -1 and a huge number for no limit.
        (
            "4:cpu,cpuacct:/docker/0123\n3:memory:/docker/0123\n1:name=systemd:/x",
            {
                "cpu/cpu.cfs_quota_us": "300000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "2000",
            },
            3,
            2000,
        ),
        (
            "4:cpu,cpuacct:/\n3:memory:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            math.inf,
            math.inf,
        ),
        # What no kernel writes.
        ("0::/", {"cpu.max": "", "memory.max": "a lot"}, math.inf, math.inf),
    ],
)
def test_limits_are_those_of_the_control_groups(
    tmp_path, monkeypatch, groups, files, cores, memory
):
    make_groups(tmp_path, groups, files)
    monkeypatch.setattr(control_group, "_MOUNT", tmp_path / "mount")
    monkeypatch.setattr(control_group, "_GROUPS", tmp_path / "groups")
    assert control_group.num_cores() == cores
    assert control_group.num_bytes() == memory


def test_without_control_groups_there_is_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(control_group, "_GROUPS", tmp_path / "none")
    assert control_group.num_cores() == control_group.num_bytes() == math.inf


@pytest.mark.parametrize(("limit", "cores"), [(math.inf, 3), (8.0, 3), (2.5, 2), (0.5, 1)])
def test_the_cores_of_a_container_are_those_it_may_use(monkeypatch, limit, cores):
    monkeypatch.setattr(placement.os, "sched_getaffinity", lambda pid: {0, 1, 5}, raising=False)
    monkeypatch.setattr(control_group, "num_cores", lambda: limit)
    assert placement.num_cpu_cores() == cores
