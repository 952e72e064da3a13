"""How many devices and threads a CPU is split into."""

import os

import jax
import pytest
from conftest import load_config

from phash_jax import experiment, placement


@pytest.mark.parametrize(
    ("num_seeds", "cores", "devices"),
    [
        (1, 1, 1),
        (3, 1, 1),
        # Both cores for one network after another, or a core for each of two.
        (1, 2, 1),
        (3, 2, 1),
        (2, 2, 2),
        (6, 2, 2),
        (1, 8, 4),
        (2, 8, 4),
        (6, 8, 4),
        (4, 8, 4),
        (8, 8, 8),
        (5, 7, 3),
    ],
)
def test_a_device_has_networks_of_its_own_or_two_cores(num_seeds, cores, devices):
    assert placement.cpu_devices_for(num_seeds, cores=cores) == devices


@pytest.mark.parametrize(
    ("num_devices", "cores", "given", "threads"),
    [
        (8, 2, "", 16),
        (8, 2, "3", 16),
        (8, 40, "", 40),
        (8, 2, "50", 50),
        (1, 1, "", 1),
        (1, 2, "", 2),
        (0, 1, "", 1),
        (0, 2, "", 4),
    ],
)
def test_a_thread_per_core_and_two_for_each_of_several_devices(
    monkeypatch, num_devices, cores, given, threads
):
    monkeypatch.setenv("NPROC", given)
    monkeypatch.setattr(placement, "num_cpu_cores", lambda: cores)
    # The devices of the tests are there already.
    asked = {}
    monkeypatch.setattr(jax.config, "update", asked.__setitem__)
    placement.use_cpu_cores(num_devices)
    assert os.environ["NPROC"] == str(threads)
    assert asked["jax_num_cpu_devices"] == (num_devices or cores)


@pytest.mark.parametrize(("cpu_devices", "expected"), [(0, 3), (5, 5)])
def test_a_training_splits_the_cpu_by_its_seeds(monkeypatch, tmp_path, cpu_devices, expected):
    class ReachedError(Exception):
        pass

    def use(num_devices):
        raise ReachedError(num_devices)

    monkeypatch.setattr(experiment, "num_cpu_cores", lambda: 6)
    monkeypatch.setattr(experiment, "use_cpu_cores", use)
    config = load_config("original")
    config.train.update(num_seeds=3, cpu_devices=cpu_devices)
    with pytest.raises(ReachedError, match=f"^{expected}$"):
        experiment.run(config, tmp_path)
