"""The study's tables of hashes and distances."""

import json

import numpy as np
import pytest
from conftest import load_config
from PIL import Image

from phash_jax import hash_study, published


def make_config(**fields):
    config = load_config("hash_study")
    config.data.train_size, config.data.test_size = 60, 6
    config.hash_study.images_per_class = 8
    config.update_from_flattened_dict(fields)
    return config


def test_the_published_hashes_have_the_published_distances():
    study = hash_study.published_distances()
    assert study["original"] == (0, 0)
    digits = {title: number for title, (number, _) in study.items() if title != "original"}
    assert digits == published.FIG_4_2_TO_4_5
    assert [digits[title] for title in list(published.FIG_4_1)[1:]] == [4, 1, 0, 14]
    bits = {
        title: (int(text, 16) ^ int(published.FIG_4_1["original"], 16)).bit_count()
        for title, text in published.FIG_4_1.items()
    }
    assert {title: number for title, (_, number) in study.items()} == bits


def test_pairs_are_counted_as_the_study_did_and_once_each():
    matrix = np.array([[0, 3, 12], [3, 0, 9], [12, 9, 0]], np.int32)
    assert hash_study.count_near(matrix, near=10, same_class=True) == {"as_counted": 7, "pairs": 2}
    assert hash_study.count_near(matrix, near=10, same_class=False) == {"as_counted": 7, "pairs": 7}
    assert hash_study.count_near(matrix, near=9, same_class=True) == {"as_counted": 5, "pairs": 1}


def test_the_published_counts_are_those_of_the_average_hash_of_2017(real_cifar10):
    def counts(name, pillow):
        matrices = hash_study.pair_distances(
            real_cifar10.train, real_cifar10.class_names, per_class=100, name=name, pillow=pillow
        )
        return {p: int((matrix < 10).sum()) for p, matrix in matrices["hex digits"].items()}

    study = {"cat-cat": 270, "dog-dog": 346, "truck-dog": 139}
    assert study == published.FIG_4_9 == counts("average_hash", "6.0")
    today = {"cat-cat": 272, "dog-dog": 354, "truck-dog": 142}
    assert counts("average_hash", "13.0") == today
    # So near are only the images to themselves, and two dogs.
    assert list(counts("phash", "13.0").values()) == [100, 100, 0]
    assert list(counts("dhash", "13.0").values()) == [100, 104, 4]
    assert counts("phash", "6.0") != study != counts("dhash", "6.0")


def test_the_job_leaves_tables_and_pictures(tmp_path):
    text = hash_study.run(make_config(), tmp_path)
    assert (tmp_path / "hash_study.md").read_text() == text
    # The published counts are of other images.
    assert "| published, all" not in text
    assert "fefc1880c05e077f" in text
    results = json.loads((tmp_path / "hash_study.json").read_text())
    own = results["hashes"]["average_hash"]
    assert results["hashes"]["phash"]["original"]["hash"] in text
    assert own["original"]["bits"] == 0
    assert 0 < own["swirl"]["hex_digits"] < own["another picture"]["hex_digits"]
    counted = results["counts"]["13.0"]["dhash"]["bits"]["cat-cat"]
    assert counted["as_counted"] == 8 + 2 * counted["pairs"]
    for figure in ("4_1", "4_6", "4_7", "4_8"):
        with Image.open(tmp_path / f"fig_{figure}.png") as picture:
            assert picture.width > 400


def test_a_picture_of_ones_own(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "own.png")
    original, drawn = hash_study._originals(str(tmp_path / "own.png"), "")
    np.testing.assert_array_equal(original, values)
    assert drawn.shape == (256, 256, 3)
    pictures = hash_study.distorted(original)
    assert list(pictures) == ["original", "crystallize", "swirl", "contrast and noise"]
    np.testing.assert_array_equal(pictures.pop("original"), values)
    assert all((picture != values).mean() > 0.3 for picture in pictures.values())


def test_a_picture_that_breaks_off_in_the_middle_is_refused(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    path = tmp_path / "own.png"
    Image.fromarray(values).save(path)
    content = bytearray(path.read_bytes())
    second = content.find(b"IDAT", content.find(b"IDAT") + 4)
    # For this Pillow raises a SyntaxError.
    content[second : second + 4] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"own\.png cannot be read as a picture: broken PNG"):
        hash_study._read(str(path))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"data.classes": "cat,dog"}, ValueError, "no class truck: see data.classes"),
        ({"hash_study.images_per_class": 50}, ValueError, "only 20 training images: lower it"),
        ({"hash_study.near": 0}, ValueError, "hash_study.near must be 1 or more, got 0"),
        ({"hash_study.picture": "none.png"}, FileNotFoundError, "there is no picture none.png"),
        ({"hash_study.picture": __file__}, ValueError, "cannot be read as a picture"),
    ],
)
def test_what_cannot_be_studied_is_refused(tmp_path, fields, error, message):
    with pytest.raises(error, match=message):
        hash_study.run(make_config(**fields), tmp_path)
