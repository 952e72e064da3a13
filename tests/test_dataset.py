"""Class subsets, repetition, the study's scrambling, and what makes a dataset valid."""

import dataclasses

import numpy as np
import pytest
from conftest import load_config, make_split

from phash_jax.data.dataset import (
    Dataset,
    Split,
    hold_out,
    repeat_train,
    scramble,
    scramble_train,
    select_classes,
    validate,
)
from phash_jax.data.load import load_dataset
from phash_jax.data.mapped import MappedRows
from phash_jax.study_arrays import run, study_arrays


@pytest.fixture
def three():
    rng = np.random.default_rng(0)

    def split(n):
        return Split(
            rng.integers(0, 256, (n, 8, 8, 3), np.uint8),
            (np.arange(n) % 3).astype(np.int32),
            np.array([f"id_{i}" for i in range(n)]),
        )

    return Dataset(split(9), split(6), ("ant", "bee", "cow"))


def test_classes_are_selected_in_the_order_named(three):
    two = select_classes(three, ("cow", "ant"))
    assert two.class_names == ("cow", "ant")
    assert two.train.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert two.train.ids.tolist() == ["id_0", "id_2", "id_3", "id_5", "id_6", "id_8"]
    np.testing.assert_array_equal(two.test.images, three.test.images[[0, 2, 3, 5]])


@pytest.mark.parametrize("names", [("ant", "dog"), ("ant", "ant")])
def test_unknown_and_repeated_classes_are_refused(three, names):
    with pytest.raises(
        ValueError, match=r"choose from ant, bee, cow, or all with --config.data.classes="
    ):
        select_classes(three, names)


def test_the_last_images_of_each_class_are_held_out_in_the_place_of_the_test_images(three):
    parts = hold_out(three, 0.34)
    assert parts.train.ids.tolist() == [f"id_{i}" for i in range(6)]
    assert parts.test.ids.tolist() == ["id_6", "id_7", "id_8"]
    assert parts.test.labels.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(parts.test.images, three.train.images[6:])
    np.testing.assert_array_equal(parts.train.images, three.train.images[:6])
    assert hold_out(three, 0.0) is three
    for share, message in (
        (1.0, "from 0 to below 1, got 1.0"),
        (-0.1, "from 0 to below 1, got -0.1"),
        (0.1, "0.1 of the 3 training images of ant is 0: both parts need at least one"),
        (0.9, "0.9 of the 3 training images of ant is 3"),
    ):
        with pytest.raises(ValueError, match=message):
            hold_out(three, share)


def test_repetition_repeats_the_training_split_only(three):
    twice = repeat_train(three, 2)
    assert twice.train.images.shape == (18, 8, 8, 3)
    np.testing.assert_array_equal(twice.train.images[9:], three.train.images)
    assert twice.train.labels[9:].tolist() == three.train.labels.tolist()
    assert len(twice.test) == 6
    with pytest.raises(ValueError, match=r"data.train_repeats must be 1 or more, got 0"):
        repeat_train(three, 0)


def test_parts_of_mapped_files_are_read_when_they_are_asked_for(three, tmp_path):
    splits = []
    for name in ("train", "test"):
        np.save(tmp_path / f"{name}.npy", getattr(three, name).images)
        images = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        splits.append(dataclasses.replace(getattr(three, name), images=images))
    mapped = Dataset(*splits, three.class_names)
    for change in (
        lambda dataset: select_classes(dataset, ("cow", "ant")),
        lambda dataset: hold_out(dataset, 0.34),
        lambda dataset: repeat_train(dataset, 2),
        lambda dataset: repeat_train(hold_out(select_classes(dataset, ("bee", "ant")), 0.34), 3),
    ):
        expected, changed = change(three).train, validate(change(mapped)).train
        np.testing.assert_array_equal(changed.labels, expected.labels)
        np.testing.assert_array_equal(changed.ids, expected.ids)
        ours, theirs = changed.images, expected.images
        assert isinstance(ours, MappedRows)
        for field in ("shape", "dtype", "ndim", "nbytes"):
            assert getattr(ours, field) == getattr(theirs, field)
        assert len(ours) == len(theirs)
        np.testing.assert_array_equal(ours, theirs)
        for index in (3, slice(1, 4), slice(None, None, 2), np.array([[2, 0], [1, 2]])):
            assert type(ours[index]) is np.ndarray
            np.testing.assert_array_equal(ours[index], theirs[index])
    scrambled = scramble_train(hold_out(mapped, 0.34)).train.images
    np.testing.assert_array_equal(scrambled, scramble(three.train.images[:6]))


