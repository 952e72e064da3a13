"""The command as a user runs it: whole runs, killed runs, refused runs."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import forked
import jax
import numpy as np
import pytest
from conftest import load_config

from configs.ablations import ROWS
from main import JOBS, check_fields_reach_a_run
from phash_jax import checkpoint, errors, provenance, results
from phash_jax.batches import STREAM
from phash_jax.data.load import SOURCES
from phash_jax.fields import READ_BY, READ_WITH, is_read
from phash_jax.metrics import read_metrics
from phash_jax.model import KERNEL_INITS
from phash_jax.workdir import flatten, locked

SMALL = {
    "data.name": "file",
    "data.classes": "",
    "model.conv_layers": 1,
    "model.conv_features": 8,
    "model.kernel_size": 3,
    "model.dense_features": "(16,)",
    "optimizer.learning_rate": 1e-2,
    "train.batch_size": 32,
    "train.log_every": 10,
    "train.checkpoint_every": 20,
    "train.num_steps": 40,
    "train.num_seeds": 2,
    "train.cpu_devices": 2,
}


def arguments(config, workdir, npz, **fields):
    fields = {**SMALL, "data.path": npz, **fields}
    return [
        f"--config=configs/{config}.py",
        f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in fields.items()),
    ]


def run(*args, **fields):
    return forked.run(arguments(*args, **fields))


def final_arrays(workdir):
    with checkpoint.open_checkpoints(workdir / "checkpoints", keep_last=2) as checkpoints:
        step = checkpoints.latest.step
        return step, jax.tree.map(np.asarray, checkpoints.load(step))


def without_time(value):
    if isinstance(value, dict):
        return {k: without_time(v) for k, v in value.items() if k != "seconds"}
    return [without_time(v) for v in value] if isinstance(value, list) else value


def test_compare_leaves_everything_and_a_second_call_repeats_nothing(
    tmp_path, npz, tmp_path_factory
):
    # This once exactly as a user starts it, compiled programs kept and all.
    ours = ("NPROC", "XLA_FLAGS", "JAX_")
    caches = tmp_path_factory.mktemp("caches")
    first = subprocess.run(
        [sys.executable, "main.py", *arguments("compare", tmp_path, npz)],
        cwd=forked.ROOT,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)}
        | {"XDG_CACHE_HOME": str(caches), "JAX_PLATFORMS": "cpu"},
    )
    assert first.returncode == 0, first.stderr
    assert list(caches.glob("phash_jax/programs-*/*-cache"))
    assert "| test accuracy, contrast_200" in first.stdout
    assert "original: step 40, training accuracy" in first.stdout
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {
        "config.json",
        "results.json",
        "report.html",
        "report.md",
        "figures",
        "original",
        "phash",
    }
    for name in ("original", "phash"):
        assert {p.name for p in (tmp_path / name).iterdir()} == {
            "config.json",
            "provenance.json",
            "examples.png",
            "images.json",
            "mistakes.png",
            "metrics.jsonl",
            "results.json",
            "tensorboard",
            "checkpoints",
        }
        assert [r["step"] for r in read_metrics(tmp_path / name / "metrics.jsonl")] == [
            10,
            20,
            30,
            40,
        ]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert runs == {**results.read(tmp_path / "original"), **results.read(tmp_path / "phash")}
    for result in runs.values():
        assert result["seeds"] == [0, 1]
        assert result["test_size"] == 101
        for test_set in ("clean", "contrast_200"):
            for accuracy, correct in zip(
                result["test_accuracy"][test_set], result["test_correct"][test_set], strict=True
            ):
                assert accuracy == correct / 101
        clean = result["test_accuracy"]["clean"]
        assert np.mean(clean) > 0.8
        assert result["statistics"]["test_accuracy"]["clean"]["mean"] == pytest.approx(
            np.mean(clean)
        )
    # The study's numbers are no measure for other pictures than its own.
    report = (tmp_path / "report.md").read_text()
    assert "published |" not in report
    assert "54.6" not in report
    assert "(figures/original_mistakes.png)" in report
    (start,) = provenance.read(tmp_path / "phash")
    assert start["command"].startswith("python main.py --config=configs/compare.py --workdir=")
    assert f"```sh\n{start['command']}\n```" in report
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/metrics.jsonl")}
    second = run("compare", tmp_path, npz)
    assert second.returncode == 0, second.stderr
    assert second.stdout.strip() == first.stdout[first.stdout.index("# Ours") :].strip()
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/metrics.jsonl")}

    other = run("compare", tmp_path, npz, **{"optimizer.learning_rate": 0.02})
    assert other.returncode == 1
    assert "holds a run of another config" in other.stderr
    assert "optimizer.learning_rate: 0.01 there, 0.02 now" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.filterwarnings("ignore:Sharding info not provided when restoring")
def test_killed_sweep_of_all_13_rows_repeats_none_and_loses_none(tmp_path, npz):
    # What a row of the sweep changes wins over these.
    fields = {
        "model.conv_layers": 1,
        "model.conv_features": 4,
        "model.kernel_size": 5,
        "model.dense_features": "()",
        "train.batch_size": 4,
        "train.num_seeds": 1,
        "train.num_steps": 2,
        "train.log_every": 1,
        "train.checkpoint_every": 2,
        "train.cpu_devices": 1,
    }
    sweep = arguments("ablations", tmp_path, npz, **fields)
    process = forked.start(sweep, tmp_path / "output.txt")
    deadline = time.monotonic() + 240
    while len(list(tmp_path.glob("*/results.json"))) < 2:
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    finished = [p.parent for p in tmp_path.glob("*/results.json")]
    assert 2 <= len(finished) < 13
    before = {
        path: path.stat().st_mtime_ns
        for folder in finished
        for path in folder.rglob("*")
        if path.is_file()
    }
    done = forked.run(sweep)
    assert done.returncode == 0, done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in before}
    runs = results.read(tmp_path)
    assert runs.keys() == {"original", *ROWS}
    assert len(runs) == 13
    for result in runs.values():
        assert result["num_steps"] == 2
        assert np.isfinite(result["train_loss"]).all()
        assert np.asarray(result["test_accuracy"]["contrast_200"]).shape == (1,)
    assert len(re.findall(r"^\| .*\d %", done.stdout, re.MULTILINE)) == 13


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train.num_step": 3}, 'Did you mean "num_steps" instead of "num_step"?'),
        ({"preprocess": "sharpen"}, "unknown preprocess 'sharpen'; choose one of raw, average_h"),
        ({"data.path": "nowhere.npz"}, "nowhere.npz"),
        ({"train.cpu_devices": 5000}, "train.cpu_devices must be 0 to 1024, got 5000"),
        ({"train.num_seeds": 2.5}, "error: flag --config.train.num_seeds=2.5: invalid literal"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, npz, fields, message):
    done = run("original", tmp_path, npz, **fields)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(re.findall("^error: ", done.stderr, re.MULTILINE)) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be loaded: .*No such file or directory: '.*mine.py'"),
        ("fields = {}", "must have a function get_config that returns the config"),
        ("def get_config(:", r"cannot be loaded: invalid syntax \(mine.py, line 1\)"),
        ("import nowhere_to_be_found", "cannot be loaded: No module named 'nowhere_to_be_found'"),
        ("def get_config(): return lost", "cannot be loaded: name 'lost' is not defined"),
    ],
)
def test_a_config_that_cannot_be_loaded_is_named(tmp_path, text, message):
    config = tmp_path / "mine.py"
    if text is not None:
        config.write_text(text)
    done = forked.run([f"--config={config}", f"--workdir={tmp_path / 'workdir'}"])
    assert done.returncode == 1
    assert re.fullmatch(f"error: the --config file {message}", done.stderr.strip())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {}", "get_config in the --config file must return the config of configs/default"),
        (
            "return ConfigDict({'job': 'train'})",
            "must return the config of configs/default.py, with other",
        ),
        (
            "config = default.get_config(); config.optimizer.learning_rat = 0.5; return config",
            'Did you mean "learning_rate" instead of "learning_rat"?',
        ),
        (
            "config = default.get_config(); config.runs['rate_0.1'] = {}; return config",
            "error: ConfigDict does not accept dots in field names",
        ),
    ],
)
def test_a_config_with_other_fields_is_refused(tmp_path, body, message):
    config = tmp_path / "mine.py"
    imports = "from ml_collections import ConfigDict\nfrom configs import default\n"
    config.write_text(f"{imports}def get_config():\n    {body}\n")
    done = forked.run([f"--config={config}", f"--workdir={tmp_path / 'workdir'}"])
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "workdir").exists()


def test_what_no_memory_can_hold_ends_in_one_line(tmp_path):
    # More than any process can address, so that no system tries.
    asked = ["--config.data.train_size=1000000000000000"]
    done = forked.run(["--config=configs/quickstart.py", f"--workdir={tmp_path}", *asked])
    assert done.returncode == 1
    assert "error: there is not enough memory (Unable to allocate" in done.stderr
    assert "Traceback" not in done.stderr
    assert errors.is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert errors.is_out_of_memory(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 8 GiB"))
    assert not errors.is_out_of_memory(RuntimeError("INTERNAL: no such kernel"))


def test_help_loads_nothing_that_takes_seconds():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "main.py", "--help"],
        cwd=forked.ROOT,
        capture_output=True,
        text=True,
    )
    assert "--workdir" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "absl.app" in loaded
    assert loaded.isdisjoint({"jax", "numpy", "flax", "optax", "orbax", "matplotlib"})


def test_arrays_keep_their_size(tmp_path, npz):
    config = load_config("original")
    config.data.name = "file"
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "train_images.npy", np.zeros((2, 8, 8, 3), np.uint8))
    for path in (npz, tmp_path / "arrays"):
        config.data.path = str(path)
        with pytest.raises(ValueError, match=r"data.image_size has no effect: .* holds arrays"):
            check_fields_reach_a_run(config, ["data.image_size"])
    config.data.path = str(tmp_path)
    check_fields_reach_a_run(config, ["data.image_size"])


def test_a_field_that_every_run_sets_itself_is_refused(tmp_path, npz):
    done = run("compare", tmp_path / "workdir", npz, preprocess="median_hash")
    assert done.returncode == 1
    assert (
        "error: --config.preprocess has no effect: overridden by original, phash of compare"
        in done.stderr
    )
    assert not (tmp_path / "workdir").exists()


@pytest.mark.parametrize(
    ("only", "given", "has_effect"),
    [
        ("", "preprocess", False),
        ("phash", "preprocess", False),
        ("", "runs.scrambled.preprocess", True),
        ("", "train.num_steps", True),
        ("", "data.scramble_train", True),
        ("scrambled", "data.scramble_train", False),
        ("scrambled,phash", "data.scramble_train", True),
    ],
)
def test_a_field_that_some_run_leaves_open_is_taken(only, given, has_effect):
    config = load_config("as_published")
    config.only = only
    with contextlib.nullcontext() if has_effect else pytest.raises(ValueError, match="no effect"):
        check_fields_reach_a_run(config, [given])


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        ("quickstart", "hash.size", "job train does not read it"),
        ("hash_images", "data.path", "job hash_images does not read it"),
        ("hash_images", "data", "job hash_images does not read it"),
        ("hash_images", "pictures.path", ""),
        ("hash_images", "train.cpu_devices", "job hash_images does not read it"),
        ("arrays", "train.cpu_devices", "job arrays does not read it"),
        ("robustness", "train.cpu_devices", ""),
        ("robustness", "data.train_repeats", "job robustness does not read it"),
        ("robustness", "data.validation_share", ""),
        ("catalog", "data.validation_share", "job catalog does not read it"),
        ("catalog", "hash.inputs", "job catalog does not read it"),
        ("robustness", "train.num_steps", "job robustness does not read it"),
        ("robustness", "distortions.draws", ""),
        ("original", "data.path", "with data.name=synthetic: add --config.data.name=file, or"),
        ("original", "data.image_size", ""),
        ("ablations", "data.dir", "with data.name=synthetic: add --config.data.name=cifar10"),
        (
            "best_raw",
            "model.kernel_stddev",
            "with model.kernel_init=he_normal: add --config.model.",
        ),
        (
            "ablations",
            "model.kernel_stddev",
            "with model.kernel_init=glorot_uniform, lecun_normal,",
        ),
        (
            "best_raw",
            "train.teachers",
            r"with train.teacher=\(none\): add --config.train.teacher=VALUE",
        ),
        ("distilled_phash", "train.teacher_share", ""),
        ("original", "train.prefetch", ""),
        ("original", "published", "no effect with data.name=synthetic: add --config.data.name=cif"),
        ("cifar10", "test_sets", ""),
    ],
)
def test_a_field_that_nothing_reads_is_refused(config, given, message):
    with pytest.raises(ValueError, match=message) if message else contextlib.nullcontext():
        check_fields_reach_a_run(load_config(config), [given])


def test_published_numbers_may_be_chosen_for_cifar10():
    config = load_config("original")
    config.data.name = "cifar10"
    check_fields_reach_a_run(config, ["published"])


def test_every_job_and_source_says_which_fields_it_reads():
    assert set(READ_BY) == set(JOBS)
    fields = flatten(load_config("default").to_dict())
    for job, read in READ_BY.items():
        for name in read:
            assert any(field == name or field.startswith(f"{name}.") for field in fields), job
        assert is_read("job", job=job)
    for field, (other, values) in READ_WITH.items():
        assert {field, other} <= set(fields)
        choices = {
            "data.name": SOURCES,
            "model.kernel_init": KERNEL_INITS,
            "train.stream": STREAM,
            "train.teacher": {},
        }
        assert set(values) <= set(choices[other])


def test_a_diverging_run_is_named_and_the_others_go_on(tmp_path, npz):
    config = tmp_path / "two.py"
    config.write_text(
        "from ml_collections import ConfigDict\n"
        "from configs import default\n"
        "def get_config():\n"
        "    config = default.get_config()\n"
        "    config.runs = ConfigDict(\n"
        "        {'a_hot': {'optimizer': {'learning_rate': 1e30}}, 'b_mild': {},\n"
        "         'c_lost': {'data': {'classes': 'unicorn'}}, 'd_moved': {'test_shift': 16},\n"
        "         'e_gone': {'data': {'path': 'tpyo.npz'}}, 'f_mild': {'train': {'seed': 5}}}\n"
        "    )\n"
        "    return config\n"
    )
    name = os.path.relpath(config.with_suffix(""), forked.ROOT / "configs")
    done = run(name, tmp_path / "workdir", npz, **{"train.num_steps": 20, "train.num_seeds": 1})
    assert done.returncode == 1
    assert "error: run a_hot: the loss or its gradient is not finite at step" in done.stderr
    assert list(results.read(tmp_path / "workdir")) == ["b_mild", "f_mild"]
    markdown = (tmp_path / "workdir" / "report.md").read_text()
    assert "- a_hot: failed: the loss or its" in markdown
    assert "- c_lost: failed: " in markdown
    assert "unicorn" in markdown
    assert "- e_gone: failed: data.path tpyo.npz does not exist" in markdown
    assert "- d_moved: failed: test_shift is 16 pixels, images are 16x16" in markdown
    # Not after the training.
    assert not (tmp_path / "workdir" / "d_moved" / "metrics.jsonl").exists()


def test_a_corrected_command_may_have_the_workdir(tmp_path, npz):
    for wrong, message in (
        ({"data.path": "tpyo.npz"}, "run original: data.path tpyo.npz does not exist"),
        ({"data.classes": "unicorn"}, "run original: .*unicorn"),
        ({"model.conv_layers": 9}, "run original: images of 16x16 pixels, .* too small for 9"),
        ({"train.max_shift": 16}, "run original: train.max_shift is 16 pixels"),
    ):
        done = run("original", tmp_path, npz, **{"train.num_steps": 10, **wrong})
        assert done.returncode == 1
        assert re.search(f"error: {message}", done.stderr)
    done = run("original", tmp_path, npz, **{"train.num_steps": 10})
    assert done.returncode == 0, done.stderr
    assert results.read(tmp_path)["original"]["num_steps"] == 10


STOPPED = """
import os, signal, sys, time
import main
from phash_jax import experiment

