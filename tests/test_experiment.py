"""The job of training, one run of it."""

from phash_jax import experiment
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
