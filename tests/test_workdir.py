"""What a folder keeps of the run it was begun for."""

import dataclasses

import numpy as np
import pytest
from conftest import load_config

from phash_jax.data.dataset import Dataset, fingerprint
from phash_jax.data.mapped import take_rows
from phash_jax.fields import LATER_FIELDS
from phash_jax.workdir import WorkdirError, claim, flatten, keep, keep_images


@pytest.fixture
def other(dataset) -> Dataset:
    """Of the same shapes, labels and names."""
    train = dataclasses.replace(dataset.train, images=255 - dataset.train.images)
    return dataclasses.replace(dataset, train=train)


def test_a_run_goes_on_with_the_images_it_was_begun_with(dataset, other, tmp_path):
    claim(tmp_path, load_config("original"))
    keep_images(tmp_path, dataset, source="file")
    kept = (tmp_path / "images.json").read_bytes()
    (tmp_path / "metrics.jsonl").touch()
    keep_images(tmp_path, dataset, source="file")
    # What is drawn depends on its fields, and in the last bit on the machine.
    keep_images(tmp_path, other, source="synthetic")
    for images in (other, dataclasses.replace(dataset, class_names=("a", "b"))):
        with pytest.raises(ValueError, match=r"images of config.data, .* begun with .*restore"):
            keep_images(tmp_path, images, source="file")
    assert (tmp_path / "images.json").read_bytes() == kept
    (tmp_path / "images.json").write_text("{")
    with pytest.raises(ValueError, match=r"images.json is damaged .*choose another --workdir"):
        keep_images(tmp_path, dataset, source="file")


def test_a_folder_in_which_nothing_was_made_takes_other_images(dataset, other, tmp_path):
    claim(tmp_path, load_config("original"))
    keep_images(tmp_path, dataset, source="file")
    (tmp_path / "examples.png").touch()
    (tmp_path / "provenance.json.partial").touch()
    kept = (tmp_path / "images.json").read_bytes()
    keep_images(tmp_path, other, source="file")
    assert (tmp_path / "images.json").read_bytes() != kept
    # They were those of the first.
    assert not (tmp_path / "examples.png").exists()
    # Another teacher takes nothing of them away.
    (tmp_path / "examples.png").touch()
    for sha256 in ("a", "b"):
        keep(tmp_path, "teacher.json", {"sha256": sha256}, what="teachers")
    assert '"b"' in (tmp_path / "teacher.json").read_text()
    assert {"images.json", "examples.png"} <= {path.name for path in tmp_path.iterdir()}


def test_one_pixel_is_enough_but_in_mapped_files(dataset, tmp_path):
    changed = dataset.train.images.copy()
    changed[77, 3, 3, 0] ^= 1
    np.save(tmp_path / "images.npy", dataset.train.images)

    def of(images):
        labels = np.resize(dataset.train.labels, len(images))
        train = dataclasses.replace(dataset.train, images=images, labels=labels)
        return fingerprint(dataclasses.replace(dataset, train=train))

    assert of(changed) != of(dataset.train.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert of(mapped) == of(dataset.train.images)
    # Of many, some are read.
    many = np.tile(np.arange(256), 2)
    assert of(take_rows(mapped, many)) != of(dataset.train.images[many])
    assert of(take_rows(mapped, many[::2])) == of(dataset.train.images[many[::2]])


def test_how_often_and_with_how_much_memory_a_begun_run_is_tested_may_change(tmp_path):
    config = load_config("original")
    claim(tmp_path, config)
    (tmp_path / "metrics.jsonl").touch()
    config.train.test_every = 100
    config.test_batch_size = 50
    config.train.checkpoint_every = 200
    config.train.keep_checkpoints = 5
    claim(tmp_path, config)
    config.train.batch_size += 1
    with pytest.raises(WorkdirError, match=r"train\.batch_size"):
        claim(tmp_path, config)


def test_the_config_of_something_else_is_left_alone(tmp_path):
    theirs = tmp_path / "config.json"
    theirs.write_text('{"precious": 1}')
    with pytest.raises(WorkdirError, match=f"{theirs} is not the config of a run: choose another"):
        claim(tmp_path, load_config("original"))
    assert theirs.read_text() == '{"precious": 1}'


def test_files_that_no_run_left_there_are_left_alone(tmp_path):
    (tmp_path / "report.md").write_text("precious")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(WorkdirError, match=r"holds checkpoints, report.md, but no config.json of"):
        claim(tmp_path, load_config("original"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "report.md"]


def test_fields_added_later_have_the_values_of_the_default():
    now = flatten(load_config("default").to_dict())
    assert {name: now[name] for name in LATER_FIELDS} == LATER_FIELDS
