"""Which images make up a step's batch: taken from those on the device, or read ahead by Grain.

Either way the same seed and step have the same batch, however many devices and processes there are.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from jax import lax
from jax.sharding import NamedSharding
from jaxtyping import Array, Int, Int32

from phash_jax import control_group, processes
from phash_jax.data.dataset import Split
from phash_jax.keys import BATCH_INDICES, step_key
from phash_jax.placement import BATCH, SEED, Placement, put

# Of the memory of a device; activations, parameters and the state of the optimizer need the rest.
_LARGEST_SHARE = 0.5
_STEPS_DRAWN_AT_ONCE = 256
_THREADS = 4


def draw_indices(
    seed: Int[Array, ""], step: Int[Array, ""], *, num_images: int, batch_size: int
) -> Int32[Array, " batch"]:
    """The images of a seed's batch at a step, drawn with replacement."""
    key = step_key(seed, BATCH_INDICES, step)
    return jax.random.randint(key, (batch_size,), 0, num_images, jnp.int32)


def check_shares(batch_size: int, *, parts: int, shards: int) -> None:
    """Checks that ``shards`` devices can each have ``parts`` equal parts of a batch.

    Raises:
        ValueError: it cannot be shared out equally.
    """
    if batch_size % (parts * shards):
        raise ValueError(
            f"train.augment and train.mixup need {parts} equal parts of the images on each of "
            f"{shards} device{'s' * (shards > 1)}, so train.batch_size must be a multiple of "
            f"{parts * shards}, not {batch_size}"
        )


def take_share(indices: Int32[Array, " batch"], *, parts: int) -> Int32[Array, " share"]:
    """The shard's own share of a batch, which has ``parts`` equal parts.

    Shard s of n takes every n-th index from the s-th on, so that each shard has images of every
    part and the part of an image does not depend on how many shards there are.

    Raises:
        ValueError: the batch cannot be shared out equally among parts and shards.
    """
    shards = lax.axis_size(BATCH)
    check_shares(len(indices), parts=parts, shards=shards)
    return indices.reshape(-1, shards)[:, lax.axis_index(BATCH)]


def is_streamed(stream: str, split: Split, placement: Placement) -> bool:
    """Whether images are read ahead for each step, as ``config.train.stream`` says.

    Args:
        stream: "always", "never", or "auto": where they would take more than half of a device's
            memory.
        split: the images.
        placement: the devices.
    """
    # Agreed on, since all processes must either read images ahead or have them on their devices.
    return processes.any_of(STREAM[stream](split.images.nbytes, placement))


def _is_too_large(num_bytes: int, placement: Placement) -> bool:
    local = placement.mesh.local_devices
    limit = (local[0].memory_stats() or {}).get("bytes_limit")
    if limit is None:
        # The devices of a CPU, and its processes, share the host's memory, or their container's.
        sharing = len(local) * processes.count_on_this_host()
        limit = min(psutil.virtual_memory().total, control_group.num_bytes()) // sharing
    return num_bytes > _LARGEST_SHARE * limit


STREAM: dict[str, Callable[[int, Placement], bool]] = {
    "auto": _is_too_large,
    "always": lambda num_bytes, placement: True,
    "never": lambda num_bytes, placement: False,
}