def asked_to_stop(config, workdir):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)

experiment.run = asked_to_stop
try:
    main.app.run(main.main, argv=sys.argv, flags_parser=main._parse_flags)
finally:
    print("ends as usual", flush=True)
"""


def test_a_stopped_process_waits_for_no_thread(tmp_path):
    """One that compiles crashes when Python ends, and the exit code would be another."""
    output = tmp_path / "output.txt"
    process = forked.start_code(
        STOPPED, ["--config=configs/original.py", f"--workdir={tmp_path / 'run'}"], output
    )
    process.join(120)
    said = output.read_text()
    assert process.exitcode == 0, said
    assert said.strip().endswith("stopped by SIGTERM: start the same command again to resume here")


def test_a_workdir_without_a_name_is_refused(tmp_path):
    # No job that there is, so that nothing is written here if it is not refused.
    done = forked.run(["--config=configs/original.py", "--config.job=none", "--workdir="])
    assert done.returncode == 1
    assert done.stderr == "error: --workdir is empty: name a folder for the results\n"


def test_a_workdir_in_use_is_refused(tmp_path, npz):
    with locked(tmp_path):
        done = run("original", tmp_path, npz)
    assert done.returncode == 1
    assert f"error: another process is running in --workdir={tmp_path}: wait" in done.stderr
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path), locked(tmp_path / "original"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is played by /dev/full")
@pytest.mark.parametrize("file", ["results.json", "metrics.jsonl"])
def test_a_full_disk_is_named_and_loses_nothing(tmp_path, npz, file):
    # JSON files are written under this name first.
    (tmp_path / f"{file}.partial").symlink_to("/dev/full")
    done = run("original", tmp_path, npz)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "free some and start the same command again; it resumes from what was saved\n"
    )
    assert f"error: no disk space is left for --workdir={tmp_path}: " in done.stderr
    assert "Traceback" not in done.stderr
    for name in (f"{file}.partial", file):
        if (tmp_path / name).is_symlink():
            (tmp_path / name).unlink()
    again = run("original", tmp_path, npz)
    assert again.returncode == 0, again.stderr
    assert results.read(tmp_path)["original"]["num_steps"] == 40
    # Trained already, if it came so far.
    assert ("step 40," in again.stdout) == (file == "metrics.jsonl")


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.filterwarnings("ignore:Sharding info not provided when restoring")
def test_a_disk_that_fills_up_with_checkpoints(small_disk, tmp_path, npz):
    whole, workdir = tmp_path / "whole", small_disk / "run"
    fields = {"train.checkpoint_every": 10, "train.keep_checkpoints": 40}
    assert run("original", whole, npz, **fields).returncode == 0
    whole_size = sum(path.stat().st_size for path in whole.rglob("*"))
    # Room for some of it.
    (small_disk / "ballast").write_bytes(bytes(2 * 2**20 - whole_size // 4))
    done = run("original", workdir, npz, **fields)
    assert done.returncode == 1
    assert f"error: no disk space is left for --workdir={workdir}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workdir / "failure.json").exists()
    (small_disk / "ballast").unlink()
    again = run("original", workdir, npz, **fields)
    assert again.returncode == 0, again.stderr
    step, expected = final_arrays(whole)
    actual_step, actual = final_arrays(workdir)
    assert actual_step == step == 40
    jax.tree.map(np.testing.assert_array_equal, actual, expected)
    assert without_time(results.read(workdir)) == without_time(results.read(whole))


@pytest.mark.parametrize("where", ["below_a_file", "read_only_system"])
def test_workdir_that_cannot_be_written(tmp_path, npz, where):
    (tmp_path / "file").write_text("")
    workdir = tmp_path / "file" / "below"
    if where == "read_only_system":
        # Where nobody may make a folder, not even root.
        workdir = Path("/sys/phash_jax")
        if not workdir.parent.exists():
            pytest.skip("a read-only file system is played by /sys, which this machine lacks")
    done = run("original", workdir, npz)
    assert done.returncode == 1
    assert "error: cannot write to --workdir=" in done.stderr
    assert "Traceback" not in done.stderr
