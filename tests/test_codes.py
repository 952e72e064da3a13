"""Hashes as text, integers, bytes and words, against ImageHash's own text."""

import imagehash
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from phash_jax import codes

SHAPES = [(8, 8), (16, 16), (5, 5), (14, 3), (2, 2), (1, 1)]
hashes = st.sampled_from(SHAPES).flatmap(lambda shape: hnp.arrays(bool, shape))


@settings(deadline=None, max_examples=40)
@given(hashes)
def test_every_form_leads_back_to_the_bits(bits):
    shape = bits.shape
    text = codes.to_hex(bits)
    assert text == str(imagehash.ImageHash(bits))
    value = codes.to_int(bits)
    assert value == int(text, 16)
    assert codes.to_bytes(bits) == value.to_bytes(-(-bits.size // 8), "big")
    words = np.asarray(codes.pack(jnp.asarray(bits)))
    assert sum(int(word) << 32 * i for i, word in enumerate(words[::-1])) == value
    for again in (
        codes.from_hex(text, shape=shape),
        codes.from_int(value, shape=shape),
        codes.from_bytes(codes.to_bytes(bits), shape=shape),
        codes.unpack(jnp.asarray(words), shape=shape),
        codes.from_imagehash(imagehash.ImageHash(bits)),
    ):
        np.testing.assert_array_equal(again, bits)


def test_batches_keep_their_shape():
    bits = np.random.default_rng(0).integers(0, 2, (2, 3, 8, 8)).astype(bool)
    for function in (codes.to_hex, codes.to_int, codes.to_bytes):
        values = function(bits)
        assert values.shape == (2, 3)
        assert values[1, 2] == function(bits[1, 2])
    for back, values in (
        (codes.from_hex, codes.to_hex(bits)),
        (codes.from_hex, codes.to_hex(bits).astype(str)),
        (codes.from_hex, codes.to_hex(bits).tolist()),
        (codes.from_int, codes.to_int(bits)),
        (codes.from_int, codes.to_int(bits).astype(np.uint64)),
        (codes.from_bytes, codes.to_bytes(bits)),
        (codes.from_bytes, codes.to_bytes(bits).tolist()),
    ):
        np.testing.assert_array_equal(back(values, shape=(8, 8)), bits)
        np.testing.assert_array_equal(back(values[1][2], shape=(8, 8)), bits[1, 2])
        assert back(values[:0], shape=(8, 8)).shape[-2:] == (8, 8)
    words = codes.pack(jnp.asarray(bits))
    assert words.shape == (2, 3, 2)
    np.testing.assert_array_equal(codes.unpack(words, shape=(8, 8)), bits)
    assert codes.to_hex(bits[:0]).shape == (0, 3)
    # Zeros at the end of bytes, and at the beginning of what is padded.
    few = np.zeros((4, 3, 3), bool)
    np.testing.assert_array_equal(codes.from_bytes(codes.to_bytes(few), shape=(3, 3)), few)


def test_what_is_not_0_is_a_bit_in_every_form():
    bits = np.random.default_rng(0).integers(0, 2, (8, 8)).astype(bool)
    as_picture = bits * np.uint8(255)
    np.testing.assert_array_equal(codes.pack(jnp.asarray(as_picture)), codes.pack(jnp.array(bits)))
    for of_a_kind in (as_picture, bits * 0.5):
        assert codes.to_hex(of_a_kind) == codes.to_hex(bits)
    # Nor is what JAX has no room for lost on the way.
    for of_a_kind in (bits * np.int64(2**40), bits * 1e-50):
        np.testing.assert_array_equal(codes.pack(of_a_kind), codes.pack(jnp.array(bits)))


def test_no_hash_at_all_and_integers_of_numpy():
    none = codes.pack(jnp.zeros((0, 8, 8), bool))
    assert codes.unpack(none, shape=(8, 8)).shape == (0, 8, 8)
    assert codes.to_int(codes.from_int(np.uint64(2**63 + 5), shape=(8, 8))) == 2**63 + 5


def test_text_of_real_hashes():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    for reference, shape in (
        (imagehash.average_hash(picture), (8, 8)),
        (imagehash.colorhash(picture), (14, 3)),
    ):
        bits = codes.from_imagehash(reference)
        assert codes.to_hex(bits) == str(reference)
        np.testing.assert_array_equal(
            codes.from_hex(str(reference), shape=shape).ravel(), bits.ravel()
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: codes.from_hex("ff"), "8 x 8 bits is 16 hexadecimal digits, got 'ff'"),
        (lambda: codes.from_hex("0x00000000000000"), "16 hexadecimal digits"),
        (lambda: codes.from_hex("fffffffffffffff_"), "16 hexadecimal digits"),
        (lambda: codes.from_hex("ff", shape=(5, 1)), "not a hash of 5 x 1 bits"),
        (lambda: codes.from_int(-1, shape=(8, 8)), "-1 is not a hash of 8 x 8 bits"),
        (lambda: codes.from_hex(["0" * 16, "f"]), "16 hexadecimal digits, got 'f'"),
        (lambda: codes.from_int([3, 16], shape=(2, 2)), "16 is not a hash of 2 x 2 bits"),
        (lambda: codes.from_bytes(b"123", shape=(8, 8)), "8 x 8 bits is 8 bytes, got 3"),
        (
            lambda: codes.unpack(jnp.zeros(3, jnp.uint32), shape=(8, 8)),
            "3 words do not hold a hash of 8 x 8 bits",
        ),
        (
            lambda: codes.unpack.__wrapped__(np.zeros(2, np.uint64), shape=(8, 8)),
            r"packed hashes are uint32 words on the last axis, got uint64 \(2,\)",
        ),
        (lambda: codes.pack.__wrapped__(jnp.zeros(8, bool)), "rows and columns, got .* shape .8,"),
        (
            lambda: codes.to_bytes.__wrapped__(np.zeros(8, bool)),
            "rows and columns, got .* shape .8,",
        ),
        (lambda: codes._rows_and_columns.__wrapped__((2, 4, 1)), r"columns, got \(2, 4, 1\)"),
    ],
)
def test_what_is_no_hash_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: codes.from_hex(["0" * 16, None]), "hexadecimal text, got None"),
        (lambda: codes.from_hex(5), "hexadecimal text, got 5"),
        (lambda: codes.from_bytes(["0" * 8], shape=(8, 8)), "as bytes, got '00000000'"),
        (lambda: codes.from_int([2.0], shape=(8, 8)), "float"),
    ],
)
def test_what_is_of_another_kind_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_shape_may_be_of_small_integers():
    shape = (np.uint8(16), np.uint8(16))
    bits = codes.from_hex("0" * 63 + "5", shape=shape)
    assert codes.to_int(bits) == 5
    np.testing.assert_array_equal(codes.unpack(codes.pack(jnp.asarray(bits)), shape=shape), bits)
    for wrong in ((-8, -8), (0, 8)):
        with pytest.raises(ValueError, match="each side of a hash's shape must be 1 or more"):
            codes.from_int(0, shape=wrong)


def test_many_imagehashes_are_converted_at_once():
    bits = np.random.default_rng(0).integers(0, 2, (3, 8, 8)).astype(bool)
    hashes = [imagehash.ImageHash(one) for one in bits]
    np.testing.assert_array_equal(codes.from_imagehash(hashes), bits)
    hashes.append(imagehash.ImageHash(np.zeros((4, 4), bool)))
    for wrong, found in ((hashes, "4 x 4 and 8 x 8"), ([], "none")):
        with pytest.raises(ValueError, match=f"hashes of one shape are wanted, got {found}"):
            codes.from_imagehash(wrong)


def test_only_imagehashes_are_converted():
    with pytest.raises(TypeError, match=r"not an imagehash\.ImageHash: 'ff'"):
        codes.from_imagehash("ff")
