"""How many devices and threads a CPU is split into."""

import os

import jax
import pytest
from conftest import load_config

from phash_jax import experiment, placement


@pytest.mark.parametrize(
    ("num_seeds", "batch_size", "cores", "devices"),
    [
        (1, 64, 1, 1),
        (3, 1000, 1, 1),
        # Both cores for one network after another, or a core for each of two.
        (1, 64, 2, 1),
        (3, 64, 2, 1),
        (2, 8, 2, 2),
        (6, 64, 2, 2),
        # Or for half of a large batch.
        (1, 127, 2, 1),
        (1, 128, 2, 2),
        (3, 500, 2, 2),
        (1, 64, 8, 4),
        (2, 64, 8, 4),
        (6, 64, 8, 4),
        (4, 64, 8, 4),
        (4, 128, 8, 8),
        (1, 320, 8, 5),
        (8, 64, 8, 8),
        (5, 64, 7, 3),
    ],
)
def test_a_device_has_networks_of_its_own_or_many_images_or_two_cores(
    num_seeds, batch_size, cores, devices
):
    chosen = placement.cpu_devices_for(num_seeds=num_seeds, batch_size=batch_size, cores=cores)
    assert chosen == devices


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


@pytest.mark.parametrize(
    ("cpu_devices", "batch_size", "expected"), [(0, 64, 3), (0, 128, 6), (5, 128, 5)]
)
def test_a_training_splits_the_cpu_by_its_seeds_and_batch(
    monkeypatch, tmp_path, cpu_devices, batch_size, expected
):
    class ReachedError(Exception):
        pass

    def use(num_devices):
        raise ReachedError(num_devices)

    monkeypatch.setattr(experiment, "num_cpu_cores", lambda: 6)
    monkeypatch.setattr(experiment, "use_cpu_cores", use)
    config = load_config("original")
    config.train.update(num_seeds=3, batch_size=batch_size, cpu_devices=cpu_devices)
    with pytest.raises(ReachedError, match=f"^{expected}$"):
        experiment.run(config, tmp_path)
