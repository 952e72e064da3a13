"""Hashes against ImageHash, bit for bit, and what they report about noise."""

import functools
import pickle

import imagehash
import jax
import jax.numpy as jnp
import numpy as np
import PIL
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from PIL import Image

from phash_jax import hashing, resampling
from phash_jax.checks import choose
from phash_jax.data import synthetic
from phash_jax.resampling import (
    PILLOW_GENERATIONS,
    gray,
    lanczos_weights,
    resize,
)


def number(version):
    return tuple(int(part) for part in version.split(".")[:2])


INSTALLED = max(
    (key for key in PILLOW_GENERATIONS if number(key) <= number(PIL.__version__)), key=number
)
# ImageHash decides these by floating-point noise where values tie.
NOISY = ("phash", "whash")


def make_images(kind: str, *, shape: tuple[int, int] = (32, 32), count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    height, width = shape
    random = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    if kind == "random":
        return random
    if kind == "flat":
        return np.broadcast_to(random[:, :1, :1], random.shape).copy()
    if kind == "gradient":
        slope = np.arange(width)[:, None] * rng.integers(0, 9, (count, 1, 1, 3))
        return np.broadcast_to(slope, random.shape).astype(np.uint8)
    if kind == "gradient down":
        return make_images("gradient", shape=(width, height)).swapaxes(1, 2).copy()
    # Enlarged by Pillow: for each size the drawing would be compiled anew.
    drawn, _ = synthetic.generate(
        seed=0, split="test", num_images=count, image_size=32, class_names=("cat", "dog")
    )
    side = (max(shape), max(shape))
    drawn = [np.asarray(Image.fromarray(image).resize(side)) for image in np.asarray(drawn)]
    drawn = np.stack(drawn)[:, :height, :width]
    if kind == "drawn":
        return drawn
    if kind == "mirror":
        half = drawn[:, :, : width // 2]
        return np.concatenate([half, half[:, :, ::-1]], 2)
    assert kind == "binary"
    return np.where(drawn > 128, 255, 0).astype(np.uint8)


KINDS = ("random", "flat", "gradient", "gradient down", "drawn", "mirror", "binary")


@functools.cache
def jitted(name: str, hash_size: int):
    return jax.jit(
        functools.partial(
            hashing.HASHES[name], hash_size=hash_size, pillow=INSTALLED, with_margin=True
        )
    )


def of_imagehash(name: str, images: np.ndarray, hash_size: int) -> np.ndarray:
    size = () if name == "colorhash" else (hash_size,)
    function = getattr(imagehash, name)
    return np.stack([function(Image.fromarray(image), *size).hash for image in images])


def mismatches(name: str, images: np.ndarray, hash_size: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Which images' hashes differ, and which are reported as fragile."""
    decision = jitted(name, hash_size)(images)
    reference = of_imagehash(name, images, hash_size).reshape(decision.bits.shape)
    return (np.asarray(decision.bits) != reference).any((1, 2)), np.asarray(decision.fragile)


def assert_equal_to_imagehash(name: str, images: np.ndarray, hash_size: int = 8) -> None:
    wrong, fragile = mismatches(name, images, hash_size)
    assert not (wrong & ~fragile if name in NOISY else wrong).any()


def test_only_what_noise_decides_is_fragile():
    """Else ``fragile`` could excuse any mismatch."""
    of = {
        (name, kind): float(mismatches(name, make_images(kind))[1].mean())
        for name in NOISY
        for kind in KINDS
    }
    # Coefficients that are zero but for rounding, and medians of equal values.
    for kind in ("flat", "gradient", "gradient down", "mirror"):
        assert of["phash", kind] == 1
    assert of["whash", "flat"] == 1
    for kind in ("random", "drawn"):
        assert of["phash", kind] == 0
        assert of["whash", kind] <= 0.05
    assert of["phash", "binary"] == 0
    assert of["whash", "binary"] <= 0.5


@pytest.mark.parametrize("name", hashing.HASHES)
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_imagehash(name, kind):
    assert_equal_to_imagehash(name, make_images(kind))


@pytest.mark.parametrize("name", [name for name in hashing.HASHES if name != "colorhash"])
def test_sixteen_bits_a_side_are_equal_to_imagehash(name):
    for kind in KINDS:
        assert_equal_to_imagehash(name, make_images(kind), hash_size=16)


@pytest.mark.parametrize(
    ("shape", "hash_size", "colour"),
    [
        ((8, 8), 8, True),
        ((640, 288), 8, True),
        ((288, 640), 16, False),
        ((640, 640), 8, True),
        ((15, 7), 8, True),
    ],
    ids=str,
)
def test_any_size_is_equal_to_imagehash(shape, hash_size, colour):
    for kind in ("random", "flat", "gradient", "drawn", "mirror", "binary"):
        images = make_images(kind, shape=shape, count=4)
        for name in hashing.HASHES:
            assert_equal_to_imagehash(name, images if colour else images[..., 1], hash_size)


@pytest.mark.filterwarnings("ignore:.* is taken for gray pictures")
@settings(deadline=None, max_examples=12)
@given(
    name=st.sampled_from(list(hashing.HASHES)),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    hash_size=st.sampled_from([2, 4, 8]),
    colour=st.booleans(),
    levels=st.sampled_from([2, 5, 256]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_picture_is_equal_to_imagehash(name, height, width, hash_size, colour, levels, seed):
    # A gray picture of width 3 would be taken for one row of colours.
    width += width == 3
    shape = (8, height, width, 3) if colour else (8, height, width)
    values = np.random.default_rng(seed).integers(0, levels, shape)
    assert_equal_to_imagehash(name, (values * (255 // (levels - 1))).astype(np.uint8), hash_size)


def test_three_thousand_images_of_cifar10(real_cifar10):
    for name, hash_size in [*((name, 8) for name in hashing.HASHES), ("phash", 16)]:
        wrong, fragile = mismatches(name, real_cifar10.train.images[:3000], hash_size)
        assert not (wrong & ~fragile if name in NOISY else wrong).any()
        if name == "phash":
            assert fragile.mean() <= 0.04


def test_all_colours_have_pillows_gray_hue_and_saturation():
    @jax.jit
    def classes(image):
        red, green, blue = (image[..., channel].astype(jnp.int32) for channel in range(3))
        largest = jnp.maximum(jnp.maximum(red, green), blue)
        spread = largest - jnp.minimum(jnp.minimum(red, green), blue)
        return (
            gray(image, rounded=True),
            hashing._hue_bin(red, green, blue, largest, spread),
            *hashing._saturation_classes(largest, spread),
        )

    low = np.arange(65536)
    for red in range(256):
        image = np.stack([np.full(65536, red), low >> 8, low & 255], -1).astype(np.uint8)
        picture = Image.fromarray(image.reshape(256, 256, 3))
        level, hue_bin, coloured, faint, bright = classes(image.reshape(256, 256, 3))
        hue, saturation, _ = (np.asarray(band) for band in picture.convert("HSV").split())
        expected = np.minimum(np.digitize(hue, np.linspace(0, 255, 7)) - 1, 5)
        np.testing.assert_array_equal(level, picture.convert("L"))
        np.testing.assert_array_equal(hue_bin, np.where(saturation < 85, hue_bin, expected))
        # Black, the one colour without a saturation, is told apart before.
        seen = np.asarray(level) >= 32
        np.testing.assert_array_equal((saturation >= 85) & seen, coloured & seen)
        np.testing.assert_array_equal((saturation < 170) & (saturation >= 85) & seen, faint & seen)
        np.testing.assert_array_equal((saturation > 170) & seen, bright & seen)


def test_margins_say_how_close_a_decision_was():
    levels = np.full((8, 8), 100, np.uint8)
    levels[0, 0] = 164
    decision = hashing.average_hash(levels, with_margin=True)
    # The mean is 101.
    assert np.asarray(decision.bits).sum() == 1
    assert float(decision.margin) == 1
    assert not decision.fragile
    assert float(hashing.whash(levels, with_margin=True).margin) == 0
    assert hashing.whash(levels, with_margin=True).fragile
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    decision = hashing.whash(ramp, with_margin=True)
    np.testing.assert_array_equal(decision.bits, ramp > 31)
    assert float(decision.margin) == 0.5
    assert not decision.fragile


def test_an_odd_number_of_values_has_its_median_among_them():
    values = jnp.array([[5.0, 1.0, 9.0], [3.0, 7.0, 2.0], [8.0, 4.0, 6.5]])
    bits, distance = hashing._above_median(values)
    np.testing.assert_array_equal(bits, values > 5)
    assert float(distance) == 1.0
    _, distance = hashing._above_median(values.at[0, 1].set(5.0))
    assert float(distance) == 0


def test_large_hashes_are_decided_like_small_ones(monkeypatch):
    values = jnp.asarray(np.random.default_rng(0).normal(size=(9, 8)), jnp.float32)
    written_out = hashing._above_median(values)
    monkeypatch.setattr(hashing, "_MOST_VALUES_COMPARED", 0)
    jax.tree.map(np.testing.assert_array_equal, hashing._above_median(values), written_out)


def test_bits_are_the_same_without_their_margin():
    images = make_images("random", count=16)
    bits = hashing.phash(images, pillow=INSTALLED)
    assert isinstance(bits, jax.Array)
    np.testing.assert_array_equal(bits, jitted("phash", 8)(images).bits)


def test_batches_of_any_shape_in_jit_vmap_and_shard_map():
    images = make_images("random", count=16)
    expected = np.asarray(jitted("dhash", 8)(images).bits)
    dhash = jax.jit(functools.partial(hashing.dhash, pillow=INSTALLED))
    np.testing.assert_array_equal(dhash(images[3]), expected[3])
    nested = dhash(images.reshape(2, 8, 32, 32, 3))
    np.testing.assert_array_equal(nested, expected.reshape(2, 8, 8, 8))
    np.testing.assert_array_equal(jax.vmap(dhash)(jnp.asarray(images)), expected)
    mesh = Mesh(np.array(jax.devices()), ("images",))
    spec = PartitionSpec("images")
    sharded = jax.shard_map(dhash, mesh=mesh, in_specs=spec, out_specs=spec)
    np.testing.assert_array_equal(jax.jit(sharded)(images), expected)
    assert dhash(images[:0]).shape == (0, 8, 8)


@pytest.mark.parametrize(("name", "number"), [("dhash", 7), ("phash", 8), ("dhash", 23)])
def test_many_images_are_hashed_some_at_a_time(name, number, monkeypatch):
    images = make_images("drawn", shape=(20, 24), count=24)[:number]
    hash_all = functools.partial(hashing.HASHES[name], pillow=INSTALLED, with_margin=True)
    together = hash_all(images)
    lengths, decide = [], hashing._decide
    monkeypatch.setattr(
        hashing, "_decide", lambda part, **how: lengths.append(len(part)) or decide(part, **how)
    )
    monkeypatch.setattr(hashing, "_BYTES_AT_ONCE", 7 * images[0].nbytes + 5)
    for batch in (images, jnp.asarray(images), np.asfortranarray(images)):
        lengths.clear()
        in_pieces = hash_all(batch)
        assert lengths == {7: [7], 8: [4, 4], 23: [6, 6, 6, 6]}[number]
        jax.tree.map(np.testing.assert_array_equal, in_pieces, together)
        assert all(isinstance(leaf, jax.Array) for leaf in in_pieces)
    held = jnp.asarray(images)
    with jax.transfer_guard("disallow"):
        np.testing.assert_array_equal(hash_all(held).bits, together.bits)
    folded = hash_all(images[:, None])
    assert folded.bits.shape == (number, 1, *together.bits.shape[1:])
    np.testing.assert_array_equal(folded.bits[:, 0], together.bits)
    bits = hashing.HASHES[name](images, pillow=INSTALLED)
    np.testing.assert_array_equal(bits, together.bits)


def test_images_of_a_device_or_of_a_program_are_hashed_together(monkeypatch):
    images = make_images("random", count=6)
    dhash = functools.partial(hashing.dhash, pillow=INSTALLED)
    expected = np.asarray(dhash(images))
    monkeypatch.setattr(hashing, "_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(hashing, "_decide_in_pieces", None)
    device = jax.devices()[3]
    placed = dhash(jax.device_put(images, device))
    assert placed.devices() == {device}
    np.testing.assert_array_equal(placed, expected)
    held = jnp.asarray(images)
    np.testing.assert_array_equal(jax.jit(dhash)(held), expected)
    np.testing.assert_array_equal(jax.jit(lambda: dhash(images))(), expected)
    np.testing.assert_array_equal(jax.jit(lambda: dhash(held))(), expected)
    np.testing.assert_array_equal(jax.vmap(dhash)(held), expected)


# Of processors, and with an unsigned product also of versions of JAX.
MULTIPLIES = {"vectors": (False, False), "matrices": (True, False)}
if jax.__version_info__ >= (0, 10, 1):
    MULTIPLIES["unsigned vectors"] = (False, True)


def multiply_by(way, patch, asked):
    matrix_unit, unsigned = MULTIPLIES[way]
    patch.setattr(resampling, "_has_matrix_unit", lambda: asked.append(way) or matrix_unit)
    patch.setattr(resampling, "_multiplies_unsigned", lambda: unsigned)


# The others take pictures of the size used here as they are.
REDUCING = ("average_hash", "dhash", "dhash_vertical")


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in REDUCING for way in MULTIPLIES]
    + [(name, "vectors") for name in hashing.HASHES if name not in REDUCING],
)
def test_batches_sharded_over_an_explicit_mesh(name, way, monkeypatch):
    asked = []
    multiply_by(way, monkeypatch, asked)
    # Else what was traced for this machine's own processor would be used.
    hashing._decide.clear_cache()
    images = make_images("random", count=16)
    mesh = jax.make_mesh((8,), ("images",), axis_types=(AxisType.Explicit,))
    hash_all = jax.jit(functools.partial(hashing.HASHES[name], pillow=INSTALLED))
    with jax.set_mesh(mesh):
        sharded = hash_all(jax.device_put(images, NamedSharding(mesh, PartitionSpec("images"))))
    assert sharded.sharding.spec[0] == "images"
    np.testing.assert_array_equal(sharded, hash_all(images))
    assert bool(asked) == (name in REDUCING)


def test_sums_of_large_pictures_do_not_overflow():
    # 2**12 times its 750 x 750 black pixels is more than int32 holds.
    black = np.zeros((750, 750, 3), np.uint8)
    theirs = imagehash.colorhash(Image.fromarray(black), binbits=12)
    np.testing.assert_array_equal(hashing.colorhash(black, binbits=12), theirs.hash)
    with pytest.raises(ValueError, match="blocks of 4096x4096 pixels, more than int32 holds"):
        jax.eval_shape(
            functools.partial(hashing.whash, hash_size=2),
            jax.ShapeDtypeStruct((8192, 8192), jnp.uint8),
        )
    too_large = jax.ShapeDtypeStruct((2**15, 2**15), np.uint8)
    with pytest.raises(ValueError, match="colorhash of 32768x32768 pixels adds up more than int32"):
        jax.eval_shape(hashing.colorhash, too_large)
    with pytest.raises(ValueError, match=r"phash of size 800 .* more values than int32 holds"):
        hashing.phash(black, hash_size=800)
    for name, hash_size in (("average_hash", 2902), ("phash_simple", 512)):
        with pytest.raises(ValueError, match=f"{name} of size {hash_size} adds up more values"):
            hashing.HASHES[name](black, hash_size=hash_size)
    # Large coefficients of one sign, whose sum is more than int32 holds.
    edge = np.zeros((1024, 1024), np.uint8)
    edge[:, :3] = 255
    ours = hashing.phash_simple(edge, hash_size=256, pillow=INSTALLED)
    theirs = imagehash.phash_simple(Image.fromarray(edge), hash_size=256)
    np.testing.assert_array_equal(ours, theirs.hash)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_what_may_have_channels_is_hashed_with_a_warning(width):
    images = make_images("random", shape=(9, width), count=3)[..., 0]
    dhash = functools.partial(hashing.dhash, pillow=INSTALLED)
    with pytest.warns(UserWarning, match=r"taken for gray pictures . pixels wide: .*convert\('RGB"):
        together = dhash(images)
    np.testing.assert_array_equal(together, of_imagehash("dhash", images, 8).reshape(3, 8, 8))
    # No question, and no warning, which would be an error.
    np.testing.assert_array_equal(jax.vmap(dhash)(images), together)
    np.testing.assert_array_equal(dhash(images[0]), together[0])


def test_a_hash_is_compiled_as_one_program_and_once_for_a_size(caplog):
    images = make_images("random", shape=(31, 33), count=2)
    with jax.log_compiles(True):
        hashing.phash(images)
        compiled = [record.message for record in caplog.records if "Compiling" in record.message]
        caplog.clear()
        hashing.phash(images[::-1].copy())
    assert 1 <= len(compiled) <= 4
    assert "Compiling" not in caplog.text


def test_what_all_callers_share_cannot_be_changed():
    for shared in (resampling.lanczos_weights(32, 8), hashing.dct_matrix(32, 8)):
        with pytest.raises(ValueError, match="read-only"):
            shared[:] = 0


def test_another_type_is_named_as_it_came():
    for images in (np.zeros((8, 8)), np.zeros((8, 8), ">u2"), np.zeros((8, 8), np.int64)):
        kind = images.dtype
        with pytest.raises(TypeError, match=f"takes uint8 values from 0 to 255, got {kind}"):
            hashing.phash.__wrapped__(images)
    with pytest.raises(ValueError, match="dhash_vertcal does not reduce a picture"):
        hashing.reduced_size("dhash_vertcal", hash_size=8, height=9, width=9)


def test_margins_are_float32_with_float64_enabled_too():
    images = make_images("random", count=2)
    with jax.enable_x64(True):
        for name, hash_all in hashing.HASHES.items():
            of = functools.partial(hash_all, pillow=INSTALLED, with_margin=True)
            assert jax.eval_shape(of, images).margin.dtype == jnp.float32, name


def test_gray_pictures_hash_as_their_colour_twins():
    levels = make_images("random")[..., 0]
    colours = np.repeat(levels[..., None], 3, -1)
    for name in ("dhash", "colorhash"):
        hashes = jitted(name, 8)(levels).bits, jitted(name, 8)(colours).bits
        np.testing.assert_array_equal(*hashes)


def test_the_pillow_generation_decides():
    tall = make_images("random", shape=(200, 90), count=20)
    dhash = jax.jit(hashing.dhash, static_argnames="pillow")
    old, new = (np.asarray(dhash(tall, pillow=key)) for key in ("7.0", "13.0"))
    assert (old != new).any()
    square = make_images("random", count=20)
    first, second = (np.asarray(dhash(square, pillow=key)) for key in ("7.0", "13.0"))
    np.testing.assert_array_equal(first, second)
    # Its gray value is 0.53.
    pixel = jnp.array([[[1, 0, 2]]], jnp.uint8)
    assert int(gray(pixel, rounded=True)[0, 0]) == 1
    assert int(gray(pixel, rounded=False)[0, 0]) == 0


@settings(deadline=None, max_examples=16)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    new_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    levels=st.sampled_from([2, 256]),
    seed=st.integers(0, 2**32 - 1),
    way=st.sampled_from(sorted(MULTIPLIES)),
)
# As whash reduces, in many bands; and short rows, several together.
@example(size=(7, 300), new_size=(5, 256), levels=256, seed=0, way="vectors")
@example(size=(8, 32), new_size=(8, 9), levels=256, seed=0, way="matrices")
def test_resize_is_pillows(size, new_size, levels, seed, way):
    values = np.random.default_rng(seed).integers(0, levels, size) * (255 // (levels - 1))
    values = values.astype(np.uint8)
    height, width = new_size
    generation = PILLOW_GENERATIONS[INSTALLED]
    fixed = functools.partial(resize, height=height, width=width, generation=generation)
    with pytest.MonkeyPatch.context() as patch:
        multiply_by(way, patch, [])
        resized = jax.jit(fixed)(values)
    expected = Image.fromarray(values).resize((width, height), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(resized, np.asarray(expected))


@pytest.mark.parametrize("way", MULTIPLIES)
def test_rows_are_cut_into_bands_where_that_saves_more_than_it_costs(way, monkeypatch):
    multiply_by(way, monkeypatch, [])
    bands = {size: len(resampling._bands(size, 32)) for size in (64, 128, 256)}
    matrices = way == "matrices"
    assert bands == {64: 1, 128: 4 if way == "vectors" else 1, 256: 1 if matrices else 4}


@pytest.mark.parametrize(
    ("features", "version", "unsigned"),
    [
        ("avx2 avx512_vnni", (0, 10, 1), True),
        ("avx2 avx512_vnni", (0, 10, 0), False),
        ("avx2 avx512f", (0, 11, 0), False),
        ("avx512_vnni amx_int8", (0, 11, 0), False),
    ],
)
def test_unsigned_products_are_for_processors_that_have_them(
    features, version, unsigned, monkeypatch
):
    monkeypatch.setattr(resampling.processor, "features", lambda: features)
    monkeypatch.setattr(resampling, "_has_matrix_unit", resampling._has_matrix_unit.__wrapped__)
    monkeypatch.setattr(jax, "__version_info__", version)
    assert resampling._multiplies_unsigned() == unsigned


def test_weights_of_a_picture_kept_at_its_size_are_one():
    np.testing.assert_array_equal(lanczos_weights(5, 5), np.eye(5) * 2**22)


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        (np.zeros((8, 8), np.float32), {}, TypeError, "uint8 values from 0 to 255, got float32"),
        (np.zeros(8, np.uint8), {}, ValueError, r"\[\.\.\., H, W, 3\] or gray .* got \(8,\)"),
        (np.zeros((2, 0, 8), np.uint8), {}, ValueError, r"H, W >= 1, got \(2, 0, 8\)"),
        (np.zeros((8, 8), np.uint8), {"hash_size": 1}, ValueError, "must be 2 or more, got 1"),
        (np.zeros((8, 8), np.uint8), {"pillow": "1"}, ValueError, "choose one of 6.0, 7.0, 12.2"),
    ],
)
def test_bad_input_is_refused(images, options, error, message):
    with pytest.raises(error, match=message):
        hashing.dhash(images, **options)


@pytest.mark.parametrize("binbits", [0, -1, 40])
def test_a_colour_has_some_bits(binbits):
    with pytest.raises(ValueError, match=f"binbits must be 1 to 16, got {binbits}"):
        hashing.colorhash(np.zeros((8, 8, 3), np.uint8), binbits=binbits)


def test_whash_wants_a_power_of_two():
    with pytest.raises(ValueError, match="power of 2, got 6"):
        hashing.whash(np.zeros((8, 8), np.uint8), hash_size=6)


def test_pillow_12_2_begins_with_the_rows_of_very_tall_pictures():
    vertical_first = PILLOW_GENERATIONS["12.2"].vertical_first
    assert vertical_first(1001, 10, 8, 9)
    assert not vertical_first(1000, 10, 8, 9)
    assert not vertical_first(1001, 10, 1001, 9)


def test_what_is_no_name_is_no_pillow():
    with pytest.raises(ValueError, match=r"unknown pillow \['13.0'\]; choose one of 6.0, 7.0"):
        choose(PILLOW_GENERATIONS, ["13.0"], "pillow")


def test_a_traced_hash_size_is_told_to_be_static():
    # As called without the tests' checks of types.
    dhash = jax.jit(hashing.dhash.__wrapped__)
    with pytest.raises(TypeError, match=r"hash_size must be a whole number, .*static_argnames"):
        dhash(np.zeros((8, 8), np.uint8), hash_size=8)


def test_hashes_can_be_sent_to_other_processes():
    for hash_of in hashing.HASHES.values():
        assert pickle.loads(pickle.dumps(hash_of)) is hash_of
