"""The job of training, one run of it."""

import pytest
from conftest import load_config

from phash_jax import experiment, processes
from phash_jax.data.dataset import fingerprint
from phash_jax.data.load import load_in_all
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
    ours = load_in_all(fields)
    assert fingerprint(ours) == fingerprint(load_in_all(fields))
    # Pictures of another seed have the same labels and names.
    fields.seed = 1
    assert fingerprint(ours) != fingerprint(load_in_all(fields))
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "any_of", lambda flag: flag)
    monkeypatch.setattr(processes, "all_have", lambda text: text == fingerprint(ours))
    with pytest.raises(ValueError, match="not all processes have loaded the same pictures"):
        load_in_all(fields)
    fields.seed = 0
    assert fingerprint(load_in_all(fields)) == fingerprint(ours)
