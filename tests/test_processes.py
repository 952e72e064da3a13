"""Two processes of two devices each do what one process does, and survive the loss of one."""

import re
import signal
import socket
import time

import jax
import numpy as np
import pytest
from conftest import make_picture
from forked import start, start_code
from test_faults import saved_steps, wait_until
from test_main import arguments, final_arrays, without_time
from test_train import TOLERANCE, of

from phash_jax import checkpoint, processes, results
from phash_jax.metrics import read_metrics

# An odd number of seeds, so that every batch is split over all four devices; and at this rate float
# noise does not grow.
FIELDS = {
    "train.num_seeds": 3,
    "train.batch_size": 64,
    "train.num_steps": 60,
    "train.log_every": 5,
    "train.checkpoint_every": 20,
    "optimizer.learning_rate": 1e-4,
}


def free_address():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def start_both(arguments, outputs, workdirs=(None, None)):
    address = free_address()
    return [
        start(
            [
                *arguments,
                *([f"--workdir={workdirs[number]}"] if workdirs[number] else []),
                "--distributed",
                f"--coordinator={address}",
                "--num_processes=2",
                f"--process_id={number}",
            ],
            output,
        )
        for number, output in enumerate(outputs)
    ]


def join_both(both, outputs):
    for process, output in zip(both, outputs, strict=True):
        process.join(180)
        assert process.exitcode is not None, output.read_text()
    return [process.exitcode for process in both]


def finish(arguments, outputs):
    assert join_both(start_both(arguments, outputs), outputs) == [0, 0], [
        output.read_text() for output in outputs
    ]


def last_step(workdir):
    return max((record["step"] for record in read_metrics(workdir / "metrics.jsonl")), default=0)


def training(workdir, npz, **fields):
    return arguments("original", workdir, npz, **{**FIELDS, **fields})


