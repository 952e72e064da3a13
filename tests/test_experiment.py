"""The job of training, one run of it."""

import dataclasses
import errno
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import load_config, make_records
from ml_collections import ConfigDict

from phash_jax import experiment, processes, results
from phash_jax.data.dataset import fingerprint
from phash_jax.data.load import load_in_all
from phash_jax.distortions import TEST_SETS
from phash_jax.errors import UserError
from phash_jax.preprocess import PREPROCESS
from phash_jax.runs import named_runs
from phash_jax.workdir import claim


def begin(config, workdir, overrides):
    """The runs of a config, each in a workdir of its own."""
    with config.unlocked():
        config.runs = ConfigDict(overrides)
    claim(workdir, config)
    runs = named_runs(config, workdir)
    for run, folder in runs:
        claim(folder, run)
    return runs


def test_networks_tested_after_the_last_step_are_not_tested_again(
    config, dataset, tmp_path, monkeypatch
):
    config.train.test_every = 10
    claim(tmp_path, config)
    tests = []

    def evaluate(*arguments):
        tests.append(evaluate_again(*arguments))
        return tests[-1]

    evaluate_again = experiment.evaluate
    monkeypatch.setattr(experiment, "evaluate", evaluate)
    at_once = experiment._run_one(config, dataset, tmp_path)
    assert tests == []
    # Killed before its results were written: there is nothing left to train.
    resumed = experiment._run_one(config, dataset, tmp_path)
    assert len(tests) == 1
    for field in ("test_accuracy", "test_correct"):
        assert at_once[field] == resumed[field]


def test_networks_are_tested_as_the_config_says(config, dataset, monkeypatch):
    asked = []
    monkeypatch.setattr(
        experiment, "make_predict", lambda *given, **how: asked.append((given, how))
    )
    config.preprocess, config.test_flip, config.test_shift = "average_hash", True, 1
    experiment.make_evaluate(config, dataset, SimpleNamespace(platform="cpu"))
    assert [given[1:3] for given, _ in asked] == [
        (PREPROCESS["average_hash"], TEST_SETS[name]) for name in ("clean", "contrast_200")
    ]
    assert [how for _, how in asked] == [{"test_flip": True, "test_shift": 1}] * 2


def test_damaged_files_of_a_run_do_not_stop_the_others(config, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "load_in_all", lambda fields: dataset)
    runs = begin(config, tmp_path, {"begun": {}, "done": {}, "new": {}})
    for damaged in ("begun/provenance.json", "done/results.json"):
        (tmp_path / damaged).write_text("x")
    with pytest.raises(UserError, match=r"run begun: .*provenance.json.* run done: .*results.json"):
        experiment._run_each(runs, [], tmp_path)
    assert list(results.read(tmp_path)) == ["new"]
    for name in ("begun", "done"):
        assert f"{tmp_path / name}" in results.read_failure(tmp_path / name)
    assert "provenance.json" in (tmp_path / "report.md").read_text()


def test_processes_that_have_loaded_other_pictures_do_not_train(monkeypatch):
    fields = load_config("original").data
    fields.train_size, fields.test_size = 8, 4
    ours = load_in_all(fields)
    assert fingerprint(ours) == fingerprint(load_in_all(fields))
    # Pictures of another seed have the same labels and names.
    fields.seed = 1
    assert fingerprint(ours) != fingerprint(load_in_all(fields))
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "any_of", lambda flag: flag)
    monkeypatch.setattr(processes, "all_have", lambda text: text == fingerprint(ours))
    with pytest.raises(ValueError, match="not all processes have loaded the same images"):
        load_in_all(fields)
    fields.seed = 0
    assert fingerprint(load_in_all(fields)) == fingerprint(ours)


def test_a_run_with_pictures_of_its_own_has_them_loaded(config, dataset, tmp_path, monkeypatch):
    asked = []

    def load(fields):
        asked.append(fields.scramble_train)
        return dataset

    def stop(*given):
        raise ValueError("far enough")

    monkeypatch.setattr(experiment, "load_in_all", load)
    monkeypatch.setattr(experiment, "_run_one", stop)
    runs = begin(config, tmp_path, {"a": {}, "b": {}, "c": {"data": {"scramble_train": True}}})
    with pytest.raises(UserError, match="far enough"):
        experiment._run_each(runs, [], tmp_path)
    assert asked == [False, True]


def test_an_error_nobody_foresaw_ends_one_run_and_says_where_it_was(
    config, dataset, tmp_path, monkeypatch, caplog
):
    def of_somebody(run, *given):
        raise TypeError("a distortion that takes no key") if run.name == "a" else ValueError("told")

    monkeypatch.setattr(experiment, "load_in_all", lambda fields: dataset)
    monkeypatch.setattr(experiment, "_run_one", of_somebody)
    runs = begin(config, tmp_path, {"a": {}, "b": {}})
    with pytest.raises(UserError, match=r"run a: a distortion.* run b: told") as raised:
        experiment._run_each(runs, [], tmp_path)
    assert isinstance(raised.value.__cause__, TypeError)
    # Of what was foreseen the message says enough.
    shown = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert shown == [TypeError]
    for name in ("a", "b"):
        failure = json.loads((tmp_path / name / "failure.json").read_text())
        assert "in of_somebody" in failure["traceback"]
    # Of several processes only this one may have failed.
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "any_of", lambda flag: flag)
    monkeypatch.setattr(processes, "as_first", lambda flag: flag)
    monkeypatch.setattr(processes, "in_all", lambda do, what: do())
    with pytest.raises(TypeError):
        experiment._run_each(runs, [], tmp_path)


def test_want_of_disk_ends_all_runs(config, dataset, tmp_path, monkeypatch):
    begun = []

    def fill(run, *given):
        begun.append(run.name)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(experiment, "load_in_all", lambda fields: dataset)
    monkeypatch.setattr(experiment, "_run_one", fill)
    runs = begin(config, tmp_path, {"a": {}, "b": {}})
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        experiment._run_each(runs, [], tmp_path)
    assert begun == ["a"]


@pytest.mark.parametrize(
    ("fields", "published"),
    [
        ({}, "original"),
        ({"data.validation_share": 0.2}, "none"),
        ({"preprocess": "median_hash"}, "none"),
    ],
)
def test_published_numbers_are_for_runs_like_the_studys(
    config, dataset, tmp_path, monkeypatch, fields, published
):
    config.update_from_flattened_dict({"data.name": "cifar10", "published": "original", **fields})
    state = SimpleNamespace(seed=np.array([0]), step=np.array([5]))
    monkeypatch.setattr(experiment, "train", lambda *a, **b: (state, None, make_records(1)))
    logits = {"clean": np.zeros((1, 101, 2), np.float32)}
    monkeypatch.setattr(experiment, "evaluate", lambda *a: logits)
    claim(tmp_path, config)
    dataset = dataclasses.replace(dataset, class_names=("cat", "dog"))
    assert experiment._run_one(config, dataset, tmp_path)["published"] == published
