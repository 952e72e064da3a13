"""Cells of one colour each, one of the study's distortions."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32, Int32, Key, UInt8

from phash_jax.checks import check_image, whole_number

# A pixel's own square holds a site within sqrt(2) sides; sites three squares off are 2 sides away.
_REACH = 2
# A Voronoi cell lies within sqrt(2) sides of its site, so the sum of its values stays below 2^32.
MAX_CELL_SIZE = 1500


def crystallize(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, cell_size: int
) -> UInt8[Array, "h w c"]:
    """Fills the Voronoi cells of random sites with their mean colours, as "crystallize" filters do.

    One site lies in every square of a grid, anywhere in it with equal probability. Means are
    rounded to the nearest integer.

    Args:
        key: decides where the sites lie.
        image: one uint8 image, 0 to 255, any size.
        cell_size: side of the grid's squares, pixels, 1 to 1500; 1 is the identity. Static.

    Raises:
        TypeError: ``cell_size`` is not whole, or the image not uint8.
        ValueError: it is out of range, or the image is not one image.
    """
    check_image(image, "crystallize")
    cell_size = whole_number(cell_size, "cell_size", least=1, most=MAX_CELL_SIZE)
    if cell_size == 1:
        return image
    height, width, channels = image.shape
    cell = voronoi(key, height=height, width=width, cell_size=cell_size)
    num_cells = -(-height // cell_size) * -(-width // cell_size)
    values = image.reshape(-1, channels).astype(jnp.uint32)
    total = jax.ops.segment_sum(values, cell.ravel(), num_segments=num_cells)
    count = jax.ops.segment_sum(jnp.ones_like(values[:, :1]), cell.ravel(), num_segments=num_cells)
    mean = (total + count // 2) // jnp.maximum(1, count)
    return mean[cell].astype(jnp.uint8)


# Jitted because a loop in eager code is compiled in every call.
@functools.partial(jax.jit, static_argnames=("height", "width", "cell_size"))
def voronoi(
    key: Key[Array, ""], *, height: int, width: int, cell_size: int
) -> Int32[Array, "{height} {width}"]:
    """For every pixel the nearest site, as the number of its square, row by row.

    Only the sites of the 5x5 squares around a pixel are compared; no other can be nearer.

    Args:
        key: decides where the sites lie.
        height: of the image, pixels. Static.
        width: of the image, pixels. Static.
        cell_size: side of the grid's squares, pixels. Static.
    """
    rows, columns = -(-height // cell_size), -(-width // cell_size)
    sites = _sites(key, rows, columns, cell_size)
    numbers = jnp.arange(rows * columns, dtype=jnp.int32).reshape(rows, columns)
    # Varies over the devices of a user's shard_map only if the sites do.
    zero = 0 * sites[0, 0, 0]
    # Beyond the grid lie sites that nothing is near.
    border = ((_REACH, _REACH), (_REACH, _REACH))
    sites = jnp.pad(sites, ((0, 0), *border), constant_values=jnp.inf)
    numbers = jnp.pad(numbers, border)
    # All pixels of a square are compared with the same sites: [rows, y, columns, x], no gathers.
    y, x = (
        (jnp.arange(squares)[:, None] * cell_size + jnp.arange(min(cell_size, pixels)))
        for squares, pixels in ((rows, height), (columns, width))
    )

    def compare(step, best):
        nearest, cell = best
        offset = (step // (2 * _REACH + 1), step % (2 * _REACH + 1))
        site_y, site_x = lax.dynamic_slice(sites, (0, *offset), (2, rows, columns))
        number = lax.dynamic_slice(numbers, offset, (rows, columns))
        away_y = y[:, :, None, None] - site_y[:, None, :, None]
        away_x = x[None, None] - site_x[:, None, :, None]
        distance = away_y**2 + away_x**2
        cell = jnp.where(distance < nearest, number[:, None, :, None], cell)
        return jnp.minimum(distance, nearest), cell

    shape = (*y.shape, *x.shape)
    zeros = jnp.zeros(shape, jnp.float32) + zero
    none = (zeros + jnp.inf, zeros.astype(jnp.int32))
    _, cell = lax.fori_loop(0, (2 * _REACH + 1) ** 2, compare, none)
    # One axis at a time: a reshape of sharded images may split or join no more.
    return cell.reshape(*y.shape, x.size).reshape(y.size, x.size)[:height, :width]


def _sites(
    key: Key[Array, ""], rows: int, columns: int, cell_size: int
) -> Float32[Array, "2 {rows} {columns}"]:
    """Coordinates y and x of the sites, pixels."""
    offsets = jax.random.uniform(key, (2, rows, columns), jnp.float32)
    corners = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"))
    return (corners + offsets) * cell_size - 0.5
