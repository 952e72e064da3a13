"""The job of training, one run of it."""

import pytest
from conftest import load_config

from phash_jax import experiment, processes
from phash_jax.data.dataset import fingerprint
from phash_jax.workdir import claim


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


def test_processes_that_have_loaded_other_pictures_do_not_train(monkeypatch):
    fields = load_config("original").data
    fields.train_size, fields.test_size = 8, 4
    ours = experiment._load(fields)
    assert fingerprint(ours) == fingerprint(experiment._load(fields))
    # Of another seed the pictures are others, but not the labels and names; of another size all.
    fields.train_size = 6
    assert fingerprint(ours) != fingerprint(experiment._load(fields))
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "any_of", lambda flag: flag)
    monkeypatch.setattr(processes, "all_have", lambda text: text == fingerprint(ours))
    with pytest.raises(ValueError, match="not all processes have loaded the same pictures"):
        experiment._load(fields)
    fields.train_size = 8
    assert fingerprint(experiment._load(fields)) == fingerprint(ours)
