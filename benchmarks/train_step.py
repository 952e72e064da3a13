"""Time of one training step against the same network in PyTorch, same device, same run.

    pip install -e ".[benchmarks]"
    python benchmarks/train_step.py

Both draw a batch from uint8 images that are already in memory, scale it, and make one Adam step of
the study's network. Rounds alternate, and ratios are taken within each round: to PyTorch with its
default memory layout, channels first, and with channels last, which is faster on some machines; on
a GPU also to what torch.compile makes of it, as CUDA graphs (elsewhere with --compile). Ours is
timed in bfloat16 too. The floor is the multiply-adds of direct convolutions at the rate of one
large float32 matrix product measured in the same rounds (floors.py); Winograd's algorithm needs
fewer. Without torch the other rows are still printed.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import floors
import jax
import jax.numpy as jnp
import numpy as np
from environment import environment

from configs import original
from phash_jax.allocation import keep_freed_memory
from phash_jax.placement import (
    SEED,
    cpu_devices_for,
    num_cpu_cores,
    place,
    split_groups,
    use_cpu_cores,
)
from phash_jax.train import make_init_and_step, make_train_interval

IMAGE_SHAPE = (32, 32, 3)
# On an accelerator a product must take longer than it takes to begin it.
MATMUL_SIDE = {"cpu": 2048}
LARGE_MATMUL_SIDE = 8192
# Between two log lines, where an accelerator has all steps in one program.
STEPS = {"cpu": 20}
MANY_STEPS = 100


def flops_per_step(batch_size: int) -> float:
    """Floating-point operations of the forward and the backward pass, convolutions and dense.

    The gradient with respect to the input of the first layer is not needed and not counted.
    """
    multiply_adds = [
        (32 * 32 * 25 * 3 * 64, 2),
        (16 * 16 * 25 * 64 * 64, 3),
        (8 * 8 * 25 * 64 * 64, 3),
        (4 * 4 * 64 * 256, 3),
        (256 * 128, 3),
        (128 * 2, 3),
    ]
    return 2.0 * batch_size * sum(count * passes for count, passes in multiply_adds)


def make_jax_steps(images: np.ndarray, labels: np.ndarray, batch_size: int, compute_dtype: str):
    config = original.get_config()
    config.model.compute_dtype = compute_dtype
    config.train.batch_size = batch_size
    placement = place(num_seeds=1, batch_size=batch_size)
    init, step = make_init_and_step(config, placement, image_shape=IMAGE_SHAPE, num_classes=2)
    interval = make_train_interval(step, placement)
    state = jax.device_put(init(jnp.zeros(1, jnp.int32)), placement.sharding(SEED))
    groups = split_groups(state, placement)
    images, labels = jax.device_put((images, labels), placement.sharding())

    def run(num_steps: int) -> None:
        nonlocal groups
        groups, _ = interval(groups, lambda: (images, labels), num_steps)
        jax.block_until_ready(groups)

    return run, placement


def make_torch_steps(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    *,
    channels_last: bool,
    compiled: bool = False,
):
    import torch
    from torch import nn

    device = "cuda" if torch.cuda.is_available() else "cpu"
    # As JAX does by default: TF32 where there is such a format.
    torch.set_float32_matmul_precision("high")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    convolutions = []
    for channels in (3, 64, 64):
        convolutions += [nn.Conv2d(channels, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(
        *convolutions,
        nn.Flatten(),
        nn.Linear(1024, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 2),
    ).to(device, memory_format=layout)
    adam = torch.optim.Adam(network.parameters(), 1e-4)
    pictures = (
        torch.tensor(images, device=device).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    )
    targets = torch.tensor(labels, dtype=torch.long, device=device)

    def loss_of(inputs, targets):
        return nn.functional.cross_entropy(network(inputs), targets)

    if compiled:
        loss_of = torch.compile(loss_of, mode="reduce-overhead")

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            index = torch.randint(0, len(pictures), (batch_size,), device=device)
            inputs = pictures[index].to(memory_format=layout).float() / 255
            adam.zero_grad(set_to_none=True)
            loss_of(inputs, targets[index]).backward()
            adam.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def seconds_per(run, count: int) -> float:
    start = time.perf_counter()
    run(count)
    return (time.perf_counter() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--steps", type=int, help="steps in a round, by default 20 on a CPU, else 100"
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--compile", action="store_true", help="torch.compile on a CPU too")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    # As main.py does; in the same process it holds for PyTorch too.
    keep_freed_memory()
    use_cpu_cores(
        cpu_devices_for(num_seeds=1, batch_size=arguments.batch_size, cores=num_cpu_cores())
    )

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4096, *IMAGE_SHAPE), np.uint8)
    labels = rng.integers(0, 2, 4096).astype(np.int32)
    contenders = {}
    for dtype, name in (("float32", "phash_jax"), ("bfloat16", "phash_jax, bfloat16")):
        contenders[name], placement = make_jax_steps(images, labels, arguments.batch_size, dtype)
    try:
        import torch

        make = functools.partial(make_torch_steps, images, labels, arguments.batch_size)
        contenders["PyTorch, channels first"] = make(channels_last=False)
        contenders["PyTorch, channels last"] = make(channels_last=True)
        if arguments.compile or torch.cuda.is_available():
            compiled = make(channels_last=True, compiled=True)
            try:
                compiled(1)
                contenders["PyTorch, compiled"] = compiled
            # It needs a compiler of the machine's, and has errors of its own.
            except Exception as error:
                print(f"PyTorch cannot compile its step here: {error}")
    except ImportError:
        torch = None
        print("torch is not installed: no comparison")

    steps = arguments.steps or STEPS.get(placement.platform, MANY_STEPS)
    matmuls, operations = floors.multiply(MATMUL_SIDE.get(placement.platform, LARGE_MATMUL_SIDE))
    times: dict[str, list[float]] = {name: [] for name in (*contenders, "matmul")}
    for round_number in range(arguments.rounds + 1):
        for name, run in (*contenders.items(), ("matmul", matmuls)):
            seconds = seconds_per(run, steps)
            if round_number:  # the first round compiles and warms up
                times[name].append(seconds)
            # The threads of a library keep spinning for a while after its last operation.
            time.sleep(0.5)

    matmul_rate = operations / np.array(times["matmul"])
    floor = flops_per_step(arguments.batch_size) / matmul_rate
    references = {name: np.array(times[name]) for name in contenders if name.startswith("PyTorch")}
    print(
        f"{'':28}{'ms/step':>9}{'images/s':>10}{'of matmul rate':>16}"
        + "".join(f"{'x ' + name:>28}" for name in references)
    )
    rows = {}
    for name in contenders:
        values = np.array(times[name])
        rows[name] = {
            "ms_per_step": float(np.median(values) * 1e3),
            "images_per_second": float(arguments.batch_size / np.median(values)),
            "share_of_matmul_rate": float(np.median(floor / values)),
            "ratios": {
                reference: [float(q) for q in np.quantile(values / reference_values, (0, 0.5, 1))]
                for reference, reference_values in references.items()
            },
        }
        row = rows[name]
        print(
            f"{name:28}{row['ms_per_step']:9.1f}{row['images_per_second']:10.0f}"
            f"{row['share_of_matmul_rate']:15.0%} "
            + "".join(
                f"{f'{middle:.2f} ({low:.2f}-{high:.2f})':>28}"
                for low, middle, high in row["ratios"].values()
            )
        )
    print(f"{'direct, at the matmul rate':28}{np.median(floor) * 1e3:9.1f}")
    print("medians over rounds (lowest and highest round)")
    if arguments.output:
        record = {
            "command": "python benchmarks/train_step.py",
            "device": jax.devices()[0].device_kind,
            "devices": dict(placement.mesh.shape),
            "cores": num_cpu_cores(),
            **environment("jax", "jaxlib", "torch"),
            "rounds": arguments.rounds,
            "steps_per_round": steps,
            "batch_size": arguments.batch_size,
            "rows": rows,
        }
        arguments.output.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
