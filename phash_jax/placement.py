"""Where seeds and batches run, on each kind of device."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from phash_jax import control_group
from phash_jax.checks import choose, whole_number

SEED, BATCH = "seed", "batch"

# Estimates: only machines of two cores were at hand, and shares of 32, 64 and 128 images.
_MIN_IMAGES_PER_CPU_DEVICE = 16
_IMAGES_WORTH_A_CORE = 64
_MOST_CPU_DEVICES = 1024
_COMPILER_OPTIONS = {
    # What XLA would run side by side only spoils the cache.
    "cpu": {"xla_cpu_enable_concurrency_optimized_scheduler": False},
    # Else cuDNN may add up the gradients of weights in an order that changes from run to run.
    "gpu": {"xla_gpu_exclude_nondeterministic_ops": True},
}


@dataclasses.dataclass(frozen=True)
class Placement:
    """How a group of seeds is laid out on the devices.

    Attributes:
        mesh: devices with the axes ``seed`` and ``batch``.
        seeds_per_device: seeds trained at once on one device by vmap; 1 means no vmap.
        scan: whether the steps between two logs are one compiled ``lax.scan`` or are dispatched
            one by one from Python.
        platform: JAX's name of what the devices are: cpu, gpu or tpu.
    """

    mesh: Mesh
    seeds_per_device: int
    scan: bool
    platform: str

    @property
    def compiler_options(self) -> dict[str, bool]:
        """XLA's options for a training step, for ``jax.jit``."""
        return _COMPILER_OPTIONS.get(self.platform, {})

    @property
    def seeds_at_once(self) -> int:
        """Seeds in one compiled program; the others follow in further groups."""
        return self.mesh.shape[SEED] * self.seeds_per_device

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Sharding over the named mesh axes; no axis: replicated on every device."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))


def num_cpu_cores() -> int:
    """Cores that this process may use, in a container too."""
    # Known on Linux only; elsewhere all there are.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, int(min(cores, control_group.num_cores())))


