"""Hamming distances between packed hashes: single, all, within a radius, and the nearest.

Codes are unsigned 32-bit words as ``phash_jax.codes.pack`` makes them, ``[number, words]``. All
results are exact. ``distance`` and ``hex_distance`` are pure functions for use inside ``jit``; the
searches take and return host arrays, work in tiles, and can spread these over several devices. A
``radius``, ``k`` or ``max_pairs`` that is not a whole number raises a TypeError.

Distances are counted by XOR and population count. The other way, products of codes of -1 and +1,
makes XLA write every product to memory before it is compared: for codes of 64 bits on one CPU core
that took 7 times as long with int8 and 20 times with float32.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int32, Int64, Shaped, UInt32

from phash_jax.checks import whole_number

_WORD = 32
_DIGIT = 4
_SHARD = "lanes"
_LAST_BIT_OF_DIGITS = np.uint32(0x11111111)
# Words compared in one straight piece of code; more are not faster and take longer to compile.
_WORDS_UNROLLED = 64
_MOST_BYTES_OF_HITS = 2**24
_MOST_CHUNKS_OF_HITS = 16
_HITS_AT_ONCE = 2**12
_NEAREST_QUERIES, _NEAREST_GROUPS = 128, 4096
# Of all groups in which the nearest codes of a query are sought, together.
_NEAREST_MEMBERS = 4096


class _Tile(NamedTuple):
    """How lanes are compared with the rows, which come in blocks of up to 32.

    There are as many lanes as ``lanes`` and ``lane_words``, their words together, allow. With
    ``in_steps`` they are compared with one block after another, else with all rows in one
    operation. Where pairs are listed, ``blocks`` of rows share one answer whether there is a hit
    for a lane; to write more takes longer than to compare.
    """

    lanes: int
    lane_words: int
    blocks: int
    in_steps: bool


# On a CPU a step must stay so small that XLA does not split it among threads, which takes longer
# than the step (4 to 7 times, for twice as many lanes). An accelerator wants many threads, and a
# GPU waits for the host in every step of a loop whose end is not known before it starts; so there
# rows are compared too that do not count. Its sizes are estimates, none was at hand.
_TILES: dict[str, _Tile] = {
    "cpu": _Tile(lanes=256, lane_words=2**11, blocks=4, in_steps=True),
    "gpu": _Tile(lanes=8192, lane_words=2**18, blocks=1, in_steps=False),
    "tpu": _Tile(lanes=8192, lane_words=2**18, blocks=1, in_steps=False),
}


class Pairs(NamedTuple):
    """Pairs of codes within a radius, sorted by ``left``, then by ``right``.

    Attributes:
        left: int64 ``[pairs]``, index of the first code.
        right: int64 ``[pairs]``, index of the second code.
        distance: int32 ``[pairs]``, differing bits.
        total: how many pairs there are; more than are listed if ``max_pairs`` cut the list.
    """

    left: Int64[np.ndarray, " pairs"]
    right: Int64[np.ndarray, " pairs"]
    distance: Int32[np.ndarray, " pairs"]
    total: int


class Nearest(NamedTuple):
    """The nearest codes of each query, the nearest first.

    Attributes:
        index: int32 ``[queries, k]``, indices of codes; of equally near ones the lower first.
        distance: int32 ``[queries, k]``, differing bits.
    """

    index: Int32[np.ndarray, "queries k"]
    distance: Int32[np.ndarray, "queries k"]


def distance(a: ArrayLike, b: ArrayLike) -> Int32[Array, "*batch"]:
    """Number of differing bits.

    Args:
        a: packed codes, uint32 ``[..., words]``.
        b: packed codes; leading axes broadcast against those of ``a``.

    Raises:
        ValueError: not uint32, or not the same number of words.
        TypeError: leading axes that do not broadcast.
    """
    a, b = _with_words(a, "a"), _with_words(b, "b")
    _check_same_words(a, b)
    return _bits(jnp.asarray(a) ^ b)


def hex_distance(a: ArrayLike, b: ArrayLike) -> Int32[Array, "*batch"]:
    """Number of differing hexadecimal digits, as the study of 2017 counted.

    The digits are those of ``phash_jax.codes.to_hex``; the zeros that pad a code on the left are
    the same in all codes and add nothing.

    Args:
        a: packed codes, uint32 ``[..., words]``.
        b: packed codes; leading axes broadcast against those of ``a``.

    Raises:
        ValueError: not uint32, or not the same number of words.
        TypeError: leading axes that do not broadcast.
    """
    a, b = _with_words(a, "a"), _with_words(b, "b")
    _check_same_words(a, b)
    differing = jnp.asarray(a) ^ b
    any_bit = functools.reduce(jnp.bitwise_or, [differing >> i for i in range(_DIGIT)])
    return _bits(any_bit & _LAST_BIT_OF_DIGITS)


def all_distances(a: ArrayLike, b: ArrayLike | None = None) -> Int32[Array, "left right"]:
    """The whole matrix of ``distance``; 4 bytes a pair, so for some thousands of codes only.

    Args:
        a: packed codes, uint32 ``[left, words]``.
        b: packed codes, uint32 ``[right, words]``, by default ``a``.

    Raises:
        ValueError: not uint32, not two axes, or not the same number of words.
    """
    a, b = _listed(a, "a"), _listed(a if b is None else b, "b")
    return _all_distances(a, b)


@jax.jit
def _all_distances(a, b):
    # Of codes split over an explicit mesh axis the matrix is split likewise, and by rows alone.
    rows, columns = jax.typeof(a).sharding, jax.typeof(b).sharding
    if rows.spec[0] is not None and rows.spec[0] == columns.spec[0]:
        b = jax.sharding.reshard(b, NamedSharding(columns.mesh, PartitionSpec()))
    # Compiled, so that the differing words of all pairs are never in memory.
    return distance(a[:, None], b[None])


def count_within(
    a: ArrayLike,
    b: ArrayLike | None = None,
    *,
    radius: int,
    devices: Sequence[jax.Device] | None = None,
) -> int:
    """Number of pairs whose codes differ in at most ``radius`` bits.

    Args:
        a: packed codes, uint32 ``[left, words]``.
        b: packed codes, uint32 ``[right, words]``: all ``left * right`` pairs count. By default the
            pairs of ``a`` count, each once and no code with itself.
        radius: largest distance, bits.
        devices: where to compute, by default on all devices of this process.

    Raises:
        ValueError: not uint32, not two axes, not the same number of words, a negative radius, or
            no devices.
    """
    search = _search(a, b, radius=radius, devices=devices)
    if b is not None and len(search.lanes) < len(search.rows):
        # The longer list fills the lanes.
        search = _search(b, a, radius=radius, devices=devices)
    return int(_counts(search).sum())


def pairs_within(
    a: ArrayLike,
    b: ArrayLike | None = None,
    *,
    radius: int,
    max_pairs: int,
    devices: Sequence[jax.Device] | None = None,
) -> Pairs:
    """The pairs whose codes differ in at most ``radius`` bits.

    Counts the pairs of every code first, then looks only where some are.

    Args:
        a: packed codes, uint32 ``[left, words]``.
        b: packed codes, uint32 ``[right, words]``: all ``left * right`` pairs are searched. By
            default the pairs ``left < right`` of ``a`` are.
        radius: largest distance, bits.
        max_pairs: how many pairs are listed at most, the first ones in the order of ``Pairs``;
            ``total`` counts all of them.
        devices: where to compute, by default on all devices of this process.

    Raises:
        ValueError: not uint32, not two axes, not the same number of words, a negative radius, a
            negative ``max_pairs``, or no devices.
    """
    max_pairs = whole_number(max_pairs, "max_pairs", least=0)
    search = _search(a, b, radius=radius, devices=devices)
    counts = _counts(search)
    listed_before = np.cumsum(counts) - counts
    left, right = _positions(search, np.flatnonzero((counts > 0) & (listed_before < max_pairs)))
    left, right = left[:max_pairs], right[:max_pairs]
    differing = search.lanes[left] ^ search.rows[right]
    bits = np.bitwise_count(differing).sum(axis=-1, dtype=np.int32)
    return Pairs(left, right, bits, int(counts.sum()))


def k_nearest(
    queries: ArrayLike,
    codes: ArrayLike,
    *,
    k: int,
    devices: Sequence[jax.Device] | None = None,
) -> Nearest:
    """The ``k`` codes nearest to each query; ties go to the lower index.

    Args:
        queries: packed codes, uint32 ``[queries, words]``.
        codes: packed codes, uint32 ``[codes, words]``.
        k: how many, 1 to the number of codes.
        devices: where to compute, by default on all devices of this process.

    Raises:
        ValueError: not uint32, not two axes, not the same number of words, ``k`` out of range, or
            no devices.
    """
    queries, codes = np.asarray(_listed(queries, "queries")), np.asarray(_listed(codes, "codes"))
    _check_same_words(queries, codes)
    k = whole_number(k, "k", least=1)
    if k > len(codes):
        raise ValueError(f"k must be from 1 to the number of codes, {len(codes)}, got {k}")
    mesh = _mesh(devices)
    if not len(queries):
        return Nearest(*np.zeros((2, 0, k), np.int32))
    num_words, tile = codes.shape[1], _tile(mesh, codes.shape[1])
    size = _power_of_two(len(queries), at_most=min(tile.lanes, _NEAREST_QUERIES))
    most = max(1, min(_WORDS_UNROLLED // num_words, _NEAREST_MEMBERS // k))
    group = _power_of_two(_WORD, at_most=most)
    num_groups = -(-len(codes) // group)
    length = _power_of_two(num_groups, at_most=_NEAREST_GROUPS)
    # Repeated, the last code does not come nearer.
    tiles = np.pad(codes, ((0, -len(codes) % (group * length)), (0, 0)), mode="edge")
    tiles = tiles.reshape(-1, length, group, num_words)
    tiles, number = _on_all((tiles, np.int32(len(codes))), mesh)
    # The caller may be within a mesh of its own.
    with jax.set_mesh(mesh):
        index, bits = _nearest(
            mesh,
            tile.in_steps,
            _deal(queries, size, mesh),
            tiles,
            number,
            k=k,
            num_chosen=min(k, num_groups),
        )
    return Nearest(_collect(index, len(queries)), _collect(bits, len(queries)))


class _Search(NamedTuple):
    """A checked search: each lane against the rows from its start on.

    Attributes:
        lanes: uint32 ``[lanes, words]``, the left codes.
        start: int32 ``[lanes]``, for each lane the first row that counts.
        rows: uint32 ``[rows, words]``, the right codes.
        radius: largest distance, bits.
        mesh: the devices that share the lanes.
    """

    lanes: UInt32[np.ndarray, "lanes words"]
    start: Int32[np.ndarray, " lanes"]
    rows: UInt32[np.ndarray, "rows words"]
    radius: int
    mesh: Mesh


def _with_words(array: ArrayLike, name: str) -> Shaped[ArrayLike, "..."]:
    """``array``, if it can be packed codes."""
    array = array if isinstance(array, jax.Array) else np.asarray(array)
    if array.dtype != np.uint32:
        raise ValueError(
            f"{name} must be codes packed in uint32 words (see phash_jax.codes.pack), "
            f"got {array.dtype}"
        )
    if not array.ndim or not array.shape[-1]:
        raise ValueError(f"{name} must have its words on the last axis, got shape {array.shape}")
    return array


def _listed(array: ArrayLike, name: str) -> Shaped[ArrayLike, "number words"]:
    """``array``, if it can be a list of packed codes."""
    array = _with_words(array, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape [number, words], got {array.shape}")
    return array


def _check_same_words(a: Shaped[ArrayLike, "..."], b: Shaped[ArrayLike, "..."]) -> None:
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"codes of {a.shape[-1]} and of {b.shape[-1]} words cannot be compared: "
            "they are hashes of different sizes"
        )


def _mesh(devices: Sequence[jax.Device] | None) -> Mesh:
    devices = jax.local_devices() if devices is None else devices
    if not len(devices):
        raise ValueError(
            "devices must name at least one device, or be None for all of this process"
        )
    return Mesh(np.array(devices), (_SHARD,))


def _search(a, b, *, radius: int, devices: Sequence[jax.Device] | None) -> _Search:
    lanes = np.asarray(_listed(a, "a"))
    rows = lanes if b is None else np.asarray(_listed(b, "b"))
    _check_same_words(lanes, rows)
    radius = whole_number(radius, "radius", least=0)
    start = np.arange(1, len(lanes) + 1) if b is None else np.zeros(len(lanes))
    radius = min(radius, _WORD * lanes.shape[1])
    return _Search(lanes, start.astype(np.int32), rows, radius, _mesh(devices))


def _counts(search: _Search) -> Int64[np.ndarray, " lanes"]:
    """How many of its rows each lane has within the radius."""
    if not (len(search.lanes) and len(search.rows)):
        return np.zeros(len(search.lanes), np.int64)
    tile = _tile(search.mesh, search.lanes.shape[1])
    share = -(-len(search.lanes) // search.mesh.size)
    size = _power_of_two(share, at_most=tile.lanes)
    # The caller may be within a mesh of its own.
    with jax.set_mesh(search.mesh):
        counts = _count(
            search.mesh,
            tile.in_steps,
            _deal(search.lanes, size, search.mesh),
            _deal(search.start, size, search.mesh),
            *_on_all(_row_blocks(search.rows, search.radius, tile), search.mesh),
        )
    return _collect(counts, len(search.lanes)).astype(np.int64)


def _positions(
    search: _Search, chosen: Int64[np.ndarray, " chosen"]
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """All pairs of the chosen lanes, sorted by lane, then by row."""
    found = [np.zeros((2, 0), np.int64)]
    if len(chosen):
        mesh, tile = search.mesh, _tile(search.mesh, search.lanes.shape[1])
        rows, radii = _row_blocks(search.rows, search.radius, tile)
        members = np.arange(radii.size).reshape(-1, tile.blocks * radii.shape[1])
        rows, radii = _on_all((rows, radii), mesh)
        affordable = max(1, _MOST_BYTES_OF_HITS // (mesh.size * len(members)))
        most = min(affordable, _MOST_CHUNKS_OF_HITS * tile.lanes)
        share = _power_of_two(-(-len(chosen) // mesh.size), at_most=most)
        size = min(share, tile.lanes)
        for first in range(0, len(chosen), share * mesh.size):
            batch = chosen[first : first + share * mesh.size]
            # All batches of one size are one compilation.
            filled = np.pad(batch, (0, share * mesh.size - len(batch)), mode="edge")
            lanes = _deal(search.lanes[filled], size, mesh)
            with jax.set_mesh(mesh):
                hits = np.asarray(_hits(mesh, tile, lanes, rows, radii))
            device, chunk, segment, lane = np.unravel_index(np.flatnonzero(hits), hits.shape)
            lane = (chunk * mesh.size + device) * size + lane
            segment, lane = segment[lane < len(batch)], lane[lane < len(batch)]
            lane, row = _expand(search, batch[lane], segment, members)
            found.append(np.stack([lane, row])[:, np.lexsort((row, lane))])
    left, right = np.concatenate(found, axis=1)
    return left, right


def _expand(
    search: _Search,
    lane: Int64[np.ndarray, " hits"],
    segment: Int64[np.ndarray, " hits"],
    members: Int64[np.ndarray, "segments size"],
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """The pairs of each lane with the rows of its segment, as far as they count."""
    found = [np.zeros((2, 0), np.int64)]
    for first in range(0, len(lane), _HITS_AT_ONCE):
        lanes = lane[first : first + _HITS_AT_ONCE, None]
        candidates = members[segment[first : first + _HITS_AT_ONCE]]
        counted = (candidates >= search.start[lanes]) & (candidates < len(search.rows))
        candidates = np.where(counted, candidates, 0)
        bits = np.zeros(candidates.shape, np.int32)
        for left, right in zip(search.lanes.T, search.rows.T, strict=True):
            bits += np.bitwise_count(left[lanes] ^ right[candidates])
        hit, place = np.nonzero(counted & (bits <= search.radius))
        found.append(np.stack([lanes[hit, 0], candidates[hit, place]]))
    lane, row = np.concatenate(found, axis=1)
    return lane, row


def _tile(mesh: Mesh, num_words: int) -> _Tile:
    tile = _TILES.get(mesh.devices.flat[0].platform, _TILES["gpu"])
    most = max(1, tile.lane_words // num_words)
    return tile._replace(lanes=_power_of_two(tile.lanes, at_most=most))


def _power_of_two(size: int, *, at_most: int) -> int:
    """The power of two from ``size`` on, or the last one up to ``at_most``.

    Of few different sizes few compilations are made.
    """
    return 2 ** min((size - 1).bit_length(), at_most.bit_length() - 1)


def _deal(values: np.ndarray, size: int, mesh: Mesh) -> jax.Array:
    """``[devices, chunks, ..., size]``: dealt out in turn, since the first chunks have most to do.

    The padding repeats the last value, so that all lanes of a chunk start near each other.
    """
    padding = [(0, -len(values) % (size * mesh.size))] + [(0, 0)] * (values.ndim - 1)
    chunks = np.pad(values, padding, mode="edge").reshape(-1, mesh.size, size, *values.shape[1:])
    dealt = np.moveaxis(chunks.swapaxes(0, 1), 2, -1)
    return jax.device_put(dealt, NamedSharding(mesh, PartitionSpec(_SHARD)))


def _on_all(tree: tuple, mesh: Mesh) -> tuple:
    """The same arrays on every device; put there by name, as some users forbid silent transfers."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def _collect(dealt: jax.Array, number: int) -> np.ndarray:
    """The inverse of ``_deal`` for results ``[devices, chunks, size, ...]``, free to be changed."""
    chunks = np.array(dealt).swapaxes(0, 1)
    return chunks.reshape(-1, *chunks.shape[3:])[:number]


