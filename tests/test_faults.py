"""A run is stopped at any moment, in any way, and ends as if it had not been."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import filelock
import jax
import numpy as np
import pytest
from forked import start
from test_main import arguments, final_arrays, without_time

from phash_jax import checkpoint, results
from phash_jax.metrics import MetricsLog, read_metrics

# So many that twenty starts do not come to an end, also on a fast machine.
FIELDS = {"train.num_steps": 500, "train.log_every": 5, "train.checkpoint_every": 5}
KILLS = 20


def training(workdir, npz, **fields):
    return arguments("original", workdir, npz, **{**FIELDS, **fields})


def finish(arguments, output):
    process = start(arguments, output)
    process.join(240)
    assert process.exitcode == 0, output.read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, npz):
    """The workdir of a run that nothing happened to, one for all processes of the tests."""
    own = tmp_path_factory.getbasetemp()
    workdir = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "whole"
    # How often it is saved makes no difference to what is compared, but takes most of the time.
    once = {"train.checkpoint_every": FIELDS["train.num_steps"]}
    with filelock.FileLock(f"{workdir}.lock"):
        if not (workdir / "results.json").exists():
            finish(training(workdir, npz, **once), Path(f"{workdir}.txt"))
    return workdir


def assert_same_run(workdir, whole):
    step, expected = final_arrays(whole)
    actual_step, actual = final_arrays(workdir)
    assert actual_step == step == FIELDS["train.num_steps"]
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)
    assert len(jax.tree.leaves(actual)) > 20
    metrics = [without_time(read_metrics(one / "metrics.jsonl")) for one in (workdir, whole)]
    assert metrics[0] == metrics[1]
    assert without_time(results.read(workdir)) == without_time(results.read(whole))


def saved_steps(workdir):
    return {int(path.name) for path in (workdir / "checkpoints").glob("*") if path.name.isdigit()}


def logged(workdir):
    return len(read_metrics(workdir / "metrics.jsonl"))


def wait_until(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.filterwarnings("ignore:Sharding info not provided when restoring")
def test_killed_twenty_times_at_random_moments(tmp_path, npz, whole):
    """Checkpoints are written all the time, so many of the moments are within a write."""
    moments = random.Random(0)
    workdir, output = tmp_path / "run", tmp_path / "output.txt"
    newest, while_writing = 0, 0
    for number in range(KILLS):
        process = start(training(workdir, npz), output)
        if number % 4:
            before = logged(workdir)
            wait_until(lambda before=before: logged(workdir) > before, process)
            time.sleep(moments.uniform(0, 0.1))
        else:
            time.sleep(moments.uniform(0, 2))
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, output.read_text()
        partial = [path for path in (workdir / "checkpoints").glob("*") if "tmp" in path.name]
        while_writing += bool(partial)
        steps = saved_steps(workdir)
        assert max(steps, default=0) >= newest
        newest = max(steps, default=0)
        assert logged(workdir) >= newest // FIELDS["train.log_every"]
        if number == KILLS // 2:
            # As by a power cut in the middle of a line.
            with (workdir / "metrics.jsonl").open("a") as file:
                file.write('{"step": 99999, "los')
    assert while_writing > 0
    assert 0 < newest < FIELDS["train.num_steps"]
    # The kills are over: saved once, it ends sooner.
    finish(training(workdir, npz, **{"train.checkpoint_every": 500}), output)
    assert_same_run(workdir, whole)
    assert "Traceback" not in output.read_text()


def test_a_log_cut_in_its_last_line_goes_on_from_the_checkpoint_before(config, dataset, tmp_path):
    from test_train import bytes_of, run

    whole = run(config, dataset, tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[:-30])
    again = run(config, dataset, tmp_path)
    assert bytes_of(again[0]) == bytes_of(whole[0])
    assert without_time(again[2]) == without_time(whole[2])
    assert saved_steps(tmp_path) == {10, 20}
    # There is none before it to go on from.
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(ValueError, match=r"ends at step 5, the checkpoint .* is of step 20\): put"):
        run(config, dataset, tmp_path)
    assert saved_steps(tmp_path) == {10, 20}


@pytest.mark.filterwarnings("ignore:Sharding info not provided when restoring")
def test_sigterm_saves_what_was_logged(tmp_path, npz, whole):
    workdir, output = tmp_path / "run", tmp_path / "output.txt"
    # So that a checkpoint is due only long after.
    fields = {"train.checkpoint_every": 500}
    process = start(training(workdir, npz, **fields), output)
    wait_until(lambda: logged(workdir) >= 10, process)
    process.terminate()
    process.join(60)
    said = output.read_text()
    assert process.exitcode == 0, said
    assert "stopped by SIGTERM: start the same command again to resume here" in said
    assert "Traceback" not in said
    assert not (workdir / "results.json").exists()
    stopped_at = read_metrics(workdir / "metrics.jsonl")[-1]["step"]
    assert 50 <= stopped_at < 500
    assert saved_steps(workdir) == {stopped_at}
    finish(training(workdir, npz, **fields), output)
    # Logged anew: nothing.
    assert output.read_text().count(f"step {stopped_at},") == 1
    assert_same_run(workdir, whole)


def test_a_clock_that_jumps_changes_nothing(config, dataset, tmp_path, monkeypatch):
    from test_train import bytes_of, run

    whole = run(config, dataset, tmp_path / "whole")
    # Set forward by a day at one log line, back by two at the next, and so on.
    ahead, true_time, write = [0.0], time.time, MetricsLog.write

    def set_clock_and_write(self, record, seeds):
        ahead[0] = 86_400.0 if ahead[0] <= 0 else -86_400.0
        write(self, record, seeds)

    monkeypatch.setattr(MetricsLog, "write", set_clock_and_write)
    monkeypatch.setattr(time, "time", lambda: true_time() + ahead[0])
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))
    jumped = run(config, dataset, tmp_path / "jumped")
    assert bytes_of(jumped[0]) == bytes_of(whole[0])
    seconds = [record["seconds"] for record in jumped[2]]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] < 600
    assert without_time(jumped[2]) == without_time(whole[2])
    assert json.loads((tmp_path / "jumped" / "metrics.jsonl").read_text().splitlines()[-1])


class _Raises:
    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error


def test_what_finds_its_loop_closed_is_not_printed_and_other_errors_are(tmp_path, monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: printed.append(str(it.exc_value)))
    with checkpoint.open_checkpoints(tmp_path, keep_last=1):
        _Raises(RuntimeError("Event loop is closed"))
        _Raises(RuntimeError("something else"))
    _Raises(RuntimeError("Event loop is closed"))
    assert printed == ["something else", "Event loop is closed"]
