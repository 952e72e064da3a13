"""Zooming, mirroring, shifting, covering, mixing and distorting a training batch's images."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Key, UInt8
from scipy import special

from phash_jax.checks import check_image, check_uint8, choose, names
from phash_jax.distortions import CLEAN, DISTORTIONS, Distortion, choices
from phash_jax.distortions.severity import MAX_SEVERITY
from phash_jax.placement import BATCH

# Uses of an image's key.
_SEVERITY, _MOVE, _DISTORTION, _CUTOUT, _ZOOM, _MIXUP = range(6)
_QUANTILES = 4096

Augment = Callable[[Key[Array, ""], UInt8[Array, "n h w c"]], UInt8[Array, "n h w c"]]
# From a key and images to images that are each mixed with a partner, and their own share in it.
Mixup = Callable[
    [Key[Array, ""], UInt8[Array, "n h w c"]],
    tuple[UInt8[Array, "n h w c"], Float32[Array, " n"]],
]


def augment_names(text: str) -> list[str]:
    """The names in ``config.train.augment``: "clean", distortions, and groups of them.

    Raises:
        ValueError: a name is unknown.
    """
    known = {CLEAN: (CLEAN,)} | choices()
    return [name for part in names(text) for name in choose(known, part, "train.augment")]


def batch_parts(augment: str, *, mixup: float) -> int:
    """How many equal parts every device's share of a batch must have.

    Args:
        augment: ``config.train.augment``: each name in it takes an equal part.
        mixup: ``config.train.mixup``: unless it is 0, images are paired, so the number is even.

    Raises:
        ValueError: a name is unknown.
    """
    return math.lcm(max(1, len(augment_names(augment))), 2 if mixup else 1)


def check_smaller(pixels: int, image_shape: tuple[int, int, int], field: str) -> None:
    """ValueError that names the config field if images are not larger than so many pixels."""
    height, width, _ = image_shape
    if min(height, width) <= pixels:
        raise ValueError(
            f"{field} is {pixels} pixels, images are {height}x{width}: it must be below both sides"
        )


def random_move(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, flip: bool, max_shift: int
) -> UInt8[Array, "h w c"]:
    """Mirrors an image left to right with probability 1/2, and shifts it by whole pixels.

    Args:
        key: decides both.
        image: one uint8 image.
        flip: whether it may be mirrored.
        max_shift: pixels it is shifted by at most, up or down and left or right; what comes in at
            the border is the image reflected.

    Raises:
        TypeError: an image that is not uint8.
        ValueError: not one image, or one that is not larger than ``max_shift``.
    """
    check_image(image, "random_move")
    flip_key, shift_key = jax.random.split(key)
    if flip:
        # The same also where 64 bits are enabled.
        is_flipped = jax.random.uniform(flip_key, (), jnp.float32) < 0.5
        image = jnp.where(is_flipped, image[:, ::-1], image)
    if max_shift:
        check_smaller(max_shift, image.shape, "train.max_shift")
        margin = (max_shift, max_shift)
        padded = jnp.pad(image, (margin, margin, (0, 0)), mode="reflect")
        top, left = jax.random.randint(shift_key, (2,), 0, 2 * max_shift + 1, jnp.int32)
        image = lax.dynamic_slice(padded, (top, left, jnp.int32(0)), image.shape)
    return image


def random_zoom(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, max_zoom: float
) -> UInt8[Array, "h w c"]:
    """Stretches or squeezes height and width about the middle, each by a factor of its own.

    Bicubic (Keys, "Cubic convolution interpolation for digital image processing" (1981), with
    a = -0.5, as ``jax.image``), smoothed where it is squeezed, rounded. Rounding may differ by one
    gray level between backends.

    Args:
        key: decides both factors; their logarithms are uniform.
        image: one uint8 image.
        max_zoom: 0 to 1; the factors are from ``1 / (1 + max_zoom)`` to ``1 + max_zoom``. What
            comes in at the border is the image reflected.

    Raises:
        TypeError: an image that is not uint8.
        ValueError: not one image.
    """
    check_image(image, "random_zoom")
    highest = math.log1p(max_zoom)
    factors = jnp.exp(jax.random.uniform(key, (2,), jnp.float32, -highest, highest))
    # Half of what a squeezed image lacks, and the pixels that a cubic reaches to beyond.
    margins = [math.ceil(side * max_zoom / 2 + 2 * (1 + max_zoom)) for side in image.shape[:2]]
    padded = jnp.pad(image, [(margin, margin) for margin in margins] + [(0, 0)], mode="reflect")
    middle = jnp.array(image.shape[:2], jnp.float32) / 2
    zoomed = jax.image.scale_and_translate(
        padded.astype(jnp.float32),
        image.shape,
        (0, 1),
        factors,
        middle - factors * (middle + jnp.array(margins, jnp.float32)),
        method="cubic",
    )
    return jnp.clip(jnp.round(zoomed), 0, 255).astype(jnp.uint8)


def cut_out(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, side: int
) -> UInt8[Array, "h w c"]:
    """Covers a square of an image with the mean colour of the image.

    Source: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout" (2017), which covers with the mean of all images instead.

    Args:
        key: decides where the square is: its middle is any pixel with the same probability, so
            that parts of it may lie outside the image.
        image: one uint8 image.
        side: of the square, pixels; 0 covers nothing.

    Raises:
        TypeError: an image that is not uint8.
        ValueError: not one image, or one of more than 16,843,009 pixels, where a sum would
            overflow.
    """
    check_image(image, "cut_out")
    height, width, _ = image.shape
    if 255 * height * width >= 2**32:
        raise ValueError(f"an image of {height}x{width} pixels is too large to be covered")
    middle = jax.random.randint(key, (2,), 0, jnp.array([height, width]), jnp.int32)
    first = middle - side // 2

    def is_covered(size, first):
        pixels = jnp.arange(size)
        return (first <= pixels) & (pixels < first + side)

    covered = is_covered(height, first[0])[:, None] & is_covered(width, first[1])
    mean = image.sum((0, 1), dtype=jnp.uint32) // jnp.uint32(height * width)
    return jnp.where(covered[..., None], mean.astype(jnp.uint8), image)


def make_move(
    *, flip: bool = False, max_shift: int = 0, max_zoom: float = 0.0, cutout: int = 0
) -> Augment:
    """Returns ``(key, images) -> images`` for a shard's share of a batch, in a mesh axis ``batch``.

    Images are zoomed, see ``random_zoom``, mirrored and shifted, see ``random_move``, and covered,
    see ``cut_out``; each has its own key.

    Args:
        flip: see ``random_move``.
        max_shift: see ``random_move``.
        max_zoom: see ``random_zoom``; 0 for none.
        cutout: side of the square in ``cut_out``, pixels; 0 for none.
    """

    def of_image(key, image):
        zoom_key, move_key, cutout_key = (
            jax.random.fold_in(key, use) for use in (_ZOOM, _MOVE, _CUTOUT)
        )
        if max_zoom:
            image = random_zoom(zoom_key, image, max_zoom=max_zoom)
        image = random_move(move_key, image, flip=flip, max_shift=max_shift)
        return cut_out(cutout_key, image, side=cutout) if cutout else image

    def move(key: Key[Array, ""], images: UInt8[Array, "n h w c"]) -> UInt8[Array, "n h w c"]:
        return jax.vmap(of_image)(_image_keys(key, len(images)), images)

    return move


def partners(batch: Array) -> Array:
    """The partner of each image (or label) of a shard's share: the one half a batch further on.

    The pairs do not depend on the number of shards n, since each shard has every n-th image.

    Raises:
        ValueError: the number of images is odd.
    """
    if len(batch) % 2:
        raise ValueError(f"images are mixed in pairs, but there are {len(batch)}")
    return jnp.roll(batch, len(batch) // 2, axis=0)


def mix(
    image: UInt8[Array, "h w c"], partner: UInt8[Array, "h w c"], share: Float32[Array, ""]
) -> UInt8[Array, "h w c"]:
    """The weighted mean of two images, rounded; ``share`` is that of the first, 0 to 1.

    Raises:
        TypeError: images that are not uint8.
    """
    check_uint8(image, "mix")
    check_uint8(partner, "mix")
    mixed = share * image.astype(jnp.float32) + (1 - share) * partner.astype(jnp.float32)
    return jnp.round(mixed).astype(jnp.uint8)


def _quantiles_of_shares(alpha: float) -> Float32[np.ndarray, " quantiles"]:
    """From 0 to 1 in equal steps, those of ``max(b, 1 - b)`` for a ``b`` of the beta distribution.

    Both of its parameters are ``alpha``, so it is symmetric and its upper half is what is wanted.
    """
    upper_half = np.linspace(0.5, 1, _QUANTILES + 1)
    return special.betaincinv(alpha, alpha, upper_half).astype(np.float32)


def make_mixup(*, alpha: float) -> Mixup:
    """Returns ``(key, images) -> (images, shares)`` for a shard's share of a batch.

    Runs inside a mesh axis ``batch``. Every image is mixed with its partner (see ``partners``). Its
    own share, float32, is ``max(b, 1 - b)`` for a ``b`` drawn from the beta distribution, so at
    least 1/2; it is interpolated between 4,096 quantiles. Rounding may differ by one gray level
    between backends. Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).

    Args:
        alpha: both parameters of the beta distribution, above 0: values far below 1 mix little, 1
            makes all shares equally likely.
    """
    # jax.random.beta draws by rejection, and a GPU would wait for the host at every trial.
    of_shares = _quantiles_of_shares(alpha)

    def share_of(key):
        quantiles = jnp.asarray(of_shares)
        drawn = jax.random.uniform(jax.random.fold_in(key, _MIXUP), (), jnp.float32)
        whole = jnp.floor(drawn * _QUANTILES)
        place, between = whole.astype(jnp.int32), drawn * _QUANTILES - whole
        return (1 - between) * quantiles[place] + between * quantiles[place + 1]

    def mixup(key, images):
        shares = jax.vmap(share_of)(_image_keys(key, len(images)))
        return jax.vmap(mix)(images, partners(images), shares), shares

    return mixup


def make_augment(chosen: Sequence[str]) -> Augment:
    """Returns ``(key, images) -> images`` for a shard's share of a batch, in a mesh axis ``batch``.

    The share is cut into as many equal parts as there are names, one for each distortion; each
    image has its own key and its own severity, 1 to 5 with equal probability. Since batches are
    drawn at random, it is also random which images fall into which part.

    Args:
        chosen: from ``augment_names``, at least one.

    Raises:
        ValueError: (the function returned) the images cannot be cut into so many equal parts.
    """

    def of_part(distortion: Distortion):
        def of_image(key, image):
            severity_key, draw_key = (
                jax.random.fold_in(key, use) for use in (_SEVERITY, _DISTORTION)
            )
            severity = jax.random.randint(severity_key, (), 1, MAX_SEVERITY + 1, jnp.int32)
            return distortion(draw_key, image, severity)

        return jax.vmap(of_image)

    def augment(key: Key[Array, ""], images: UInt8[Array, "n h w c"]) -> UInt8[Array, "n h w c"]:
        keys = _image_keys(key, len(images))
        size, left = divmod(len(images), len(chosen))
        if left:
            raise ValueError(f"{len(images)} images cannot be split into {len(chosen)} equal parts")
        parts = []
        for i, name in enumerate(chosen):
            part = slice(i * size, (i + 1) * size)
            if name == CLEAN:
                parts.append(images[part])
            else:
                parts.append(of_part(DISTORTIONS[name])(keys[part], images[part]))
        return jnp.concatenate(parts)

    return augment


def _image_keys(key: Key[Array, ""], count: int) -> Key[Array, " n"]:
    """A key for each image of a shard's share."""
    # Numbers in the whole batch, so that the draws do not depend on the shards.
    numbers = jnp.arange(count) * lax.axis_size(BATCH) + lax.axis_index(BATCH)
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
