"""Compiles every program for a TPU or a GPU that is not there.

    pip install "jax[tpu]"
    python benchmarks/accelerators.py --platform=tpu

    pip install jax-cuda13-plugin jax-cuda13-pjrt
    python benchmarks/accelerators.py --platform=gpu

XLA's compilers need no device. They say whether a program compiles for one core of a TPU v5e or for
an H100, how long that takes, how much memory the program takes besides its arguments and results,
and how many kernels it starts (fusions and library calls; the body of a loop or a branch counts
once). They do not say how long these run. Without a card the GPU compiler cannot try alternatives
and takes the first; on a card it may choose others, and succeed where it fails here. --platform=cpu
compiles for this machine.
"""

import argparse
import functools
import importlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
# No program runs on the device that is compiled for, and no other device is to be looked for.
os.environ.update(JAX_PLATFORMS="cpu", TPU_SKIP_MDS_QUERY="1", JAX_SKIP_CUDA_CONSTRAINTS_CHECK="1")

import jax
import jax.numpy as jnp
import numpy as np
from environment import environment
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from configs import default
from phash_jax import hamming, hashing, resampling
from phash_jax.augment import batch_parts
from phash_jax.distortions import DISTORTIONS, TEST_SETS
from phash_jax.evaluate import make_predict
from phash_jax.model import make_model
from phash_jax.placement import SEED, place
from phash_jax.preprocess import PREPROCESS
from phash_jax.train import make_init_and_step, make_train_steps

BATCH, LARGE_BATCH = 256, 32
STEPS, TRAIN_SIZE, CODES = 100, 10_000, 50_000
# By name: config, number of seeds, changed fields.
TRAININGS = {
    "original": ("original", 10, {}),
    "original in bfloat16": ("original", 10, {"model.compute_dtype": "bfloat16"}),
    "phash": ("phash", 10, {}),
    "best_raw": ("best_raw", 6, {}),
    "best_phash": ("best_phash", 6, {}),
}
_KERNELS = {
    *("fusion", "custom-call", "convolution", "dot", "copy", "sort", "scatter", "gather"),
    *("all-reduce", "all-reduce-start"),
}

