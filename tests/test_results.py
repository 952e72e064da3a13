"""Statistics, results.json, metrics.jsonl and the report."""

import json

import numpy as np
import pytest
from conftest import load_config

from phash_jax import report, results
from phash_jax.metrics import MetricsLog, read_metrics
from phash_jax.workdir import claim


def test_interval_is_students():
    # 4 values, mean 2.5, standard deviation 1.29099; t(0.975, 3) = 3.18245.
    out = results.mean_and_interval([1.0, 2.0, 3.0, 4.0])
    assert out["mean"] == 2.5
    np.testing.assert_allclose(out["ci95"], [2.5 - 2.05426, 2.5 + 2.05426], atol=1e-5)
    assert results.mean_and_interval([0.5]) == {"mean": 0.5, "ci95": None}
    assert results.mean_and_interval([100, None]) == {"mean": None, "ci95": None}


def test_steps_to_is_the_first_logged_step_of_each_seed():
    records = [
        {"step": 100, "accuracy": [0.5, 0.95, 0.2]},
        {"step": 200, "accuracy": [0.9, 0.5, 0.3]},
    ]
    assert results.steps_to(records, "accuracy", 0.9) == [200, 100, None]


def make_records(num_seeds=2):
    return [
        {
            "step": step,
            "seconds": float(step),
            "loss": [1.0 / step] * num_seeds,
            "accuracy": [0.001 * step] * num_seeds,
            "batch_accuracy": [0.0011 * step] * num_seeds,
            "grad_norm": [1.0] * num_seeds,
        }
        for step in range(100, 1000, 100)
    ]


def make_workdir(path, name, num_seeds=2, *, finished=True):
    config = load_config(name)
    claim(path, config)
    records = make_records(num_seeds)
    with MetricsLog(path, step=0) as log:
        for record in records:
            log.write(record, list(range(num_seeds)))
    result = results.build(
        name=name,
        published=config.published,
        seeds=list(range(num_seeds)),
        records=records,
        test_correct={"clean": [70, 80][:num_seeds], "contrast_200": [60, 50][:num_seeds]},
        test_size=100,
    )
    if finished:
        results.write(path, {name: result})
    return result


def test_result_of_a_run(tmp_path):
    result = make_workdir(tmp_path, "original")
    assert result["train_accuracy"] == [0.9, 0.9]
    assert result["steps_to_90"] == [900, 900]
    assert result["steps_to_90_single_batch"] == [900, 900]
    assert result["num_steps"] == 900
    assert result["test_accuracy"] == {"clean": [0.7, 0.8], "contrast_200": [0.6, 0.5]}
    assert result["statistics"]["test_accuracy"]["clean"]["mean"] == pytest.approx(0.75)
    assert results.read(tmp_path) == {"original": result}


def test_damaged_results_are_named(tmp_path):
    (tmp_path / "results.json").write_text('{"runs": ')
    with pytest.raises(ValueError, match=r"results.json is damaged .*delete it"):
        results.read(tmp_path)
    assert results.read(tmp_path / "nowhere") == {}


def test_metrics_log_drops_what_follows_the_step_it_resumes_from(tmp_path):
    make_workdir(tmp_path, "original")
    path = tmp_path / "metrics.jsonl"
    whole = read_metrics(path)
    path.write_text(path.read_text() + '{"step": 1000, "se')
    assert read_metrics(path) == whole
    with MetricsLog(tmp_path, step=300) as log:
        log.write(whole[3], [0, 1])
    assert read_metrics(path) == whole[:4]
    path.write_text('{"step": 1\n{"step": 2}\n')
    with pytest.raises(ValueError, match=r"metrics.jsonl, line 1 is not JSON"):
        read_metrics(path)


def test_tensorboard_events_hold_scalars_and_histograms(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    make_workdir(tmp_path, "original")
    with MetricsLog(tmp_path, step=900) as log:
        log.histograms({"Conv_0/kernel": np.arange(10.0)}, 900)
    tags = {}
    for path in sorted((tmp_path / "tensorboard").iterdir()):
        data = path.read_bytes()
        position = 0
        while position < len(data):
            # TFRecord: length, checksum of the length, the record, its checksum.
            length = int.from_bytes(data[position : position + 8], "little")
            event = Event.FromString(data[position + 12 : position + 12 + length])
            position += 16 + length
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append((event.step, value.WhichOneof("value")))
    assert tags["loss/seed_1"] == [(step, "simple_value") for step in range(100, 1000, 100)]
    assert tags["Conv_0/kernel"] == [(900, "histo")]


def test_report_compares_workdirs_and_says_which_are_missing(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "phash", 1)
    make_workdir(tmp_path / "c", "cifar10", finished=False)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "results.json").write_text("{")
    workdirs = [tmp_path / name for name in ("a", "b", "c", "d", "e")]
    text = report.write(tmp_path / "out", workdirs)
    assert (tmp_path / "out" / "summary.md").read_text() == text
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    rows = {
        cells[0]: cells[1:]
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines()
            if line.startswith("|")
        )
    }
    assert rows[""] == ["original", "original, published", "phash", "phash, published"]
    assert rows["test accuracy, clean"][1:] == ["54.6 %", "70.0 %", "68.2 %"]
    assert rows["test accuracy, clean"][0].startswith("75.0 % [")
    assert rows["correct, clean"] == ["70, 80 / 100", "1092 / 2000", "70 / 100", "1364 / 2000"]
    assert rows["test accuracy, contrast_200"][1::2] == ["49.6 %", "-"]
    assert rows["steps to 90 %, one logged batch"] == ["900, 900", "9000", "900", "3600"]
    assert rows["training loss"][1::2] == ["0.32", "0.03"]
    assert "- cifar10: not finished: 900 steps in" in text
    assert "results.json is damaged" in text
    assert f"- e: no run in {tmp_path / 'e'}" in text


def test_runs_of_one_name_are_told_apart_by_their_workdir(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "original")
    labels = [run.label for run in report.collect([tmp_path / "a", tmp_path / "b"])]
    assert labels == ["original (a)", "original (b)"]


def test_results_are_plain_json(tmp_path):
    make_workdir(tmp_path, "original")
    assert json.loads((tmp_path / "results.json").read_text())["runs"]["original"]["seeds"] == [
        0,
        1,
    ]
