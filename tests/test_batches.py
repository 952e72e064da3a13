"""Batches read ahead are those drawn on the device."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_train import bytes_of, run, without_time

from phash_jax import batches, keys
from phash_jax.batches import draw_indices, is_streamed, make_next_batch, stream_batches
from phash_jax.data import files
from phash_jax.data.dataset import hold_out
from phash_jax.placement import BATCH, SEED, place


def test_streamed_training_is_bit_for_bit_the_resident(config, dataset, tmp_path):
    # Three groups of one seed.
    num_devices, config.train.num_seeds = 4, 3
    config.train.batch_size = 64
    # Each share of a batch has images of either kind, which depends on the order within it.
    config.train.augment = "clean,brightness"
    # The last interval is shorter, and the run goes on from a checkpoint within.
    config.train.num_steps = 12
    resident = run(config, dataset, tmp_path / "resident", num_devices)
    config.train.stream = "always"
    config.train.num_steps = 10
    run(config, dataset, tmp_path / "streamed", num_devices)
    config.train.num_steps = 12
    streamed = run(config, dataset, tmp_path / "streamed", num_devices)
    assert bytes_of(streamed[0]) == bytes_of(resident[0])
    assert without_time(streamed[2]) == without_time(resident[2])
    assert [record["step"] for record in resident[2]] == [5, 10, 12]
    assert (np.asarray(resident[0].step) == 12).all()


def test_batches_do_not_depend_on_the_default_generator():
    def drawn():
        return draw_indices(jnp.int32(3), jnp.int32(5), num_images=900, batch_size=64)

    usual = drawn()
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(drawn(), usual)


def test_every_seed_and_step_has_a_batch_of_its_own_of_all_images():
    drawn = [
        draw_indices(jnp.int32(seed), jnp.int32(step), num_images=10, batch_size=64).tolist()
        for seed in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(map(tuple, drawn))) == 4
    assert {index for batch in drawn for index in batch} == set(range(10))


def test_random_numbers_are_those_of_runs_begun_before():
    """Else a run that goes on is another one, without a word."""
    seed, step = jnp.int32(3), jnp.int32(5)
    drawn = draw_indices(seed, step, num_images=10_000, batch_size=4)
    assert drawn.tolist() == [7365, 4257, 4923, 970]
    uses = (keys.INIT, keys.BATCH_INDICES, keys.AUGMENT, keys.DROPOUT)
    bits = [jax.random.key_data(keys.step_key(seed, use, step)).tolist() for use in uses]
    assert bits == [
        [786427058, 4040564219],
        [625863501, 109320485],
        [1829702645, 1275232839],
        [2463012157, 2389721536],
    ]


def test_batches_come_in_the_order_of_the_steps_from_files_larger_than_memory(
    dataset, tmp_path, monkeypatch
):
    # As after many more steps.
    monkeypatch.setattr(batches, "_STEPS_DRAWN_AT_ONCE", 2)
    for name in ("train", "test"):
        split = getattr(dataset, name)
        np.save(tmp_path / f"{name}_images.npy", split.images)
        np.save(tmp_path / f"{name}_labels.npy", split.labels)
    mapped = files.load(path=str(tmp_path), image_size=32)
    assert isinstance(mapped.train.images, np.memmap)
    np.testing.assert_array_equal(mapped.test.images, dataset.test.images)
    np.testing.assert_array_equal(mapped.train.labels, dataset.train.labels)
    mapped, dataset = hold_out(mapped, 0.25), hold_out(dataset, 0.25)

    seeds = [5, 6, 7, 8]
    placement = place(num_seeds=4, batch_size=32, loop="dispatch", devices=jax.devices()[:2])
    assert (placement.seeds_at_once, placement.mesh.shape[BATCH]) == (2, 1)
    on_device, _ = make_next_batch(mapped.train, placement, streamed=False)()
    np.testing.assert_array_equal(on_device, dataset.train.images)
    options = {"batch_size": 32, "num_steps": 7, "interval": 3, "prefetch": 4}
    got = list(stream_batches(mapped.train, placement, seeds=seeds, start=2, **options))
    # Three steps of one group, three of the other, and what is left.
    expected = [
        (group, step) for steps in ((2, 3, 4), (5, 6)) for group in (0, 1) for step in steps
    ]
    assert len(got) == len(expected)
    for (group, step), (images, labels) in zip(expected, got, strict=True):
        assert images.sharding.spec == jax.sharding.PartitionSpec(SEED, BATCH)
        for place_in_group, seed in enumerate(seeds[2 * group : 2 * group + 2]):
            indices = draw_indices(
                jnp.int32(seed), jnp.int32(step), num_images=len(mapped.train), batch_size=32
            )
            np.testing.assert_array_equal(images[place_in_group], dataset.train.images[indices])
            np.testing.assert_array_equal(labels[place_in_group], dataset.train.labels[indices])


def test_what_does_not_fit_is_streamed(dataset, monkeypatch):
    placement = place(num_seeds=1, batch_size=32, devices=jax.devices()[:2])
    small = dataset.train
    # As large as no machine, without taking the room.
    zeros = np.broadcast_to(np.zeros((), np.uint8), (2**34, 256, 256, 3))
    large = dataclasses.replace(small, images=zeros)
    assert not is_streamed("auto", small, placement)
    assert is_streamed("auto", large, placement)
    assert is_streamed("always", small, placement)
    assert not is_streamed("never", large, placement)
    monkeypatch.setattr(batches, "_LARGEST_SHARE", 1e-9)
    assert is_streamed("auto", small, placement)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train_labels", None, "train_labels.npy is missing or damaged"),
        ("test_images", b"\x93NUMPY\x01\x00", "test_images.npy is missing or damaged"),
        ("test_images", b"", "test_images.npy is missing or damaged"),
    ],
)
def test_arrays_that_cannot_be_mapped_are_named(dataset, tmp_path, name, content, message):
    for split in ("train", "test"):
        np.save(tmp_path / f"{split}_images.npy", getattr(dataset, split).images)
        np.save(tmp_path / f"{split}_labels.npy", getattr(dataset, split).labels)
    path = tmp_path / f"{name}.npy"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        files.load(path=str(tmp_path), image_size=32)


def test_devices_of_a_cpu_share_its_memory(dataset, monkeypatch):
    memory = SimpleNamespace(total=3 * dataset.train.images.nbytes)
    monkeypatch.setattr(batches.psutil, "virtual_memory", lambda: memory)
    for num_devices, streamed in ((1, False), (2, True)):
        placed = place(num_seeds=1, batch_size=32, devices=jax.devices()[:num_devices])
        assert is_streamed("auto", dataset.train, placed) == streamed
    # A container's share of it may be smaller.
    monkeypatch.setattr(batches.control_group, "num_bytes", lambda: memory.total // 2)
    placed = place(num_seeds=1, batch_size=32, devices=jax.devices()[:1])
    assert is_streamed("auto", dataset.train, placed)
