"""Hashes as text, integers, bytes and packed words, and back.

``pack`` and ``unpack`` can be used inside ``jit``; text, integers and bytes are made on the host,
from concrete arrays only.
"""

import math
import operator
import string
from collections.abc import Callable
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Shaped, UInt32

from phash_jax.checks import whole_number

_WORD = 32
_HEXADECIMAL = frozenset(string.hexdigits)


def pack(bits: Shaped[Any, "*batch rows columns"]) -> UInt32[Array, "*batch words"]:
    """Bits as unsigned 32-bit words, the form ``phash_jax.hamming`` works on.

    Row by row, most significant bit and most significant word first; the first word is padded with
    zeros on the left. So the words, read as one number, are the integer of ``to_int``.

    Args:
        bits: hashes as ``phash_jax.hashing`` returns them; in other types, any nonzero value is 1.

    Raises:
        ValueError: there is no axis of rows.
    """
    # Not in JAX before they are bits: it cuts int64 and float64 down to 32 bits.
    flat = _row_by_row(bits if isinstance(bits, jax.Array) else np.asarray(bits))
    padding = -flat.shape[-1] % _WORD
    flat = jnp.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(padding, 0)])
    words = flat.reshape(*flat.shape[:-1], flat.shape[-1] // _WORD, _WORD).astype(jnp.uint32)
    place = jnp.arange(_WORD - 1, -1, -1, dtype=jnp.uint32)
    return jnp.sum(words << place, axis=-1, dtype=jnp.uint32)


def unpack(
    words: UInt32[Array, "*batch words"], *, shape: tuple[SupportsIndex, SupportsIndex]
) -> Bool[Array, "*batch rows columns"]:
    """The inverse of ``pack``, for hashes of ``shape`` rows and columns.

    Raises:
        ValueError: not uint32, or the words are too few or too many for that shape.
    """
    rows, columns = _rows_and_columns(shape)
    words = words if isinstance(words, jax.Array) else np.asarray(words)
    if words.dtype != jnp.uint32 or not words.ndim:
        raise ValueError(
            f"packed hashes are uint32 words on the last axis, got {words.dtype} {words.shape}"
        )
    if words.shape[-1] != -(-rows * columns // _WORD):
        raise ValueError(f"{words.shape[-1]} words do not hold a hash of {rows} x {columns} bits")
    place = jnp.arange(_WORD - 1, -1, -1, dtype=jnp.uint32)
    flat = (jnp.asarray(words)[..., None] >> place & 1).astype(bool)
    flat = flat.reshape(*words.shape[:-1], words.shape[-1] * _WORD)
    return flat[..., flat.shape[-1] - rows * columns :].reshape(*words.shape[:-1], rows, columns)


def to_bytes(bits: Shaped[Any, "*batch rows columns"]) -> bytes | Shaped[np.ndarray, "*batch"]:
    """Big-endian bytes, zeros on the left: one ``bytes`` for one hash, else an object array.

    Raises:
        ValueError: there is no axis of rows.
    """
    return _each(bytes, bits)


def to_int(bits: Shaped[Any, "*batch rows columns"]) -> int | Shaped[np.ndarray, "*batch"]:
    """Unsigned integers, first bit most significant: one ``int`` for one hash, else objects.

    Raises:
        ValueError: there is no axis of rows.
    """
    return _each(int.from_bytes, bits)


def to_hex(bits: Shaped[Any, "*batch rows columns"]) -> str | Shaped[np.ndarray, "*batch"]:
    """ImageHash's text, hexadecimal, zeros on the left: one ``str`` for one hash, else objects.

    Source: ``str(ImageHash)`` of ImageHash 4.3.2, for every hash there, ``colorhash`` too.

    Raises:
        ValueError: there is no axis of rows.
    """
    digits = -(-math.prod(np.shape(bits)[-2:]) // 4)
    return _each(lambda data: data.hex()[-digits:], bits)


def from_int(
    values: Any, *, shape: tuple[SupportsIndex, SupportsIndex]
) -> Bool[np.ndarray, "*batch rows columns"]:
    """The inverse of ``to_int``: of one whole number, or of an array or list of them.

    Raises:
        ValueError: a value is negative or has more bits than the shape.
        TypeError: a value is not a whole number.
    """
    return _from_each(_of_int, values, shape)


def from_bytes(
    data: Any, *, shape: tuple[SupportsIndex, SupportsIndex]
) -> Bool[np.ndarray, "*batch rows columns"]:
    """The inverse of ``to_bytes``: of one hash's bytes, or of an object array or list of them.

    Raises:
        ValueError: the bytes are too few or too many for the shape, or their padding is not 0.
        TypeError: something is not bytes.
    """
    if isinstance(data, bytearray | memoryview):
        data = bytes(data)
    return _from_each(_of_bytes, data, shape)


def from_hex(
    texts: Any, *, shape: tuple[SupportsIndex, SupportsIndex] = (8, 8)
) -> Bool[np.ndarray, "*batch rows columns"]:
    """The inverse of ``to_hex``: ImageHash's text to bits, one or an array or list of them.

    Raises:
        ValueError: a text is not as many hexadecimal digits as the shape asks for.
        TypeError: something is not text.
    """
    return _from_each(_of_hex, texts, shape)


def _of_int(value: Any, rows: int, columns: int) -> bytes:
    size, value = rows * columns, operator.index(value)
    if not 0 <= value < 2**size:
        raise ValueError(f"{value} is not a hash of {rows} x {columns} bits")
    return value.to_bytes(-(-size // 8), "big")


def _of_bytes(data: Any, rows: int, columns: int) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f"a hash is wanted as bytes, got {data!r}")
    wanted = -(-rows * columns // 8)
    if len(data) != wanted:
        raise ValueError(f"a hash of {rows} x {columns} bits is {wanted} bytes, got {len(data)}")
    return _of_int(int.from_bytes(data, "big"), rows, columns)


def _of_hex(text: Any, rows: int, columns: int) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"a hash is wanted as hexadecimal text, got {text!r}")
    wanted = -(-rows * columns // 4)
    if len(text) != wanted or not _HEXADECIMAL.issuperset(text):
        raise ValueError(
            f"a hash of {rows} x {columns} bits is {wanted} hexadecimal digits, got {text!r}"
        )
    return _of_int(int(text, 16), rows, columns)


def _from_each(
    of_one: Callable[..., bytes], values: Any, shape: tuple[SupportsIndex, SupportsIndex]
) -> Bool[np.ndarray, "*batch rows columns"]:
    """The bits of one value, or of each of many, by the function that makes bytes of one."""
    rows, columns = _rows_and_columns(shape)
    # As objects: NumPy's own bytes lose the zeros at their end.
    values = np.array(values, object)
    data = b"".join(of_one(value, rows, columns) for value in values.ravel())
    packed = np.frombuffer(data, np.uint8).reshape(values.size, -(-rows * columns // 8))
    bits = np.unpackbits(packed, axis=-1)[:, packed.shape[-1] * 8 - rows * columns :]
    return bits.astype(bool).reshape(*values.shape, rows, columns)


def from_imagehash(imagehash: Any) -> Bool[np.ndarray, "*batch rows columns"]:
    """The bits of an ``imagehash.ImageHash``, or of a list of them of one shape.

    A hash whose array is flat becomes a single row.

    Raises:
        TypeError: an object has no array of bits (for example, an ``ImageMultiHash``).
        ValueError: the hashes have several shapes, or there is none.
    """
    if isinstance(imagehash, list | tuple):
        each = [from_imagehash(one) for one in imagehash]
        shapes = sorted({bits.shape for bits in each})
        if len(shapes) != 1:
            found = " and ".join(f"{rows} x {columns}" for rows, columns in shapes) or "none"
            raise ValueError(f"hashes of one shape are wanted, got {found}")
        return np.stack(each)
    bits = getattr(imagehash, "hash", None)
    if not isinstance(bits, np.ndarray) or bits.ndim not in (1, 2):
        raise TypeError(f"not an imagehash.ImageHash: {imagehash!r}")
    return np.atleast_2d(bits).astype(bool)


def _rows_and_columns(shape: tuple[SupportsIndex, SupportsIndex]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"a hash's shape is its rows and columns, got {shape}")
    rows, columns = (whole_number(side, "each side of a hash's shape", least=1) for side in shape)
    return rows, columns


def _row_by_row(bits):
    """Bits of one axis, of NumPy or JAX."""
    if bits.ndim < 2:
        raise ValueError(f"a hash has rows and columns, got an array of shape {bits.shape}")
    return bits.astype(bool).reshape(*bits.shape[:-2], bits.shape[-2] * bits.shape[-1])


def _each(function, bits):
    """``function`` of the bytes of one hash, or of each of many, as an object array."""
    flat = _row_by_row(np.asarray(bits))
    padding = -flat.shape[-1] % 8
    packed = np.packbits(np.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(padding, 0)]), axis=-1)
    results = np.empty(packed.shape[:-1], object)
    for place in np.ndindex(results.shape):
        results[place] = function(packed[place].tobytes())
    return results[()]