def _row_blocks(rows: np.ndarray, radius: int, tile: _Tile) -> tuple[np.ndarray, np.ndarray]:
    """Rows as ``[blocks, rows of a block, words]``, and the radius of every row.

    The rows of the padding get a radius that no distance is within.
    """
    num_words = rows.shape[1]
    block = min(_WORD, max(1, _WORDS_UNROLLED // num_words))
    padding = (0, -len(rows) % (block * tile.blocks))
    radii = np.pad(np.full(len(rows), radius, np.int32), padding, constant_values=-1)
    rows = np.pad(rows, (padding, (0, 0)))
    return rows.reshape(-1, block, num_words), radii.reshape(-1, block)


def _bits(differing: UInt32[Array, "*batch words"]) -> Int32[Array, "*batch"]:
    return jnp.sum(lax.population_count(differing), axis=-1, dtype=jnp.int32)


def _apart(
    lanes: UInt32[Array, "words lanes"], rows: UInt32[Array, "*rows words"]
) -> Int32[Array, "*rows lanes"]:
    """How many bits differ.

    Words are written out: so all that lies between them and what is made of the result stays in
    registers.
    """
    differing = [rows[..., w, None] ^ lanes[w] for w in range(len(lanes))]
    bits = functools.reduce(jnp.add, map(lax.population_count, differing))
    return bits.astype(jnp.int32)


def _within(
    lanes: UInt32[Array, "words lanes"],
    rows: UInt32[Array, "*rows words"],
    radii: Int32[Array, "*rows"],
) -> Bool[Array, "*rows lanes"]:
    """Which lanes are within the radius of the rows."""
    return _apart(lanes, rows) <= radii[..., None]


def _within_each(
    lanes: UInt32[Array, "words lanes"],
    rows: UInt32[Array, "block words"],
    radii: Int32[Array, " block"],
) -> list[Bool[Array, " lanes"]]:
    """``_within`` for each row of a block, written out: XLA:CPU makes vector instructions of it."""
    return [_within(lanes, rows[i], radii[i]) for i in range(len(rows))]


def _add(counts: Int32[Array, " lanes"], hits: list[Bool[Array, " lanes"]]):
    return sum((hit.astype(jnp.int32) for hit in hits), counts)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _count(
    mesh: Mesh,
    in_steps: bool,
    lanes: UInt32[Array, "devices chunks words lanes"],
    start: Int32[Array, "devices chunks lanes"],
    rows: UInt32[Array, "blocks block words"],
    radii: Int32[Array, "blocks block"],
) -> Int32[Array, "devices chunks lanes"]:
    """How many of the rows from its start on each lane is within the radius of."""
    num_blocks, block = radii.shape

    def at_once(chunk):
        lanes, start = chunk
        row = jnp.arange(radii.size, dtype=jnp.int32).reshape(radii.shape)[..., None]
        hits = _within(lanes, rows, radii) & (row >= start)
        return jnp.sum(hits, axis=(0, 1), dtype=jnp.int32)

    def step_by_step(chunk):
        lanes, start = chunk

        def add(step, counts):
            return _add(counts, _within_each(lanes, rows[step], radii[step]))

        def add_from_start(step, counts):
            hits = _within_each(lanes, rows[step], radii[step])
            return _add(counts, [hit & (step * block + i >= start) for i, hit in enumerate(hits)])

        all_started = jnp.minimum(num_blocks, -(-jnp.max(start) // block))
        counts = jnp.zeros(lanes.shape[1], jnp.int32)
        counts = lax.fori_loop(jnp.min(start) // block, all_started, add_from_start, counts)
        return lax.fori_loop(all_started, num_blocks, add, counts)

    of_chunk = step_by_step if in_steps else at_once
    return _over_devices(lambda *shares: lax.map(of_chunk, shares), mesh)(lanes, start)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _hits(
    mesh: Mesh,
    tile: _Tile,
    lanes: UInt32[Array, "devices chunks words lanes"],
    rows: UInt32[Array, "blocks block words"],
    radii: Int32[Array, "blocks block"],
) -> Bool[Array, "devices chunks segments lanes"]:
    """Whether the lane is within the radius of any row of ``tile.blocks`` blocks."""
    num_blocks, block = radii.shape

    def at_once(lanes):
        segments = (-1, tile.blocks * block)
        hits = _within(lanes, rows.reshape(*segments, rows.shape[-1]), radii.reshape(segments))
        return jnp.any(hits, axis=1)

    def step_by_step(lanes):
        def add(step, counts):
            return _add(counts, _within_each(lanes, rows[step], radii[step]))

        def of_segment(first):
            none = jnp.zeros(lanes.shape[1], jnp.int32)
            # Of booleans joined by OR XLA:CPU makes slower code.
            return lax.fori_loop(first, first + tile.blocks, add, none) > 0

        return lax.map(of_segment, jnp.arange(0, num_blocks, tile.blocks, dtype=jnp.int32))

    of_chunk = step_by_step if tile.in_steps else at_once
    return _over_devices(lambda share: lax.map(of_chunk, share), mesh)(lanes)


@functools.partial(jax.jit, static_argnums=(0, 1), static_argnames=("k", "num_chosen"))
def _nearest(
    mesh: Mesh,
    in_steps: bool,
    queries: UInt32[Array, "devices chunks words queries"],
    tiles: UInt32[Array, "tiles groups group words"],
    num_codes: Int32[ArrayLike, ""],
    *,
    k: int,
    num_chosen: int,
) -> tuple[Int32[Array, "devices chunks queries k"], Int32[Array, "devices chunks queries k"]]:
    """The nearest codes, sought only in the groups whose nearest codes are nearest.

    A code that is not in the first ``k`` groups, by their least distance and then by their index,
    has a code before it in each of these.
    """
    num_tiles, num_groups, group, num_words = tiles.shape

    def of_chunk(queries, codes):
        def at_once(groups):
            return _apart(queries, groups).min(1)

        def step_by_step(groups):
            def least(rows):
                return functools.reduce(jnp.minimum, [_apart(queries, row) for row in rows])

            return lax.map(least, groups)

        least_apart = step_by_step if in_steps else at_once

        def merge(best, numbered_tile):
            tile, groups = numbered_tile
            index = tile * num_groups + jnp.arange(num_groups, dtype=jnp.int32)
            nearness = jnp.where(index * group < num_codes, -least_apart(groups).T, -jnp.inf)
            # Of equal values top_k prefers those before: the lower indices.
            candidates = jnp.concatenate([best[0], nearness], axis=1)
            indices = jnp.concatenate([best[1], jnp.broadcast_to(index, nearness.shape)], axis=1)
            nearness, place = lax.top_k(candidates, num_chosen)
            return (nearness, jnp.take_along_axis(indices, place, axis=1)), None

        shape = (queries.shape[1], num_chosen)
        none = (jnp.full(shape, -jnp.inf, jnp.float32), jnp.zeros(shape, jnp.int32))
        numbered = (jnp.arange(num_tiles, dtype=jnp.int32), tiles)
        (_, chosen), _ = lax.scan(merge, none, numbered)
        members = jnp.sort(chosen, axis=1)[..., None] * group + jnp.arange(group, dtype=jnp.int32)
        members = members.reshape(len(members), num_chosen * group)
        bits = _bits(queries.T[:, None] ^ codes[members]).astype(jnp.float32)
        nearness, place = lax.top_k(jnp.where(members < num_codes, -bits, -jnp.inf), k)
        return jnp.take_along_axis(members, place, axis=1), -nearness.astype(jnp.int32)

    def of_share(chunks, codes):
        return lax.map(lambda chunk: of_chunk(chunk, codes), chunks)

    return _over_devices(of_share, mesh, tiles.reshape(-1, num_words))(queries)


def _over_devices(of_share: Callable, mesh: Mesh, *on_all: jax.Array) -> Callable:
    """``of_share`` of each device's parts of the first axes, and of all of ``on_all``.

    Closed-over arrays are on all devices too, but cannot be indexed by arrays.
    """
    mapped = jax.shard_map(
        lambda shares, on_all: jax.tree.map(
            lambda leaf: leaf[None], of_share(*(share[0] for share in shares), *on_all)
        ),
        mesh=mesh,
        in_specs=(PartitionSpec(_SHARD), PartitionSpec()),
        out_specs=PartitionSpec(_SHARD),
        # No result depends on what other devices found.
        check_vma=False,
    )
    return lambda *shares: mapped(shares, on_all)
