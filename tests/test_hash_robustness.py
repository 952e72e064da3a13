"""Hashes of distorted images."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config, make_split
from PIL import Image

from phash_jax import codes, hash_robustness, picture_hashes
from phash_jax.data.load import load_dataset
from phash_jax.distortions import DISTORTIONS
from phash_jax.distortions.draws import distort_batch, distortion_key
from phash_jax.hash_robustness import distance_counts, separation
from phash_jax.hashing import average_hash, make_hash_all
from phash_jax.report import report


def test_counts_of_distances_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 2, (30, 3, 5)).astype(bool)
    distorted = clean ^ (rng.random(clean.shape) < 0.1)
    same, different = distance_counts(
        *(np.asarray(codes.pack(jnp.asarray(bits))) for bits in (clean, distorted)), bits=15
    )
    pairs = (clean[None] != distorted[:, None]).sum((2, 3))
    np.testing.assert_array_equal(same, np.bincount(np.diagonal(pairs), minlength=16))
    others = pairs[~np.eye(30, dtype=bool)]
    np.testing.assert_array_equal(different, np.bincount(others, minlength=16))


def test_separation_by_hand():
    # Same: 0, 0, 1, 3. Different: 2, 3, 3, 4.
    found = separation(np.array([2, 1, 0, 1, 0]), np.array([0, 0, 1, 2, 1]))
    assert found["flipped"] == pytest.approx((0 + 0 + 1 + 3) / 4 / 4)
    # Of 16 comparisons 12 by the first three; 3 is below 4, equal to two, above 2.
    assert found["roc_area"] == pytest.approx((12 + 1 + 2 * 0.5) / 16)
    assert found["threshold"] == 1
    assert found["true_positive_rate"] == pytest.approx(3 / 4)
    # One in ten thousand at distance 0 is within the rate of 1e-3, eleven are not.
    few = separation(np.array([1, 1]), np.array([1, 9_999]))
    assert (few["threshold"], few["true_positive_rate"]) == (0, 0.5)
    many = separation(np.array([1, 1]), np.array([11, 9_989]))
    assert (many["threshold"], many["true_positive_rate"]) == (None, 0.0)
    perfect = separation(np.array([5, 0, 0]), np.array([0, 0, 7]))
    assert (perfect["roc_area"], perfect["threshold"]) == (1.0, 1)


@pytest.fixture
def config():
    config = load_config("hash_robustness")
    config.data.train_size, config.data.test_size = 4, 30
    config.test_batch_size = 20
    config.hash.names = "average_hash,dhash,colorhash"
    config.distortions.names = "brightness,pixelate"
    config.distortions.severities = "1,5"
    return config


def test_grid_equals_imagehash_on_the_exported_images(config, tmp_path):
    imagehash = pytest.importorskip("imagehash")
    from phash_jax import export_distorted

    hash_robustness.evaluate_hashes(config, tmp_path / "hashes")
    result = json.loads((tmp_path / "hashes" / "results.json").read_text())
    assert result["num_images"] == 30
    config.job = config.name = "export_distorted"
    export_distorted.run(config, tmp_path / "images")
    distorted = np.load(tmp_path / "images" / "pixelate.npy").reshape(2, 30, 32, 32, 3)
    clean = load_dataset(config.data).test.images

    def hashed(images):
        return [imagehash.dhash(Image.fromarray(image)) for image in images]

    for place in range(2):
        distances = [a - b for a, b in zip(hashed(clean), hashed(distorted[place]), strict=True)]
        flipped = result["hashes"]["dhash"]["pixelate"][place]["flipped"]
        assert flipped == pytest.approx(np.mean(distances) / 64)


def test_images_are_numbered_over_all_batches():
    """Their numbers decide what is drawn for each."""
    numbered, _ = hash_robustness._in_batches(
        lambda key, images, numbers, severity: ({"numbers": numbers}, {}),
        make_split(0, 7),
        4,
        jax.random.key(0),
        1,
    )
    assert numbered["numbers"].tolist() == list(range(7))


def test_hashes_follow_the_pillow_that_is_asked_for():
    # Dark ones, in which a level more or less of gray counts.
    images = jnp.asarray(make_split(0, 40).images // 32)
    wanted, todays = (np.asarray(average_hash(images, pillow=pillow)) for pillow in ("6.0", "13.0"))
    assert (wanted != todays).any()
    hashed = hash_robustness.make_hash_distorted(
        lambda key, image, severity: image, ["average_hash"], [], hash_size=8, pillow="6.0"
    )
    words, _ = hashed(jax.random.key(0), images, jnp.arange(40), jnp.int32(0))
    np.testing.assert_array_equal(words["average_hash"], codes.pack(jnp.asarray(wanted)))
    of_catalog = make_hash_all(("average_hash",), hash_size=8, pillow="6.0")
    np.testing.assert_array_equal(of_catalog(images)["average_hash"].bits, wanted)
    of_pictures = picture_hashes.PictureBatches(hash_size=8, pillow="6.0")
    for row, image in enumerate(np.asarray(images)):
        of_pictures.add(row, ("average_hash",), image)
    [(rows, bits, _)] = of_pictures.finish()["average_hash"]
    np.testing.assert_array_equal(bits[np.argsort(rows)], wanted)


def test_stopped_grid_goes_on_and_is_reported(config, tmp_path):
    hash_robustness.evaluate_hashes(config, tmp_path)
    whole = (tmp_path / "results.json").read_text()
    lines = (tmp_path / "grid.jsonl").read_text().splitlines(keepends=True)
    other = {**json.loads(lines[1]), "inputs_flipped": {}}
    (tmp_path / "grid.jsonl").write_text(lines[0] + json.dumps(other) + "\n")
    with pytest.raises(ValueError, match=r"grid.jsonl is damaged \(record 2 is not one of this r"):
        hash_robustness.evaluate_hashes(config, tmp_path)
    (tmp_path / "grid.jsonl").write_text(lines[0] + lines[1][:30])
    hash_robustness.evaluate_hashes(config, tmp_path)
    assert (tmp_path / "results.json").read_text() == whole
    text = report.write(tmp_path, [tmp_path])
    assert "# Bits flipped" in text
    markdown = (tmp_path / "report.md").read_text()
    assert "## Hashes under distortions" in markdown
    assert markdown.count("\n| brightness ") == 4
    assert "_distances.png)" in markdown
    result = json.loads(whole)
    for name, of_severity in result["distances"].items():
        assert np.array(of_severity["same"]).sum(1).tolist() == [2 * 30] * 2
        assert np.array(of_severity["different"]).sum(1).tolist() == [2 * 30 * 29] * 2
        # All distortions have as many pairs.
        flipped = np.mean([[s["flipped"] for s in of] for of in result["hashes"][name].values()], 0)
        bits = np.arange(len(of_severity["same"][0]))
        shares = np.array(of_severity["same"]) @ bits / bits[-1] / 60
        np.testing.assert_allclose(shares, flipped)


def test_bits_flipped_of_what_a_network_is_fed(config, tmp_path):
    config.hash.inputs = "average_hash,channel_average_hash,bit_depth_1"
    config.distortions.names = "contrast,pixelate"
    hash_robustness.evaluate_hashes(config, tmp_path)
    flipped = json.loads((tmp_path / "results.json").read_text())["inputs_flipped"]
    images = load_dataset(config.data).test.images
    key = distortion_key(0, "pixelate", 0)
    # Decided in integers, so that no program rounds otherwise.
    pixelated = distort_batch(DISTORTIONS["pixelate"], key, images, np.arange(len(images)), 5)

    def above_mean(of, axes):
        return of > of.mean(axes, keepdims=True, dtype=np.float64)

    for name, bits in (
        ("average_hash", lambda of: above_mean(of, (1, 2, 3))),
        ("channel_average_hash", lambda of: above_mean(of, (1, 2))),
        ("bit_depth_1", lambda of: of > 127),
    ):
        expected = np.mean(bits(images) != bits(np.asarray(pixelated)))
        assert flipped[name]["pixelate"][1] == pytest.approx(expected, abs=1e-7)
        assert expected > 0
    # That corruption keeps the mean of each channel, not where it lies to the mean of all.
    assert flipped["channel_average_hash"]["contrast"][1] < flipped["average_hash"]["contrast"][1]
    report.write(tmp_path, [tmp_path])
    assert "### Bits flipped in the inputs of networks" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hash.inputs", "average_hash,edges", "unknown hash.inputs 'edges'"),
        ("hash.inputs", "average_hash,raw", "unknown hash.inputs 'raw'; choose one of"),
        ("hash.names", "average_hash,md5", "unknown hash.names 'md5'"),
        ("distortions.draws", 2, "takes one draw: distortions.draws must be 1, got 2"),
        ("data.test_size", 2, None),
    ],
)
def test_mistakes_are_named(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    if message is None:
        config.data.classes = "cat"
        config.data.test_size = 1
        message = "need at least two test images, there are 1"
    with pytest.raises(ValueError, match=message):
        hash_robustness.evaluate_hashes(config, tmp_path / "grid")


def test_more_images_than_are_compared_at_once(monkeypatch):
    monkeypatch.setattr(hash_robustness, "_ROWS_AT_ONCE", 7)
    words = np.random.default_rng(0).integers(0, 2**32, (30, 2), np.uint32)
    same, different = distance_counts(words, words, bits=64)
    assert (same.sum(), different.sum()) == (30, 30 * 29)
