"""Cells of one colour each, one of the study's distortions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, Key, UInt8

# A pixel's own grid cell holds a site within sqrt(2) cells; sites three cells off are 2 cells away.
_REACH = 2


def crystallize(
    key: Key[Array, ""], image: UInt8[Array, "h w c"], *, cell_size: int
) -> UInt8[Array, "h w c"]:
    """Fills the Voronoi cells of random sites with their mean colours, as "crystallize" filters do.

    One site lies in every square of a grid, anywhere in it with the same probability. Means are
    rounded to the nearest integer.

    Args:
        key: decides where the sites lie.
        image: one uint8 image, 0 to 255, any size.
        cell_size: side of the grid's squares, pixels; 1 is the identity. Static.

    Raises:
        ValueError: ``cell_size`` is below 1.
    """
    if cell_size < 1:
        raise ValueError(f"cell_size must be 1 pixel or more, got {cell_size}")
    if cell_size == 1:
        return image
    height, width, channels = image.shape
    cell, num_cells = voronoi(key, height=height, width=width, cell_size=cell_size)
    values = image.reshape(-1, channels).astype(jnp.int32)
    total = jax.ops.segment_sum(values, cell.ravel(), num_segments=num_cells)
    count = jax.ops.segment_sum(jnp.ones_like(values[:, :1]), cell.ravel(), num_segments=num_cells)
    mean = (2 * total + count) // jnp.maximum(1, 2 * count)
    return mean[cell].astype(jnp.uint8)


def voronoi(
    key: Key[Array, ""], *, height: int, width: int, cell_size: int
) -> tuple[Int32[Array, "{height} {width}"], int]:
    """For every pixel the number of the nearest site, and how many sites there are.

    Only the sites of the 5x5 squares around a pixel are compared; no other can be nearer.

    Args:
        key: decides where the sites lie.
        height: of the image, pixels.
        width: of the image, pixels.
        cell_size: side of the grid's squares, pixels.
    """
    rows, columns = -(-height // cell_size), -(-width // cell_size)
    site_y, site_x = _sites(key, rows, columns, cell_size)
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    nearest = jnp.full((height, width), jnp.inf)
    cell = jnp.zeros((height, width), jnp.int32)
    for down in range(-_REACH, _REACH + 1):
        for right in range(-_REACH, _REACH + 1):
            row, column = y // cell_size + down, x // cell_size + right
            exists = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            row, column = jnp.clip(row, 0, rows - 1), jnp.clip(column, 0, columns - 1)
            distance = (y - site_y[row, column]) ** 2 + (x - site_x[row, column]) ** 2
            is_nearer = exists & (distance < nearest)
            nearest = jnp.where(is_nearer, distance, nearest)
            cell = jnp.where(is_nearer, row * columns + column, cell)
    return cell, rows * columns


def _sites(key, rows: int, columns: int, cell_size: int):
    offsets = jax.random.uniform(key, (2, rows, columns))
    corners = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"))
    return (corners + offsets) * cell_size - 0.5