class _Shares:
    """What this process needs of every batch, in the order in which batches are needed.

    A source for Grain: random access by number. The groups of seeds are trained one after another
    for ``interval`` steps each, and their batches come in that order.
    """

    def __init__(
        self,
        split: Split,
        seeds: np.ndarray,
        *,
        batch_size: int,
        shards: int,
        wanted: Sequence[tuple[slice, ...]],
        start: int,
        num_steps: int,
        interval: int,
    ):
        self._split, self._seeds, self._wanted = split, seeds, wanted
        self._shards, self._start = shards, start
        self._num_steps, self._interval = num_steps, interval
        draw = functools.partial(draw_indices, num_images=len(split), batch_size=batch_size)
        of_steps = jax.vmap(jax.vmap(draw, (0, None)), (None, 0))
        self._draw = jax.jit(of_steps)
        # Grain's threads ask for neighbouring steps at the same time.
        self._drawn = functools.lru_cache(maxsize=2 * len(seeds))(self._draw_block)

    def __len__(self) -> int:
        return (self._num_steps - self._start) * len(self._seeds)

    def _draw_block(self, group: int, block: int) -> np.ndarray:
        first = block * _STEPS_DRAWN_AT_ONCE
        steps = jnp.arange(first, first + _STEPS_DRAWN_AT_ONCE, dtype=jnp.int32)
        return np.asarray(self._draw(self._seeds[group], steps))

    def _position(self, number: int) -> tuple[int, int]:
        """Group and step of the batch with a number."""
        groups = len(self._seeds)
        interval, within = divmod(number, groups * self._interval)
        first = self._start + interval * self._interval
        length = min(self._interval, self._num_steps - first)
        group, step = divmod(within, length)
        return group, first + step

    def __getitem__(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        group, step = self._position(int(number))
        block, within = divmod(step, _STEPS_DRAWN_AT_ONCE)
        indices = self._drawn(group, block)[within]
        # As take_share deals them: each shard of the batch is contiguous here.
        by_shard = indices.reshape(len(indices), -1, self._shards).swapaxes(1, 2)
        indices = by_shard.reshape(len(indices), -1)
        shares = [indices[index[:2]] for index in self._wanted]
        return [
            (np.asarray(self._split.images[share]), np.asarray(self._split.labels[share]))
            for share in shares
        ]


def stream_batches(
    split: Split,
    placement: Placement,
    *,
    seeds: Sequence[int],
    batch_size: int,
    start: int,
    num_steps: int,
    interval: int,
    prefetch: int,
) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Reads batches ahead of the steps that need them; each process reads what its devices need.

    Args:
        split: images and labels, which may be memory-mapped files.
        placement: the layout of seeds and batch.
        seeds: of all networks.
        batch_size: images in one seed's batch.
        start: steps already made.
        num_steps: steps in all.
        interval: steps that a group of seeds makes before the next group's turn.
        prefetch: batches read ahead.

    Yields:
        uint8 images ``[seeds_at_once, batch, H, W, 3]`` and int32 labels
        ``[seeds_at_once, batch]``, spread over the devices.
    """
    # Takes seconds to load, and most runs do without.
    import grain

    together = placement.seeds_at_once
    sharding = placement.sharding(SEED, BATCH)
    shape = (together, batch_size)
    wanted = {
        _starts(index): index for index in sharding.addressable_devices_indices_map(shape).values()
    }
    source = _Shares(
        split,
        np.array(seeds, np.int32).reshape(-1, together),
        batch_size=batch_size,
        shards=placement.mesh.shape[BATCH],
        wanted=list(wanted.values()),
        start=start,
        num_steps=num_steps,
        interval=interval,
    )
    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=prefetch)
    for shares in grain.MapDataset.source(source).to_iter_dataset(options):
        by_start = dict(zip(wanted, shares, strict=True))
        yield tuple(
            _assemble({start: share[i] for start, share in by_start.items()}, shape, sharding)
            for i in range(2)
        )


def make_next_batch(
    split: Split, placement: Placement, *, streamed: bool, **options
) -> Callable[[], tuple[jax.Array, jax.Array]]:
    """The function that a training interval calls for images and labels.

    Args:
        split: images and labels.
        placement: the layout of seeds and batch.
        streamed: whether it gives those of the next step; else all, which are put on every device.
        options: for ``stream_batches``.
    """
    if streamed:
        return functools.partial(next, stream_batches(split, placement, **options))
    resident = put((np.asarray(split.images), split.labels), placement.sharding())
    return lambda: resident


def _starts(index: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(part.start or 0 for part in index[:2])


def _assemble(
    shares: dict[tuple[int, ...], np.ndarray], shape: tuple[int, int], sharding: NamedSharding
) -> jax.Array:
    one = next(iter(shares.values()))
    return jax.make_array_from_callback(
        (*shape, *one.shape[2:]), sharding, lambda index: shares[_starts(index)]
    )
