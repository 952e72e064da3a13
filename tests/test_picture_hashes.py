"""Hashes of decoded pictures, on the host and on the device."""

import imagehash
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_picture
from PIL import Image

from phash_jax import hashing, picture_hashes, resampling


@pytest.mark.parametrize("pillow", ["6.0", "7.0", "12.2", "13.0"])
def test_reductions_on_the_host_follow_every_pillow(pillow):
    generation = resampling.PILLOW_GENERATIONS[pillow]
    for seed, size in enumerate([(40, 34), (20, 70), (2, 210)]):
        image = make_picture(seed, *size)
        gray = picture_hashes._gray(image, generation=generation)
        array = jnp.asarray(np.asarray(image))
        wanted = resampling.gray(array, rounded=generation.rounds_gray)
        np.testing.assert_array_equal(np.asarray(gray), wanted)
        reduced = picture_hashes._reduced(gray, height=8, width=9, generation=generation)
        wanted = resampling.resize(wanted, height=8, width=9, generation=generation)
        np.testing.assert_array_equal(reduced, np.asarray(wanted))


def test_truncated_gray_is_that_of_all_modes_made_gray_by_way_of_rgb():
    old, new = (resampling.PILLOW_GENERATIONS[name] for name in ("6.0", "7.0"))
    rgb = make_picture(0)
    truncated = np.asarray(picture_hashes._gray(rgb, generation=old))
    assert (truncated < np.asarray(picture_hashes._gray(rgb, generation=new))).any()
    alpha = rgb.convert("RGBA")
    np.testing.assert_array_equal(picture_hashes._gray(alpha, generation=old), truncated)
    gray = rgb.convert("LA")
    np.testing.assert_array_equal(picture_hashes._gray(gray, generation=old), gray.convert("L"))


def test_a_picture_too_large_for_a_hash_is_refused_alone():
    """While it is prepared: an error of the program for a batch would end the job."""
    image = Image.new("L", (8192, 8192))
    with pytest.raises(ValueError, match="whash of size 2 adds up blocks of 4096x4096 pixels"):
        picture_hashes.prepare(image, hashes=["whash"], hash_size=2, pillow="13.0", whole=set())


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_colorhash_on_the_host_and_on_the_device_agree(mode):
    images = [make_picture(seed).convert(mode) for seed in range(8)]
    device = hashing.colorhash(
        np.stack([np.asarray(image.convert("L" if mode == "L" else "RGB")) for image in images])
    )
    for image, bits in zip(images, np.asarray(device), strict=True):
        np.testing.assert_array_equal(picture_hashes._colorhash(image, image.convert("L")), bits)


@pytest.mark.parametrize("hash_size", [2, 4])
def test_hashes_of_few_bits_are_those_of_imagehash(hash_size):
    """What the host reduces to so few columns has no channels."""
    image = make_picture(3, 40, 34)
    names = ["average_hash", "dhash", "dhash_vertical", "whash"]
    prepared = picture_hashes.prepare(
        image, hashes=names, hash_size=hash_size, pillow="13.0", whole=set()
    )
    batches = picture_hashes.PictureBatches(hash_size=hash_size, pillow="13.0")
    for chosen, reduced in prepared.inputs.items():
        batches.add(0, chosen, reduced)
    for name, decided in batches.finish().items():
        ((_, bits, _),) = decided
        np.testing.assert_array_equal(bits[0], getattr(imagehash, name)(image, hash_size).hash)
        names.remove(name)
    assert names == []


def test_the_device_is_not_given_more_than_it_gets_done():
    batches = picture_hashes.PictureBatches(hash_size=8, pillow="13.0")
    images = np.random.default_rng(0).integers(0, 256, (256 * 5 + 3, 8, 8), np.uint8)
    for row, image in enumerate(images):
        batches.add(row, ("average_hash",), image)
        assert len(batches._running) <= 2
    decided = batches.finish()["average_hash"]
    assert [len(rows) for rows, _, _ in decided] == [256] * 5 + [3]
    wanted = images > images.mean((1, 2), keepdims=True)
    for rows, bits, _ in decided:
        np.testing.assert_array_equal(bits, wanted[rows])