def newest(workdir, shapes):
    """Arrays that two processes have saved, on one device, and the digest saved with them."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes
    )
    with checkpoint.open_checkpoints(workdir / "checkpoints", keep_last=2) as checkpoints:
        step = checkpoints.latest.step
        sha256 = checkpoints.metadata(step).custom_metadata["sha256"]
        return checkpoints.load(step, abstract), sha256


JOINED = """
import os, signal, sys, time
from phash_jax import processes
from phash_jax.stopping import stop_on_signals
with stop_on_signals():
    processes.join(coordinator=sys.argv[1], num_processes=1, process_id=0, cpu_devices=1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
"""


def test_a_process_that_has_joined_is_stopped_by_sigterm_at_any_time(tmp_path):
    process = start_code(JOINED, [free_address()], tmp_path / "output.txt")
    process.join(120)
    said = (tmp_path / "output.txt").read_text()
    assert process.exitcode == 1, said
    assert said.strip().endswith("StopRequestedError: SIGTERM"), said


LEAVING = """
import os, sys, time
from phash_jax import processes
number = int(sys.argv[2])
processes.join(coordinator=sys.argv[1], num_processes=2, process_id=number, cpu_devices=1)
time.sleep(3 * number)
processes.leave()
# As a process ends that runs no exit hooks, where JAX would wait for the others.
os._exit(0)
"""


def test_the_first_process_ends_after_the_others(tmp_path):
    address, output = free_address(), tmp_path / "output.txt"
    both = [start_code(LEAVING, [address, str(number)], output) for number in range(2)]
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0], output.read_text()


BROKEN = """
import sys
from jax.errors import JaxRuntimeError
import main
from phash_jax import experiment

error = {
    "of any kind": RuntimeError("none is left"),
    "of memory": MemoryError("none is left"),
    "of a device's memory": JaxRuntimeError("RESOURCE_EXHAUSTED: none is left"),
}[sys.argv.pop()]

def fail(config, workdir):
    raise error

experiment.run = fail
try:
    main.app.run(main.main, argv=sys.argv, flags_parser=main._parse_flags)
finally:
    print("ends as usual", flush=True)
"""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("of any kind", "RuntimeError: none is left"),
        ("of memory", "error: there is not enough memory (none is left)"),
        ("of a device's memory", "error: there is not enough memory (RESOURCE_EXHAUSTED: none is"),
    ],
)
def test_a_process_with_an_error_leaves_at_once(tmp_path, error, message):
    """Where JAX's exit hooks wait for the others, which would wait for this one."""
    output = tmp_path / "output.txt"
    process = start_code(
        BROKEN,
        [
            *("--config=configs/original.py", f"--workdir={tmp_path / 'run'}", "--distributed"),
            *(f"--coordinator={free_address()}", "--num_processes=1", "--process_id=0"),
            error,
        ],
        output,
    )
    process.join(120)
    said = output.read_text()
    assert process.exitcode == 1, said
    assert message in said
    assert "ends as usual" not in said


@pytest.mark.filterwarnings("ignore:Sharding info not provided when restoring")
def test_training_in_two_processes(tmp_path, npz):
    outputs = [tmp_path / "first.txt", tmp_path / "second.txt"]
    together, alone = tmp_path / "together", tmp_path / "alone"
    finish(training(together, npz), outputs)
    assert "step 60, training accuracy" in outputs[0].read_text()
    assert "step" not in outputs[1].read_text()

    single = start(training(alone, npz, **{"train.cpu_devices": 4}), outputs[0])
    single.join(180)
    assert single.exitcode == 0, outputs[0].read_text()
    records = read_metrics(together / "metrics.jsonl")
    loss_alone = of(read_metrics(alone / "metrics.jsonl"), "loss")
    np.testing.assert_allclose(of(records, "loss"), loss_alone, **TOLERANCE)
    step, state = final_arrays(alone)
    assert step == 60
    ours, sha256 = newest(together, state)
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=2e-4),
        ours,
        state,
    )

    # The first process killed, then the second, then both asked to stop; images read ahead, which
    # changes nothing.
    interrupted = tmp_path / "interrupted"
    interruptible = training(interrupted, npz, **{"train.stream": "always"})
    # Our message, or what JAX says before it ends a process, whichever comes first.
    lost = "error: process . has lost another one|Terminating process because the JAX distributed"
    for killed, saved in ((0, 20), (1, 40)):
        both = start_both(interruptible, outputs)
        wait_until(lambda saved=saved: saved in saved_steps(interrupted), both[0])
        both[killed].kill()
        killed_at = time.monotonic()
        codes = join_both(both, outputs)
        # A quarter of a minute until it is noticed, more on a busy machine; JAX's own is 100 s.
        assert time.monotonic() - killed_at < 60
        assert codes[killed] == -signal.SIGKILL
        assert codes[1 - killed] not in (0, None)
        assert re.search(lost, outputs[1 - killed].read_text())
        outputs[1 - killed].unlink()
    assert max(saved_steps(interrupted)) == 40
    # What those that were killed had logged after step 40 is no sign of these.
    started = time.time_ns()
    both = start_both(interruptible, outputs)
    wait_until(
        lambda: (
            (interrupted / "metrics.jsonl").stat().st_mtime_ns > started
            and last_step(interrupted) > 40
        ),
        both[0],
    )
    for process in both:
        process.terminate()
    assert join_both(both, outputs) == [0, 0], [output.read_text() for output in outputs]
    assert "stopped by SIGTERM" in outputs[1].read_text()
    stopped_at = read_metrics(interrupted / "metrics.jsonl")[-1]["step"]
    assert max(saved_steps(interrupted)) == stopped_at < 60

    finish(interruptible, outputs)
    assert newest(interrupted, state)[1] == sha256
    assert without_time(read_metrics(interrupted / "metrics.jsonl")) == without_time(records)
    assert without_time(results.read(interrupted)) == without_time(results.read(together))


def test_a_seed_in_each_process(tmp_path, npz):
    outputs = [tmp_path / "first.txt", tmp_path / "second.txt"]
    together, alone = tmp_path / "together", tmp_path / "alone"
    fields = {"train.num_seeds": 2, "train.num_steps": 20, "train.checkpoint_every": 20}
    finish(training(together, npz, **fields), outputs)
    single = start(training(alone, npz, **fields, **{"train.cpu_devices": 4}), outputs[0])
    single.join(180)
    assert single.exitcode == 0, outputs[0].read_text()
    losses = [of(read_metrics(one / "metrics.jsonl"), "loss") for one in (together, alone)]
    np.testing.assert_allclose(*losses, **TOLERANCE)
    result = results.read(together)["original"]
    assert result["seeds"] == [0, 1]
    assert result["test_correct"] == results.read(alone)["original"]["test_correct"]