def cpu_devices_for(*, num_seeds: int, batch_size: int, cores: int) -> int:
    """How many devices a CPU should be for training: one per core, or one per two cores.

    Seeds with a device each share nothing and wait for nothing: one per core. Devices that share a
    batch wait for one another in every step. On two cores one device that has both is faster than
    two with 32 images each, but not than two with 64 (it takes 0.86 to 0.95 and 1.0 to 1.2 of their
    time). Larger machines were not at hand. There a single device would leave most cores idle,
    since some operations use only one.

    Args:
        num_seeds: networks to train.
        batch_size: images in one seed's batch.
        cores: cores of this process.
    """
    of_seeds = math.gcd(num_seeds, cores)
    left = cores // of_seeds
    return of_seeds * max(1, left // 2, min(left, batch_size // _IMAGES_WORTH_A_CORE))


def use_cpu_cores(num_devices: int) -> None:
    """Makes JAX see the CPU as ``num_devices`` devices. Call before the first JAX computation.

    XLA's thread pools get one thread per core and, where there are several devices, no fewer than
    two for each. With fewer a program in which devices wait for each other can hang: one thread per
    device waits for its program to end, and one for its turn to start the next (seen with jax
    0.10.2: 2 devices and 3 threads, 4 and 6). With more, operations are cut into more pieces than
    there are cores to compute them, and take longer.

    Args:
        num_devices: number of virtual devices, or 0 for one per core this process may use.

    Raises:
        ValueError: the number is below 0 or above 1,024 (each device takes memory).
        RuntimeError: JAX has computed something already.
    """
    whole_number(num_devices, "train.cpu_devices", least=0, most=_MOST_CPU_DEVICES)
    num_devices = num_devices or num_cpu_cores()
    given = os.environ.get("NPROC", "")
    threads = max(
        2 * num_devices if num_devices > 1 else 1,
        num_cpu_cores(),
        int(given) if given.isdigit() else 0,
    )
    os.environ["NPROC"] = str(threads)
    jax.config.update("jax_num_cpu_devices", num_devices)
    # Programs that are started ahead would each hold a thread.
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def _largest_divisor(of: tuple[int, ...], at_most: int) -> int:
    common = math.gcd(*of)
    return max(d for d in range(1, max(1, min(common, at_most)) + 1) if common % d == 0)


def place(
    *,
    num_seeds: int,
    batch_size: int,
    parts: int = 1,
    loop: str = "auto",
    devices: Sequence[jax.Device] | None = None,
) -> Placement:
    """Lays out seeds and batch over the devices.

    Seeds are spread first, since they need no communication; devices left over split the batch.
    On CPU seeds are not vmapped and steps not scanned: there a grouped convolution is 5 times
    slower, and inside a loop body a convolution 20 to 55 times (that of the first layer; those that
    go by Winograd's algorithm are no slower). On an accelerator both are done: a step of
    one small network is short beside its dispatch (not measured, none was at hand).

    Args:
        num_seeds: networks to train.
        batch_size: images in one seed's batch.
        parts: equal parts that every device's share of the batch must have.
        loop: "dispatch" or "scan", or "auto" for what suits the platform.
        devices: devices to use, by default all.

    Raises:
        ValueError: ``loop`` is none of the three, or a process would have nothing to do.
    """
    devices = list(jax.devices() if devices is None else devices)
    platform = devices[0].platform
    scan = choose(LOOPS, loop, "train.loop")(platform)
    seed_shards = math.gcd(num_seeds, len(devices))
    batch_shards = _largest_divisor(
        (batch_size // parts, len(devices) // seed_shards),
        batch_size // _MIN_IMAGES_PER_CPU_DEVICE if platform == "cpu" else batch_size,
    )
    used = devices[: seed_shards * batch_shards]
    idle = {device.process_index for device in devices} - {device.process_index for device in used}
    if idle:
        raise ValueError(
            f"{num_seeds} seeds and a batch of {batch_size} images can be spread over only "
            f"{len(used)} of the {len(devices)} devices, which leaves {len(idle)} "
            f"process{'es' * (len(idle) > 1)} with nothing to do: choose train.num_seeds or "
            "train.batch_size to suit the devices, or start fewer processes"
        )
    if len(used) < len(devices) and platform != "cpu":
        logging.warning(
            "%d seeds and a batch of %d images are spread over only %d of the %d devices: to use "
            "all, choose train.num_seeds or train.batch_size so that they divide evenly",
            num_seeds,
            batch_size,
            len(used),
            len(devices),
        )
    grid = np.array(used).reshape(seed_shards, batch_shards)
    return Placement(
        mesh=Mesh(grid, (SEED, BATCH)),
        seeds_per_device=num_seeds // seed_shards if scan else 1,
        scan=scan,
        platform=platform,
    )


LOOPS: dict[str, Callable[[str], bool]] = {
    "auto": lambda platform: platform != "cpu",
    "scan": lambda platform: True,
    "dispatch": lambda platform: False,
}


def over_seeds(
    fn: Callable, placement: Placement, *, other_specs: tuple, out_specs: object
) -> Callable:
    """Maps ``fn(one_seed, *others)`` over a group of seeds, spread over the mesh.

    Args:
        fn: takes a pytree of one seed and other arguments; sees its share of the batch, and may
            use collectives over the mesh axis ``batch``.
        placement: the layout; a group has ``seeds_at_once`` seeds on the leading axis.
        other_specs: a PartitionSpec for each of the other arguments. One that begins with the axis
            ``seed`` is mapped over as the group is, any other is the same for all seeds.
        out_specs: PartitionSpecs of the results, whose leading axis is the seeds again.

    Returns:
        The mapped function, to be jitted.
    """
    mapped = [bool(spec) and spec[0] == SEED for spec in other_specs]

    def body(group, *others):
        if placement.seeds_per_device == 1:
            group, *others = (
                jax.tree.map(lambda leaf: leaf[0], tree) if of_seed else tree
                for tree, of_seed in zip((group, *others), (True, *mapped), strict=True)
            )
            return jax.tree.map(lambda leaf: leaf[None], fn(group, *others))
        return jax.vmap(fn, in_axes=(0, *(0 if of_seed else None for of_seed in mapped)))(
            group, *others
        )

    return jax.shard_map(
        body,
        mesh=placement.mesh,
        in_specs=(PartitionSpec(SEED), *other_specs),
        out_specs=out_specs,
        # Gradients are averaged by an explicit pmean, once, after the backward pass.
        check_vma=False,
    )


def put(tree: object, sharding: NamedSharding) -> object:
    """Puts host arrays, the same in every process, on the devices as ``sharding`` says."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def put_one(array):
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(put_one, jax.tree.map(np.asarray, tree))


def to_host(tree: object) -> object:
    """Whole arrays as NumPy arrays, wherever their parts lie. All processes must call it.

    On a CPU they may be views of the same memory, not copies.
    """
    leaves = jax.tree.leaves(tree)
    if all(leaf.is_fully_addressable for leaf in leaves if isinstance(leaf, jax.Array)):
        return jax.tree.map(np.asarray, tree)
    return multihost_utils.process_allgather(tree, tiled=True)


@functools.partial(jax.jit, static_argnames=("size", "sharding"))
def _take_seeds(stacked, start, *, size: int, sharding: NamedSharding):
    taken = jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, start, size), stacked)
    return lax.with_sharding_constraint(taken, sharding)


@functools.partial(jax.jit, static_argnames="sharding")
def _join_seeds(groups, *, sharding: NamedSharding):
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *groups)
    return lax.with_sharding_constraint(joined, sharding)


def split_groups(stacked: object, placement: Placement) -> list:
    """Splits a pytree stacked over all seeds into groups that are trained at once."""
    num_seeds = len(jax.tree.leaves(stacked)[0])
    sharding = placement.sharding(SEED)
    size = placement.seeds_at_once
    if size == num_seeds:
        return [stacked]
    return [
        _take_seeds(stacked, start, size=size, sharding=sharding)
        for start in range(0, num_seeds, size)
    ]


def join_groups(groups: list, placement: Placement) -> object:
    """The inverse of ``split_groups``: one pytree stacked over all seeds."""
    if len(groups) == 1:
        return groups[0]
    return _join_seeds(groups, sharding=placement.sharding(SEED))