# What XLA asks of a card: an H100 with 80 GB, by NVIDIA's data sheet and the limits of CUDA's
# compute capability 9.0.
H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  memory_bandwidth: 3352000000000
  device_memory_size: 85000000000
  l2_cache_size: 52428800
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_core: 233472
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
device_description_str: "NVIDIA H100"
"""

# A few of each, on one host.
DEVICES: dict[str, Callable[[], list[jax.Device]]] = {
    "tpu": lambda: topologies.get_topology_desc("v5e:2x2x1", "tpu").devices,
    "gpu": lambda: (
        topologies.get_topology_desc("h100", "cuda", target_config=H100, topology="1x1x4").devices
    ),
    "cpu": jax.devices,
}


def programs(devices: Sequence[jax.Device]) -> dict[str, Callable[[], jax.stages.Lowered]]:
    """By name, a function that lowers the program for the first of the devices, or for several."""
    one = list(devices[:1])
    sharding = SingleDeviceSharding(*one)

    def of(shape, dtype):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    def on_device(tree):
        return jax.tree.map(lambda leaf: of(leaf.shape, leaf.dtype), tree)

    images = of((BATCH, 32, 32, 3), jnp.uint8)
    large_images = of((LARGE_BATCH, 256, 256, 3), jnp.uint8)
    keys = on_device(jax.eval_shape(lambda: jax.random.split(jax.random.key(0), BATCH)))
    found: dict[str, Callable] = {}
    for name, hash_all in hashing.HASHES.items():
        fn = jax.jit(hash_all)
        found[f"{name}, 32 pixels"] = functools.partial(fn.lower, images)
        found[f"{name}, 256 pixels"] = functools.partial(fn.lower, large_images)
    for name, preprocess in PREPROCESS.items():
        found[f"preprocess {name}"] = functools.partial(jax.jit(jax.vmap(preprocess)).lower, images)
    for name, distort in DISTORTIONS.items():
        fn = jax.jit(jax.vmap(distort, (0, 0, None)))
        found[name] = functools.partial(fn.lower, keys, images, of((), jnp.int32))
    for name, (config_name, num_seeds, changed) in TRAININGS.items():
        found[f"train {name}, {num_seeds} seeds"] = functools.partial(
            lower_training, config_name, num_seeds, changed, one
        )
    found[f"train original, 2 seeds, {len(devices)} devices"] = functools.partial(
        lower_training, "original", 2, {}, devices
    )
    found["test original, 10 seeds"] = functools.partial(lower_test, 10, one)
    found["count_within, 50,000 codes"] = functools.partial(lower_count, one)
    found["k_nearest, 50,000 codes"] = functools.partial(lower_nearest, one)
    return found


def lower_training(
    config_name: str, num_seeds: int, changed: dict[str, str], devices: Sequence[jax.Device]
) -> jax.stages.Lowered:
    """The steps between two log lines."""
    config = importlib.import_module(f"configs.{config_name}").get_config()
    config.update_from_flattened_dict(changed)
    placement = place(
        num_seeds=num_seeds,
        batch_size=config.train.batch_size,
        parts=batch_parts(config.train.augment, mixup=config.train.mixup),
        devices=devices,
    )
    init, step = make_init_and_step(config, placement, image_shape=(32, 32, 3), num_classes=2)
    state = jax.eval_shape(init, jax.ShapeDtypeStruct((placement.seeds_at_once,), jnp.int32))
    arrays = (
        state,
        jax.ShapeDtypeStruct((TRAIN_SIZE, 32, 32, 3), jnp.uint8),
        jax.ShapeDtypeStruct((TRAIN_SIZE,), jnp.int32),
    )
    num_steps = STEPS if placement.scan else None
    return make_train_steps(step, placement, num_steps=num_steps).lower(*_placed(arrays, placement))


def lower_test(num_seeds: int, devices: Sequence[jax.Device]) -> jax.stages.Lowered:
    """Logits of a test batch, under raised contrast."""
    config = default.get_config()
    placement = place(num_seeds=num_seeds, batch_size=64, devices=devices)
    model = make_model(config.model, num_classes=2, platform=placement.platform)
    init, _ = make_init_and_step(config, placement, image_shape=(32, 32, 3), num_classes=2)
    state = jax.eval_shape(init, jax.ShapeDtypeStruct((placement.seeds_at_once,), jnp.int32))
    images = jax.ShapeDtypeStruct((config.test_batch_size, 32, 32, 3), jnp.uint8)
    predict = make_predict(model, PREPROCESS["raw"], TEST_SETS["contrast_200"], placement)
    return predict.lower(*_placed((state, images), placement))


def lower_count(devices: Sequence[jax.Device]) -> jax.stages.Lowered:
    """All pairs of codes of 64 bits within 10, as ``hamming.count_within`` has them counted."""
    mesh = hamming._mesh(devices)
    tile = hamming._tile(mesh, num_words=2)
    size = hamming._power_of_two(CODES, at_most=tile.lanes)
    chunks = -(-CODES // size)
    rows, radii = hamming._row_blocks(np.zeros((CODES, 2), np.uint32), 10, tile)
    lanes = NamedSharding(mesh, PartitionSpec(hamming._SHARD))
    return hamming._count.lower(
        mesh,
        tile.in_steps,
        jax.ShapeDtypeStruct((1, chunks, 2, size), jnp.uint32, sharding=lanes),
        jax.ShapeDtypeStruct((1, chunks, size), jnp.int32, sharding=lanes),
        rows,
        radii,
    )


def lower_nearest(devices: Sequence[jax.Device]) -> jax.stages.Lowered:
    """The ten nearest codes of 64 bits, as ``hamming.k_nearest`` seeks them."""
    mesh = hamming._mesh(devices)
    tile = hamming._tile(mesh, num_words=2)
    queries, groups = hamming._NEAREST_QUERIES, hamming._NEAREST_GROUPS
    lanes = NamedSharding(mesh, PartitionSpec(hamming._SHARD))
    return hamming._nearest.lower(
        mesh,
        tile.in_steps,
        jax.ShapeDtypeStruct((1, CODES // queries, 2, queries), jnp.uint32, sharding=lanes),
        np.zeros((-(-CODES // (32 * groups)), groups, 32, 2), np.uint32),
        np.int32(CODES),
        k=10,
        num_chosen=10,
    )


def _placed(arrays, placement):
    """Shapes with shardings as in training and testing: seeds are spread, images are not."""

    def on(sharding, tree):
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
        )

    state, *images = arrays
    return on(placement.sharding(SEED), state), *on(placement.sharding(), images)


def kernels(optimized: str) -> Counter[str]:
    """Counts of instructions outside fusions that are a kernel or a library call, by kind.

    Args:
        optimized: an optimized program as text.
    """
    found: Counter[str] = Counter()
    inside_fusion = False
    for line in optimized.splitlines():
        if line.endswith("{") and not line.startswith(" "):
            inside_fusion = "fused_" in line.split("(")[0] or "fusion" in line.split("(")[0]
        instruction = re.search(r" = .*? ([\w\-]+)\(", line)
        if instruction and not inside_fusion and instruction[1] in _KERNELS:
            target = re.search(r'custom_call_target="([^"]+)"', line)
            found[target[1] if target else instruction[1]] += 1
    return found


def compiled(lower: Callable[[], jax.stages.Lowered]) -> dict:
    """What the compiler says of a program, or its error."""
    start = time.perf_counter()
    lowered = lower()
    lowered_at = time.perf_counter()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        return {"error": " ".join(str(error).split())[:200]}
    memory = program.memory_analysis()
    return {
        "seconds_to_lower": lowered_at - start,
        "seconds_to_compile": time.perf_counter() - lowered_at,
        "temporary_bytes": memory.temp_size_in_bytes,
        "kernels": dict(kernels(program.as_text())),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--platform", choices=DEVICES, required=True)
    parser.add_argument("--only", default="", help="only programs whose names contain this")
    parser.add_argument(
        "--output", type=Path, help="JSON file for the figures; those it has are not repeated"
    )
    arguments = parser.parse_args()
    if arguments.platform != "cpu":
        # It would ask about the device that programs run on by default.
        resampling._has_matrix_unit = lambda: True
    devices = DEVICES[arguments.platform]()
    chosen = {n: lower for n, lower in programs(devices).items() if arguments.only in n}
    width = max(map(len, chosen), default=0)
    print(f"{devices[0].device_kind}\n{'':{width}} compile s  temporary MB  kernels")
    record = {
        "command": f"python benchmarks/accelerators.py --platform={arguments.platform}",
        "compiled_for": devices[0].device_kind,
        **environment("jax", "jaxlib"),
        "rows": {},
    }
    rows = record["rows"]
    if arguments.output and arguments.output.exists():
        before = json.loads(arguments.output.read_text())
        if all(before[field] == record[field] for field in ("versions", "compiled_for")):
            rows.update(before["rows"])
    for name, lower in chosen.items():
        row = rows[name] = rows.get(name) or compiled(lower)
        if arguments.output:
            arguments.output.write_text(json.dumps(record, indent=2) + "\n")
        if "error" in row:
            print(f"{name:{width}} {row['error']}", flush=True)
            continue
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(row["kernels"].items()))
        seconds, megabytes = row["seconds_to_compile"], row["temporary_bytes"] / 1e6
        print(f"{name:{width}} {seconds:9.1f}  {megabytes:12.1f}  {counts}", flush=True)
    failed = [name for name, row in rows.items() if "error" in row]
    print(f"{len(rows) - len(failed)} of {len(rows)} programs compile")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