def test_a_checkpoint_that_only_one_process_sees(tmp_path, npz):
    outputs = [tmp_path / "first.txt", tmp_path / "second.txt"]
    workdirs = [tmp_path / "on_one_disk", tmp_path / "on_another"]
    fields = {"train.num_steps": 20, "train.checkpoint_every": 20}
    finish(training(workdirs[0], npz, **fields), outputs)
    # As after a kill between the last checkpoint and the test.
    (workdirs[0] / "results.json").unlink()
    both = start_both(training(workdirs[0], npz, **fields), outputs, workdirs)
    assert join_both(both, outputs) == [1, 1]
    for output in outputs:
        said = output.read_text()
        assert "error: run original: not all processes read the same checkpoint in" in said
        assert "Traceback" not in said


def test_hashing_pictures_in_two_processes(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(60):
        make_picture(number % 50).save(folder / f"{number:02d}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    hashing = ["--config=configs/hash_images.py", f"--config.pictures.path={folder}"]
    hashing += ["--config.pictures.part_size=3", "--config.pictures.near_radius=0"]
    outputs = [tmp_path / "first.txt", tmp_path / "second.txt"]
    alone, together = tmp_path / "alone", tmp_path / "together"
    single = start([*hashing, f"--workdir={alone}"], outputs[0])
    single.join(120)
    assert single.exitcode == 0, outputs[0].read_text()

    hashing.append(f"--workdir={together}")
    both = start_both(hashing, outputs)
    wait_until(lambda: any(together.glob("parts/*.parquet")), both[0])
    both[0].kill()
    codes = join_both(both, outputs)
    assert codes[1] != 0
    assert not (together / "catalog.parquet").exists()
    finish(hashing, outputs)
    for name in ("catalog.parquet", "near_duplicates.csv", "unreadable.csv"):
        assert (together / name).read_bytes() == (alone / name).read_bytes()
    assert len((together / "near_duplicates.csv").read_text().splitlines()) > 10


def test_cataloging_a_dataset_in_two_processes(tmp_path):
    # Two parts for the first process, one for the second.
    rng, npz = np.random.default_rng(0), tmp_path / "images.npz"
    np.savez(
        npz,
        train_images=rng.integers(0, 256, (2100, 8, 8, 3), np.uint8),
        train_labels=np.arange(2100) % 2,
        test_images=rng.integers(0, 256, (10, 8, 8, 3), np.uint8),
        test_labels=np.arange(10) % 2,
    )
    cataloging = ["--config=configs/catalog.py", "--config.data.name=file"]
    cataloging.append("--config.hash.names=average_hash")
    cataloging += [f"--config.data.path={npz}", f"--config.catalog.image_dir={tmp_path / 'images'}"]
    outputs = [tmp_path / "first.txt", tmp_path / "second.txt"]
    alone, together = tmp_path / "alone", tmp_path / "together"
    finish([*cataloging, f"--workdir={together}"], outputs)
    assert "2,110 images in" in outputs[0].read_text()
    assert "images in" not in outputs[1].read_text()
    images = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    # And whose they are.
    assert len(images) == 2110 + 1
    assert "dataset.txt" in images

    single = start([*cataloging, f"--workdir={alone}"], outputs[0])
    single.join(120)
    assert single.exitcode == 0, outputs[0].read_text()
    assert (together / "catalog.parquet").read_bytes() == (alone / "catalog.parquet").read_bytes()
    assert images == {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}


def test_what_cannot_be_done_together_is_refused(tmp_path):
    output = tmp_path / "output.txt"
    process = start(
        ["--config=configs/arrays.py", f"--workdir={tmp_path / 'run'}", "--distributed"], output
    )
    process.join(60)
    assert process.exitcode == 1
    assert (
        "error: job arrays runs in one process only: leave out --distributed" in output.read_text()
    )
    process = start(
        ["--config=configs/original.py", f"--workdir={tmp_path / 'run'}", "--distributed"], output
    )
    process.join(60)
    assert process.exitcode == 1
    said = output.read_text()
    assert "error: cannot join the other processes (" in said
    assert "--coordinator=HOST:PORT --num_processes=N --process_id=I" in said
    assert "Traceback" not in said


def test_processes_of_other_hosts_do_not_count(monkeypatch):
    hosts = np.array([5, 6, 5], np.uint32)
    monkeypatch.setattr(processes, "count", lambda: 3)
    monkeypatch.setattr(processes, "number", lambda: 2)
    monkeypatch.setattr(processes.multihost_utils, "process_allgather", lambda _: hosts)
    assert processes.count_on_this_host() == 2
