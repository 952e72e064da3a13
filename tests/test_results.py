"""results.json and metrics.jsonl."""

import json

import numpy as np
import pytest
from conftest import make_records, make_workdir

from phash_jax import results
from phash_jax.metrics import MetricsLog, read_metrics


def test_steps_to_is_the_first_logged_step_of_each_seed():
    records = [
        {"step": 100, "accuracy": [0.5, 0.95, 0.2]},
        {"step": 200, "accuracy": [0.9, 0.5, 0.3]},
    ]
    assert results.steps_to(records, "accuracy", 0.9) == [200, 100, None]


def test_result_of_a_run(tmp_path):
    result = make_workdir(tmp_path, "original")
    assert result["train_accuracy"] == [0.9, 0.9]
    assert result["steps_to_90"] == [900, 900]
    assert result["steps_to_90_single_batch"] == [900, 900]
    assert result["num_steps"] == 900
    assert result["test_accuracy"] == {"clean": [0.7, 0.8], "contrast_200": [0.6, 0.5]}
    assert result["statistics"]["test_accuracy"]["clean"]["mean"] == pytest.approx(0.75)
    assert results.read(tmp_path) == {"original": result}


def test_statistics_are_those_of_the_seeds_whatever_was_stored(tmp_path):
    result = make_workdir(tmp_path, "original", clean=(70, 70))
    # As before an interval of equal values was none.
    of_equal = {"mean": 0.7, "ci95": [0.7, 0.7]}
    of_tests = result["statistics"]["test_accuracy"] | {"clean": of_equal}
    stored = result["statistics"] | {"test_accuracy": of_tests}
    results.write(tmp_path, {"original": result | {"statistics": stored}})
    assert results.read(tmp_path) == {"original": result}
    assert result["statistics"]["test_accuracy"]["clean"] == {"mean": 0.7, "ci95": None}


def test_a_confusion_has_classes_as_rows_and_what_they_were_taken_for_as_columns():
    matrix = results._confusion(np.array([1, 1, 0, 2]), np.array([0, 0, 0, 1]), 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 0, 1], [0, 0, 0]]


def test_damaged_results_are_named(tmp_path):
    (tmp_path / "results.json").write_text('{"runs": ')
    with pytest.raises(ValueError, match=r"results.json is damaged .*delete it"):
        results.read(tmp_path)
    assert results.read(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("test_accuracy", None),
        ("test_accuracy", {"clean": [0.5]}),
        ("test_accuracy", {"fog": [0.5, "0.5"]}),
        ("published", "nobody"),
        ("num_steps", "900"),
        ("train_accuracy", [0.5]),
        ("train_loss", [None, 0.5]),
        ("test_correct", {"clean": 5}),
        ("confusion", None),
        ("confusion", {"clean": [[[1, 2], [3]]]}),
        ("confusion", {"clean": [[[None, 1], [2, 3]]]}),
    ],
)
def test_results_of_another_kind_are_named(tmp_path, field, value):
    result = make_workdir(tmp_path, "original")
    results.write(tmp_path, {"original": result | {field: value}})
    with pytest.raises(ValueError, match=r"results.json is damaged \(original lacks .*delete it"):
        results.read(tmp_path)


def test_a_time_without_end_is_named(tmp_path):
    results.write(tmp_path, {"original": make_workdir(tmp_path, "original") | {"seconds": 1e9}})
    path = tmp_path / "results.json"
    path.write_text(path.read_text().replace("1000000000.0", "Infinity"))
    with pytest.raises(ValueError, match=r"results.json is damaged \(original lacks seconds, or"):
        results.read(tmp_path)


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
    with pytest.raises(ValueError, match=r"metrics.jsonl is damaged \(line 1 is not JSON.*copy"):
        read_metrics(path)
    path.write_text(json.dumps(whole[0] | {"step": "100"}) + "\n")
    with pytest.raises(ValueError, match=r"damaged \(a step is not a whole number\).*copy"):
        read_metrics(path)
    for loss in ([None, 0.5], None, 0.5):
        path.write_text(json.dumps(whole[0] | {"loss": loss}) + "\n")
        with pytest.raises(ValueError, match=r"\(loss is not a number for each seed\).*copy"):
            read_metrics(path)
    path.write_text(json.dumps(whole[0] | {"accuracy": [0.5]}) + "\n")
    with pytest.raises(ValueError, match=r"damaged \(accuracy is not a number for each seed\).*c"):
        read_metrics(path)
    path.write_text('{"step": 1}\n')
    with pytest.raises(ValueError, match=r"damaged \(a line lacks accuracy, .*, seconds\).*copy"):
        read_metrics(path)


def test_a_log_that_does_not_reach_to_the_checkpoint_is_refused(tmp_path):
    make_workdir(tmp_path, "original")
    with MetricsLog(tmp_path, step=900):
        pass
    kept = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(ValueError, match=r"ends at step 900, the checkpoint .* is of step 950"):
        MetricsLog(tmp_path, step=950)
    assert (tmp_path / "metrics.jsonl").read_text() == kept
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(ValueError, match=r"ends at step 0, .* of step 900\): put"):
        MetricsLog(tmp_path, step=900)


def test_tensorboard_events_hold_scalars_and_histograms(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    make_workdir(tmp_path, "original")
    with MetricsLog(tmp_path, step=900) as log:
        log.histograms({"Conv_0/kernel": np.arange(10.0)}, 900)
    tags, starts = {}, []
    for path in sorted((tmp_path / "tensorboard").iterdir()):
        data = path.read_bytes()
        position = 0
        while position < len(data):
            # TFRecord: length, checksum of the length, the record, its checksum.
            length = int.from_bytes(data[position : position + 8], "little")
            event = Event.FromString(data[position + 12 : position + 12 + length])
            position += 16 + length
            if event.WhichOneof("what") == "session_log":
                starts.append(event.step)
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append((event.step, value.WhichOneof("value")))
    assert tags["loss/seed_1"] == [(step, "simple_value") for step in range(100, 1000, 100)]
    assert tags["Conv_0/kernel"] == [(900, "histo")]
    # What a resume writes does not take the place of what was there before it.
    assert starts == [1, 901]


def test_a_confusion_has_rows_for_classes_alone():
    result = results.build(
        name="n",
        published="none",
        seeds=[0],
        records=make_records(1),
        class_names=("a", "b"),
        test_labels=np.array([0, 1], np.int32),
        test_logits={"clean": np.eye(10, dtype=np.float32)[None, [0, 7]]},
    )
    assert np.shape(result["confusion"]["clean"]) == (1, 2, 10)
    assert result["test_correct"] == {"clean": [1]}
