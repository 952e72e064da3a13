"""What a folder keeps of the run it was begun for."""

import dataclasses

import pytest
from conftest import load_config

from phash_jax.data.dataset import Dataset
from phash_jax.workdir import claim, keep_images


@pytest.fixture
def other(dataset) -> Dataset:
    """Of the same shapes, labels and names."""
    train = dataclasses.replace(dataset.train, images=255 - dataset.train.images)
    return dataclasses.replace(dataset, train=train)


def test_a_run_goes_on_with_the_images_it_was_begun_with(dataset, other, tmp_path):
    claim(tmp_path, load_config("original"))
    keep_images(tmp_path, dataset)
    kept = (tmp_path / "images.json").read_bytes()
    (tmp_path / "metrics.jsonl").touch()
    keep_images(tmp_path, dataset)
    for images in (other, dataclasses.replace(dataset, class_names=("a", "b"))):
        with pytest.raises(ValueError, match=r"images of config.data .* begun with .*restore them"):
            keep_images(tmp_path, images)
    assert (tmp_path / "images.json").read_bytes() == kept
    (tmp_path / "images.json").write_text("{")
    with pytest.raises(ValueError, match=r"images.json is damaged .*choose another --workdir"):
        keep_images(tmp_path, dataset)


def test_a_folder_in_which_nothing_was_made_takes_other_images(dataset, other, tmp_path):
    claim(tmp_path, load_config("original"))
    keep_images(tmp_path, dataset)
    (tmp_path / "examples.png").touch()
    kept = (tmp_path / "images.json").read_bytes()
    keep_images(tmp_path, other)
    assert (tmp_path / "images.json").read_bytes() != kept
    # They were those of the first.
    assert not (tmp_path / "examples.png").exists()