def test_scrambling_reads_interleaved_bytes_as_planes(three):
    images = three.train.images
    scrambled = scramble(images)
    for i, (row, column, channel) in enumerate(np.ndindex(3, 8, 8)):
        # Plane ``row`` of a planar reader, at (column, channel), is the i-th byte in memory.
        assert scrambled[0, column, channel, row] == images[0].ravel()[i]
    both = scramble_train(three)
    np.testing.assert_array_equal(both.train.images, scrambled)
    np.testing.assert_array_equal(both.test.images, three.test.images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((9, 8, 8, 3), np.float32)}, r"uint8 \[N, H, W, 3\], got float32"),
        ({"images": np.zeros((9, 8, 8), np.uint8)}, r"got uint8 \[9, 8, 8\]"),
        ({"labels": np.zeros(8, np.int32)}, "has 9 images, but labels of shape"),
        ({"labels": np.full(9, 3, np.int32)}, r"train labels \[3\] lie outside the 3 classes"),
        ({"labels": np.zeros(9, np.int32)}, "train has no image of class bee, cow"),
        ({"images": np.zeros((9, 4, 4, 3), np.uint8)}, "they must have the same size"),
    ],
)
def test_invalid_datasets_are_refused(three, change, message):
    broken = dataclasses.replace(three, train=dataclasses.replace(three.train, **change))
    with pytest.raises(ValueError, match=message):
        validate(broken)


def test_a_dataset_from_a_config():
    data = load_config("default").data
    data.train_size, data.test_size, data.image_size, data.train_repeats = 30, 20, 16, 2
    data.classes = "dog,cat"
    dataset = load_dataset(data)
    assert dataset.class_names == ("dog", "cat")
    assert dataset.train.images.shape[1:] == (16, 16, 3)
    assert len(dataset.train) == 60
    assert len(dataset.test) == 20
    assert len(set(dataset.train.ids)) == 30
    data.validation_share = 0.2
    held_out = load_dataset(data)
    # Only the others are repeated.
    assert len(held_out.train) == 48
    assert set(held_out.train.ids) | set(held_out.test.ids) == set(dataset.train.ids)
    assert len(held_out.test) == 6
    data.scramble_train = True
    scrambled = load_dataset(data)
    np.testing.assert_array_equal(scrambled.train.images, scramble(held_out.train.images))
    np.testing.assert_array_equal(scrambled.test.images, held_out.test.images)
    data.name = "imagenet"
    with pytest.raises(ValueError, match=r"unknown data.name 'imagenet'; choose one of synthetic"):
        load_dataset(data)


def test_the_five_arrays_of_the_study(three):
    arrays = study_arrays(repeat_train(three, 2))
    assert {name: array.shape for name, array in arrays.items()} == {
        "img_test": (6, 8, 8, 3),
        "images_train": (18, 8, 8, 3),
        "images_train_h": (18, 8, 8, 3),
        "images_test_h": (6, 8, 8, 3),
        "images_test_distorted": (6, 8, 8, 3),
    }
    assert all(array.dtype == np.uint8 for array in arrays.values())
    means = three.test.images.mean((1, 2, 3), keepdims=True)
    np.testing.assert_array_equal(arrays["images_test_h"], three.test.images > means)
    # Level 200 sends everything 17 or more above 128 to 255, 17 or more below to 0.
    far = np.abs(three.test.images.astype(int) - 128) >= 17
    expected = np.where(three.test.images > 128, 255, 0)
    np.testing.assert_array_equal(arrays["images_test_distorted"][far], expected[far])


def test_fixture_is_valid():
    validate(Dataset(make_split(0, 8), make_split(1, 8), ("upper", "left")))


def test_fig_3_2_from_the_real_images(real_cifar10):
    arrays = study_arrays(repeat_train(select_classes(real_cifar10, ("cat", "dog")), 2))
    assert {name: array.shape for name, array in arrays.items()} == {
        "img_test": (2000, 32, 32, 3),
        "images_train": (20000, 32, 32, 3),
        "images_train_h": (20000, 32, 32, 3),
        "images_test_h": (2000, 32, 32, 3),
        "images_test_distorted": (2000, 32, 32, 3),
    }
    np.testing.assert_array_equal(arrays["images_train"][:10_000], arrays["images_train"][10_000:])


def test_the_arrays_become_one_file(tmp_path):
    config = load_config("arrays")
    config.data.image_size, config.data.train_size, config.data.test_size = 16, 6, 4
    printed = run(config, tmp_path)
    with np.load(tmp_path / "arrays.npz") as arrays:
        shapes = {name: str(array.shape) for name, array in arrays.items()}
    assert shapes["images_train_h"] == "(12, 16, 16, 3)"
    assert dict(line.split(maxsplit=1) for line in printed.splitlines()) == shapes
