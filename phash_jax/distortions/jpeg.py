"""JPEG compression of CIFAR-10-C, bit for bit as Pillow's libjpeg-turbo compresses and decodes.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (2019), with the parameters for CIFAR-10 (robustness, make_cifar_c.py). Only the
lossy steps are done, in the integers of libjpeg: colours, chroma at half the size, the accurate
integer cosine transform, quantisation, and back with smooth chroma. Coding to bytes loses nothing.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Key, UInt8

from phash_jax.distortions.severity import Severity, at_severity, unless_clean
from phash_jax.fusion import apart

_QUALITY = (80, 65, 58, 50, 40)

# The standard's example tables (ITU-T T.81, annex K), which libjpeg scales.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
_SIDE = 8
_CENTRE = 128

# Cosines in 2^-13, and bits kept between the two passes of a transform.
_COSINE_BITS, _PASS_BITS = 13, 2


def jpeg_compression(
    key: Key[Array, ""], image: UInt8[Array, "h w 3"], severity: Severity
) -> UInt8[Array, "h w 3"]:
    """Compresses as JPEG of quality 80 to 40, chroma 4:2:0, and decodes.

    Args:
        key: not used.
        image: one uint8 image, 0 to 255, RGB, any size.
        severity: 0 (the identity) to 5.
    """
    luma_table, chroma_table = (
        at_severity([_scaled(table, quality) for quality in _QUALITY], severity)
        for table in (_LUMA, _CHROMA)
    )
    luma, blue, red = _to_ycc(image)
    height, width = luma.shape
    luma = _lossy(_padded(luma, _SIDE, _SIDE), luma_table)[:height, :width]
    blue, red = (
        _doubled(
            _lossy(_halved(plane), chroma_table)[: -(-height // 2), : -(-width // 2)],
            height=height,
            width=width,
        )
        for plane in (blue, red)
    )
    return unless_clean(severity, image, _to_rgb(luma, blue, red))


def _scaled(table, quality: int) -> Int32[np.ndarray, "8 8"]:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(table) * percent + 50) // 100, 1, 255).astype(np.int32)


def _fixed(value: float) -> int:
    return int(value * 65536 + 0.5)


@apart
def _to_ycc(image: UInt8[Array, "h w 3"]) -> tuple[Int32[Array, "h w"], ...]:
    red, green, blue = jnp.moveaxis(image.astype(jnp.int32), -1, 0)
    half = 1 << 15
    centre = (_CENTRE << 16) + half - 1
    luma = _fixed(0.299) * red + _fixed(0.587) * green + _fixed(0.114) * blue + half
    to_blue = _fixed(0.5) * blue - _fixed(0.16874) * red - _fixed(0.33126) * green + centre
    to_red = _fixed(0.5) * red - _fixed(0.41869) * green - _fixed(0.08131) * blue + centre
    return luma >> 16, to_blue >> 16, to_red >> 16


@apart
def _to_rgb(
    luma: Int32[Array, "h w"], blue: Int32[Array, "h w"], red: Int32[Array, "h w"]
) -> UInt8[Array, "h w 3"]:
    half = 1 << 15
    blue, red = blue - _CENTRE, red - _CENTRE
    planes = (
        luma + ((_fixed(1.402) * red + half) >> 16),
        luma + ((half - _fixed(0.34414) * blue - _fixed(0.71414) * red) >> 16),
        luma + ((_fixed(1.772) * blue + half) >> 16),
    )
    return jnp.clip(jnp.stack(planes, -1), 0, 255).astype(jnp.uint8)


def _padded(plane: Int32[Array, "h w"], rows: int, columns: int) -> Int32[Array, "_ _"]:
    """Repeats the last row and column up to multiples of ``rows`` and ``columns``."""
    height, width = plane.shape
    return jnp.pad(plane, ((0, -height % rows), (0, -width % columns)), mode="edge")


def _halved(plane: Int32[Array, "h w"]) -> Int32[Array, "_ _"]:
    """Means of 2x2, with whole blocks; halves are rounded down and up alternately along a row."""
    plane = _padded(plane, 2, 2 * _SIDE)
    height, width = plane.shape
    rows = plane.reshape(height // 2, 2, width)
    total = rows.reshape(height // 2, 2, width // 2, 2).sum((1, 3))
    return _padded((total + 1 + jnp.arange(width // 2) % 2) >> 2, _SIDE, _SIDE)


@functools.partial(apart, static_argnames=("height", "width"))
def _doubled(
    plane: Int32[Array, "a b"], *, height: int, width: int
) -> Int32[Array, "{height} {width}"]:
    """Twice as high and wide: three parts of the nearest to one of the next along either axis."""
    if plane.shape[1] <= 2:
        # Too narrow for libjpeg to smooth.
        return jnp.repeat(jnp.repeat(plane, 2, 0), 2, 1)[:height, :width]
    above, below = (
        jnp.pad(plane, pad, mode="edge") for pad in (((1, 0), (0, 0)), ((0, 1), (0, 0)))
    )
    rows = jnp.stack([3 * plane + above[:-1], 3 * plane + below[1:]], 1)
    rows = rows.reshape(-1, plane.shape[1])
    left, right = (jnp.pad(rows, pad, mode="edge") for pad in (((0, 0), (1, 0)), ((0, 0), (0, 1))))
    columns = [(3 * rows + left[:, :-1] + 8) >> 4, (3 * rows + right[:, 1:] + 7) >> 4]
    return jnp.stack(columns, -1).reshape(len(rows), -1)[:height, :width]


def _lossy(plane: Int32[Array, "h w"], table: Int32[Array, "8 8"]) -> Int32[Array, "h w"]:
    """Transforms, quantises and transforms back every 8x8 block."""
    height, width = plane.shape
    # [y in the block, x in the block, rows of blocks, columns of blocks]
    # One axis at a time: a reshape of sharded images may split or join no more.
    by_rows = (height // _SIDE, _SIDE, width)
    blocks = plane.reshape(by_rows).reshape(*by_rows[:2], width // _SIDE, _SIDE)
    blocks = blocks.transpose(1, 3, 0, 2)
    table = table[..., None, None]
    rows = _forward([blocks[:, x] - _CENTRE for x in range(_SIDE)], last=False)
    coefficients = jnp.stack(
        _forward([jnp.stack([row[y] for row in rows]) for y in range(_SIDE)], last=True)
    )
    # The forward transform's results are 8 times too large; divided and rounded away from 0.
    divisor = 8 * table
    size = (jnp.abs(coefficients) + divisor // 2) // divisor
    restored = jnp.sign(coefficients) * size * table
    columns = _inverse([restored[y] for y in range(_SIDE)], last=False)
    pixels = _inverse([jnp.stack([c[x] for c in columns]) for x in range(_SIDE)], last=True)
    blocks = jnp.clip(jnp.stack(pixels, 1) + _CENTRE, 0, 255)
    return blocks.transpose(2, 0, 3, 1).reshape(by_rows).reshape(height, width)


def _descale(value, bits: int):
    return (value + (1 << (bits - 1))) >> bits


# Sums and differences of cosines in 2^-13, as in the algorithm of Loeffler, Ligtenberg and
# Moschytz (1989), which libjpeg's accurate integer transform follows.
_C = {
    name: int(value * 2**_COSINE_BITS + 0.5)
    for name, value in {
        "0.298": 0.298631336,
        "0.390": 0.390180644,
        "0.541": 0.541196100,
        "0.765": 0.765366865,
        "0.899": 0.899976223,
        "1.175": 1.175875602,
        "1.501": 1.501321110,
        "1.847": 1.847759065,
        "1.961": 1.961570560,
        "2.053": 2.053119869,
        "2.562": 2.562915447,
        "3.072": 3.072711026,
    }.items()
}


def _odd(a, b, c, d):
    """The odd half, of either direction: four values to four sums."""
    both = (a + b + c + d) * _C["1.175"]
    outer, inner = (a + d) * -_C["0.899"], (b + c) * -_C["2.562"]
    first, second = both + (a + c) * -_C["1.961"], both + (b + d) * -_C["0.390"]
    return (
        a * _C["0.298"] + outer + first,
        b * _C["2.053"] + inner + second,
        c * _C["3.072"] + inner + first,
        d * _C["1.501"] + outer + second,
    )


def _forward(values: list, *, last: bool) -> list:
    """Eight values to eight coefficients; the first pass keeps two bits, the last drops them."""
    sums = [values[i] + values[7 - i] for i in range(4)]
    differences = [values[i] - values[7 - i] for i in range(4)]
    even, even_difference = sums[0] + sums[3], sums[0] - sums[3]
    middle, middle_difference = sums[1] + sums[2], sums[1] - sums[2]
    bits = _COSINE_BITS + (_PASS_BITS if last else -_PASS_BITS)

    def plain(value):
        return _descale(value, _PASS_BITS) if last else value << _PASS_BITS

    turned = (middle_difference + even_difference) * _C["0.541"]
    seventh, fifth, third, first = _odd(*differences[::-1])
    return [
        plain(even + middle),
        _descale(first, bits),
        _descale(turned + even_difference * _C["0.765"], bits),
        _descale(third, bits),
        plain(even - middle),
        _descale(fifth, bits),
        _descale(turned - middle_difference * _C["1.847"], bits),
        _descale(seventh, bits),
    ]


def _inverse(values: list, *, last: bool) -> list:
    """Eight coefficients to eight values; the last pass also divides by 8."""
    turned = (values[2] + values[6]) * _C["0.541"]
    low, high = turned + values[2] * _C["0.765"], turned - values[6] * _C["1.847"]
    both = (values[0] + values[4]) << _COSINE_BITS
    difference = (values[0] - values[4]) << _COSINE_BITS
    even = [both + low, difference + high, difference - high, both - low]
    odd = _odd(values[7], values[5], values[3], values[1])[::-1]
    bits = _COSINE_BITS + (_PASS_BITS + 3 if last else -_PASS_BITS)
    halves = list(zip(even, odd, strict=True))
    return [_descale(e + o, bits) for e, o in halves] + [
        _descale(e - o, bits) for e, o in reversed(halves)
    ]
