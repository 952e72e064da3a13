"""Where seeds and batches run: the one place that knows CPU from accelerator."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

SEED, BATCH = "seed", "batch"

# An estimate: only machines of two cores were at hand, where a share is 32 images.
_MIN_IMAGES_PER_CPU_DEVICE = 16


@dataclasses.dataclass(frozen=True)
class Placement:
    """How a group of seeds is laid out on the devices.

    Attributes:
        mesh: devices with the axes ``seed`` and ``batch``.
        seeds_per_device: seeds trained at once on one device by vmap; 1 means no vmap.
        scan: whether the steps between two logs are one compiled ``lax.scan`` or are dispatched
            one by one from Python.
        chunked_gradient: whether the network uses the weight gradient made for XLA:CPU.
    """

    mesh: Mesh
    seeds_per_device: int
    scan: bool
    chunked_gradient: bool

    @property
    def seeds_at_once(self) -> int:
        """Seeds in one compiled program; the others follow in further groups."""
        return self.mesh.shape[SEED] * self.seeds_per_device

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Sharding over the named mesh axes; no axis: replicated on every device."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))


def num_cpu_cores() -> int:
    """Cores that this process may use."""
    # Known on Linux only; elsewhere all there are.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def use_cpu_cores(num_devices: int) -> None:
    """Makes JAX see the CPU as ``num_devices`` devices. Call before the first JAX computation.

    XLA:CPU runs one convolution on one core however many there are, so a batch is split over one
    virtual device per core. XLA's thread pool must be larger than the number of devices: with as
    many threads as devices, threads that wait in a collective leave none to compute what they wait
    for, and the program hangs (seen on 2 cores with jax 0.10.2).

    Args:
        num_devices: number of virtual devices, or 0 for one per core this process may use.
    """
    num_devices = num_devices or num_cpu_cores()
    given = os.environ.get("NPROC", "")
    threads = max(4 * num_devices, int(given) if given.isdigit() else 0)
    os.environ["NPROC"] = str(threads)
    jax.config.update("jax_num_cpu_devices", num_devices)
    # Several programs with collectives in flight at once could use up the threads all the same.
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def _largest_divisor(of: tuple[int, ...], at_most: int) -> int:
    common = math.gcd(*of)
    return max(d for d in range(1, max(1, min(common, at_most)) + 1) if common % d == 0)


def place(
    *,
    num_seeds: int,
    batch_size: int,
    loop: str = "auto",
    devices: Sequence[jax.Device] | None = None,
) -> Placement:
    """Lays out seeds and batch over the devices.

    Seeds are spread first, since they need no communication; devices left over split the batch.
    On CPU seeds are not vmapped and steps not scanned: there a grouped convolution is 5 times
    slower and a convolution inside a loop body 55 times. On an accelerator both pay.

    Args:
        num_seeds: networks to train.
        batch_size: images in one seed's batch.
        loop: "dispatch" or "scan", or "auto" for what suits the platform.
        devices: devices to use, by default all.

    Raises:
        ValueError: ``loop`` is none of the three.
    """
    devices = list(jax.devices() if devices is None else devices)
    if loop not in LOOPS:
        raise ValueError(f"unknown train.loop {loop!r}; choose one of {', '.join(LOOPS)}")
    on_cpu = devices[0].platform == "cpu"
    scan = LOOPS[loop](on_cpu)
    seed_shards = math.gcd(num_seeds, len(devices))
    batch_shards = _largest_divisor(
        (batch_size, len(devices) // seed_shards),
        batch_size // _MIN_IMAGES_PER_CPU_DEVICE if on_cpu else batch_size,
    )
    grid = np.array(devices[: seed_shards * batch_shards]).reshape(seed_shards, batch_shards)
    return Placement(
        mesh=Mesh(grid, (SEED, BATCH)),
        seeds_per_device=num_seeds // seed_shards if scan else 1,
        scan=scan,
        chunked_gradient=on_cpu,
    )


LOOPS: dict[str, Callable[[bool], bool]] = {
    "auto": lambda on_cpu: not on_cpu,
    "scan": lambda on_cpu: True,
    "dispatch": lambda on_cpu: False,
}


def over_seeds(
    fn: Callable, placement: Placement, *, shared_specs: tuple, out_specs: object
) -> Callable:
    """Maps ``fn(one_seed, *shared)`` over a group of seeds, spread over the mesh.

    Args:
        fn: takes a pytree of one seed and shared arguments; sees its share of the batch, and may
            use collectives over the mesh axis ``batch``.
        placement: the layout; a group has ``seeds_at_once`` seeds on the leading axis.
        shared_specs: a PartitionSpec for each shared argument.
        out_specs: PartitionSpecs of the results, whose leading axis is the seeds again.

    Returns:
        The mapped function, to be jitted.
    """

    def body(group, *shared):
        if placement.seeds_per_device == 1:
            one_seed = jax.tree.map(lambda leaf: leaf[0], group)
            return jax.tree.map(lambda leaf: leaf[None], fn(one_seed, *shared))
        return jax.vmap(lambda one_seed: fn(one_seed, *shared))(group)

    return jax.shard_map(
        body,
        mesh=placement.mesh,
        in_specs=(PartitionSpec(SEED), *shared_specs),
        out_specs=out_specs,
        # Gradients are averaged by an explicit pmean, once, after the backward pass.
        check_vma=False,
    )


def split_groups(stacked: object, placement: Placement) -> list:
    """Splits a pytree stacked over all seeds into groups that are trained at once."""
    num_seeds = len(jax.tree.leaves(stacked)[0])
    sharding = placement.sharding(SEED)
    size = placement.seeds_at_once
    return [
        jax.device_put(jax.tree.map(lambda leaf, i=i: leaf[i : i + size], stacked), sharding)
        for i in range(0, num_seeds, size)
    ]


def join_groups(groups: list, placement: Placement) -> object:
    """The inverse of ``split_groups``: one pytree stacked over all seeds."""
    if len(groups) == 1:
        return groups[0]
    joined = jax.tree.map(lambda *leaves: np.concatenate([np.asarray(x) for x in leaves]), *groups)
    return jax.device_put(joined, placement.sharding(SEED))
