"""Accuracy on distorted images, and its report."""

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_small_config, make_split

from phash_jax import export_distorted, robustness, robustness_results
from phash_jax.distortions import DISTORTIONS, GROUPS
from phash_jax.distortions.draws import distortion_key
from phash_jax.experiment import evaluate
from phash_jax.hash_robustness import evaluate_hashes
from phash_jax.json_files import read_lines_by
from phash_jax.networks import restore_all
from phash_jax.report import report, robustness_verdicts, tested_networks
from phash_jax.report import robustness as robustness_section
from phash_jax.train import train
from phash_jax.workdir import WorkdirError, claim


@pytest.fixture(scope="module")
def once(dataset, tmp_path_factory):
    """Two runs of two seeds, the config that tests them, and their logits."""
    folder = tmp_path_factory.mktemp("once")
    config = make_small_config()
    config.data.name = "file"
    config.data.path = str(folder / "images.npz")
    config.data.classes = ""
    np.savez(
        config.data.path,
        train_images=dataset.train.images,
        train_labels=dataset.train.labels,
        test_images=dataset.test.images,
        test_labels=dataset.test.labels,
    )
    config.train.num_seeds = 2
    logits = {}
    for name, preprocess in (("plain", "raw"), ("hashed", "average_hash")):
        config.name, config.preprocess = name, preprocess
        claim(folder / name, config)
        state, placement, _ = train(config, dataset.train, num_classes=2, workdir=folder / name)
        logits[name] = evaluate(config, state, dataset, placement)
    config.name = config.job = "robustness"
    config.preprocess = "raw"
    config.robustness.networks = f"{folder / 'plain'},{folder / 'hashed'}"
    config.distortions.names = "gaussian_noise,brightness"
    config.distortions.severities = "5,2"
    config.distortions.draws = 2
    return config, logits


@pytest.fixture
def trained(once):
    config, logits = once
    return config.copy_and_resolve_references(), logits


def test_grid_of_two_runs(trained, dataset, tmp_path):
    config, logits = trained
    workdir = tmp_path / "grid"
    robustness.evaluate_networks(config, workdir)
    result = json.loads((workdir / "results.json").read_text())
    assert result["severities"] == [2, 5]
    assert result["distortions"] == ["gaussian_noise", "brightness"]
    assert result["test_size"] == 101
    assert list(result["networks"]) == ["plain", "hashed"]
    for name, networks in result["networks"].items():
        right = (logits[name]["clean"].argmax(-1) == dataset.test.labels).mean(1)
        np.testing.assert_allclose(networks["clean"], right)
        assert np.array(networks["accuracy"]["brightness"]).shape == (2, 2)
    record = json.loads((workdir / "grid.jsonl").read_text().splitlines()[1])
    assert record["distortion"] == "gaussian_noise"
    # [severity][draw][seed]
    assert np.array(record["correct"]["plain"]).shape == (2, 2, 2)
    assert (workdir / "distortions.png").read_bytes().startswith(b"\x89PNG")

    with (workdir / "unaggregated_results.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["", "gaussian_noise", "gaussian_noise", "brightness", "brightness"]
    assert rows[1] == ["", "2", "5", "2", "5"]
    assert [row[0] for row in rows[2:]] == [
        "plain_seed_0",
        "plain_seed_1",
        "hashed_seed_0",
        "hashed_seed_1",
    ]
    accuracy = result["networks"]["hashed"]["accuracy"]["brightness"]
    assert float(rows[5][4]) == pytest.approx(accuracy[1][1])


class Parity:
    """In the place of networks: an answer that any changed value may turn."""

    def logits(self, of_seed, images):
        return jax.nn.one_hot(images.astype(jnp.int32).sum((1, 2, 3)) // of_seed % 2, 2)


def test_images_are_counted_as_they_are_distorted():
    split, distort = make_split(0, 41), DISTORTIONS["gaussian_noise"]
    images = robustness.ResidentBatches(split, batch_size=16, devices=jax.devices()[:2])
    count = robustness.make_count_correct([Parity()], distort, images)
    one_by_one = jax.jit(jax.vmap(distort, in_axes=(0, 0, None)))
    for draw, severity in ((0, 1), (0, 2), (1, 2), (1, 5)):
        key = distortion_key(3, "gaussian_noise", draw)
        seeds = [jnp.array([1, 3])]
        counted = robustness._count_all(count, seeds, images, key, severity, lambda: None)
        keys = jax.vmap(lambda i, key=key: jax.random.fold_in(key, i))(jnp.arange(41))
        distorted = np.asarray(one_by_one(keys, split.images, jnp.int32(severity)), int)
        sums = distorted.sum((1, 2, 3))
        assert counted == [[int((sums // seed % 2 == split.labels).sum()) for seed in (1, 3)]]


def test_every_severity_is_measured_with_the_same_draws(monkeypatch, tmp_path):
    asked = []

    def count(variables, images, labels, numbers, key, severity):
        asked.append((tuple(jax.random.key_data(key).tolist()), int(severity)))
        return [jnp.zeros(1, jnp.int32)]

    monkeypatch.setattr(robustness, "make_count_correct", lambda *of: count)
    images = robustness.ResidentBatches(make_split(0, 7), batch_size=8, devices=jax.devices()[:1])
    for seed in (0, 1):
        robustness._measure(
            [SimpleNamespace(name="n", variables={})],
            ["fog"],
            images,
            tmp_path / f"{seed}.jsonl",
            severities=[2, 5],
            draws=2,
            seed=seed,
            name="",
        )
    keys, severities = zip(*asked, strict=True)
    assert severities == (0, 2, 2, 5, 5) * 2
    assert keys[1:3] == keys[3:5]
    assert len({*keys[1:3], *keys[6:8]}) == 4


def test_accuracies_are_means_over_draws():
    # [severity][draw][seed]
    correct = np.random.default_rng(0).integers(0, 11, (2, 3, 2))
    networks = SimpleNamespace(
        name="n", folder="f", seeds=[0, 1], step=1, preprocess="raw", sha256=""
    )
    records = {"clean": [[[5, 7]]], "fog": correct.tolist()}
    result = robustness_results.build(
        {name: {"correct": {"n": counts}} for name, counts in records.items()},
        [networks],
        chosen=["fog"],
        severities=[1, 5],
        test_size=10,
    )["networks"]["n"]
    assert result["clean"] == [0.5, 0.7]
    np.testing.assert_allclose(result["accuracy"]["fog"], correct.mean(1) / 10)


def test_a_record_that_lacks_what_was_measured_is_named(tmp_path):
    path = tmp_path / "grid.jsonl"
    path.write_text('{"distortion": "fog"}\n')
    with pytest.raises(
        ValueError, match=r"grid.jsonl is damaged \(a record has no correct\): take"
    ):
        read_lines_by(path, "distortion", "correct", is_whole=lambda record: True)


@pytest.mark.parametrize(
    "record",
    [
        {"distortion": "nowhere", "correct": {}},
        {"distortion": ["fog"], "correct": {}},
        {"distortion": "clean", "correct": 7},
        {"distortion": "clean", "correct": {"plain": [[[3, 4]]]}},
        {"distortion": "clean", "correct": {"plain": [[[3]]], "hashed": [[["x"]]]}},
    ],
)
def test_a_record_of_something_else_is_named(trained, tmp_path, record):
    config, _ = trained
    claim(tmp_path, config)
    (tmp_path / "grid.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(ValueError, match=r"grid.jsonl is damaged \(record 1 is not one of this r"):
        robustness.evaluate_networks(config, tmp_path)


def test_stopped_grid_goes_on_and_ends_the_same(trained, tmp_path, monkeypatch):
    config, _ = trained
    workdir = tmp_path / "grid"
    robustness.evaluate_networks(config, workdir)
    whole = (workdir / "results.json").read_text()
    lines = (workdir / "grid.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3
    (workdir / "results.json").unlink()
    # Stopped while the last line was written.
    (workdir / "grid.jsonl").write_text("".join(lines[:2]) + lines[2][:40])
    made = []
    make = robustness.make_count_correct
    monkeypatch.setattr(
        robustness,
        "make_count_correct",
        lambda networks, distortion, images: (
            made.append(distortion) or make(networks, distortion, images)
        ),
    )
    robustness.evaluate_networks(config, workdir)
    assert made == [DISTORTIONS["brightness"]]
    assert (workdir / "results.json").read_text() == whole
    assert (workdir / "grid.jsonl").read_text() == "".join(lines)


def test_networks_trained_on_since_are_refused(trained, tmp_path):
    config, _ = trained
    config.distortions.names = "brightness"
    config.distortions.draws = 1
    robustness.evaluate_networks(config, tmp_path / "grid")
    state = json.loads((tmp_path / "grid" / "networks.json").read_text())
    (tmp_path / "grid" / "networks.json").write_text(json.dumps({**state, "hashed": "0" * 64}))
    with pytest.raises(WorkdirError, match=r"begun with other checkpoints of hashed, which"):
        robustness.evaluate_networks(config, tmp_path / "grid")
    # Trained after the grid was begun.
    del state["hashed"]
    (tmp_path / "grid" / "networks.json").write_text(json.dumps(state))
    with pytest.raises(WorkdirError, match=r"was begun without hashed: choose another folder"):
        robustness.evaluate_networks(config, tmp_path / "grid")
    begun = {"plain": state["plain"], "hashed": "", "gone": ""}
    (tmp_path / "grid" / "networks.json").write_text(json.dumps(begun))
    with pytest.raises(WorkdirError, match=r"was begun with gone too: choose another folder, or"):
        robustness.evaluate_networks(config, tmp_path / "grid")


def test_networks_of_other_pictures_are_tested_with_a_warning(trained, tmp_path, caplog):
    config, _ = trained
    config.distortions.update({"names": "brightness", "severities": "3", "draws": 1})
    robustness.evaluate_networks(config, tmp_path / "own")
    assert "were trained on" not in caplog.text
    config.data.update({"name": "synthetic", "classes": "cat,dog", "image_size": 16})
    config.data.update({"train_size": 2, "test_size": 4})
    robustness.evaluate_networks(config, tmp_path / "other")
    assert caplog.text.count(", but are now given those of synthetic (data.seed=0") == 2


def test_runs_of_one_name_are_told_apart_however_their_paths_are_spelt(
    trained, tmp_path, monkeypatch
):
    config, _ = trained
    folder = Path(config.robustness.networks.split(",")[0])
    for place in ("a", "b"):
        shutil.copytree(folder, tmp_path / place / folder.name)
    monkeypatch.chdir(tmp_path / "a")
    spelt = [Path(folder.name), tmp_path / "b" / folder.name]
    found = [
        restore_all(paths, class_names=("0", "1"), image_shape=(16, 16, 3))
        for paths in (spelt, [path.resolve() for path in spelt])
    ]
    names = [networks.name for networks in found[0]]
    assert names == [networks.name for networks in found[1]]
    assert [name.partition(" ")[2] for name in names] == [
        f"({place}/{folder.name})" for place in ("a", "b")
    ]


def test_networks_whose_training_was_stopped_are_tested_with_a_warning(trained, tmp_path, caplog):
    config, _ = trained
    folder = Path(config.robustness.networks.split(",")[0])
    fields = json.loads((folder / "config.json").read_text())
    fields["train"]["num_steps"] += 100
    copy = shutil.copytree(folder, tmp_path / "stopped")
    (copy / "config.json").write_text(json.dumps(fields))
    config.robustness.networks = f"{folder},{copy}"
    config.distortions.update({"names": "brightness", "severities": "3", "draws": 1})
    robustness.evaluate_networks(config, tmp_path / "grid")
    steps = fields["train"]["num_steps"]
    assert f"{copy} are at step {steps - 100} of {steps}: their training" in caplog.text
    assert caplog.text.count("their training was not finished") == 1


def test_networks_are_not_tested_on_images_they_were_trained_on(trained, tmp_path):
    config, _ = trained
    config.data.validation_share = 0.5
    with pytest.raises(ValueError, match=r"plain were trained with data.validation_share=0.0, on"):
        robustness.evaluate_networks(config, tmp_path / "grid")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("names", "brightness,haze", "unknown distortions.names 'haze'; choose one of cifar10c"),
        ("names", "", "distortions.names is empty"),
        ("severities", "0,1", "distortions.severities must be some of 1 to 5, got '0,1'"),
        ("severities", "", "distortions.severities must be some of 1 to 5"),
        ("draws", 0, "distortions.draws must be 1 or more, got 0"),
    ],
)
def test_mistakes_are_named(config, tmp_path, field, value, message):
    config.distortions[field] = value
    with pytest.raises(ValueError, match=message):
        robustness.evaluate_networks(config, tmp_path / "grid")
    assert not (tmp_path / "grid").exists()


@pytest.mark.parametrize(
    "job", [robustness.evaluate_networks, evaluate_hashes, export_distorted.run]
)
def test_a_batch_has_an_image(config, tmp_path, job):
    config.test_batch_size = -1
    with pytest.raises(ValueError, match="test_batch_size must be 1 or more, got -1"):
        job(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def make_result(hashed=(0.7, 0.73)):
    def networks(name, clean, *by_severity):
        accuracy = {"brightness": [list(seeds) for seeds in by_severity]}
        trained = {"folder": f"runs/{name}", "seeds": [0, 1], "num_steps": 4000}
        return {**trained, "clean": list(clean), "accuracy": accuracy}

    return {
        "test_size": 100,
        "severities": [1, 5],
        "distortions": ["brightness"],
        "networks": {
            "plain": networks("plain", (0.8, 0.82), (0.6, 0.62), (0.4, 0.42)),
            "hashed": networks("hashed", (0.7, 0.73), hashed, hashed),
        },
    }


def test_tables_follow_the_numbers():
    result = make_result()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in robustness_section.means_table(result).splitlines()
    ]
    assert rows[0][4] == "mean over brightness"
    assert rows[2][:3] == ["plain", "2", "4,000"]
    assert rows[2][3].startswith("81.0 % [")
    assert rows[2][4].startswith("51.0 % [")
    # 1 - 0.5 / 0.8 and 1 - 0.52 / 0.82.
    assert rows[2][5].startswith("37.0 % [")
    assert rows[2][6:] == ["61.0 %", "41.0 %"]
    assert rows[3][4].startswith("71.5 % [")
    ((name, difference, adjusted),) = robustness_verdicts.differences(result, "hashed")
    assert name == "brightness"
    assert difference["mean"] == pytest.approx(0.205)
    assert adjusted < 0.05


def test_networks_are_compared_with_those_of_the_same_seeds():
    result = make_result()
    in_order = robustness_verdicts.differences(result, "hashed")
    hashed = result["networks"]["hashed"]
    hashed["seeds"].reverse()
    hashed["clean"].reverse()
    for by_seed in hashed["accuracy"]["brightness"]:
        by_seed.reverse()
    assert robustness_verdicts.differences(result, "hashed") == in_order


def test_report_judges_and_shows_the_grid(trained, tmp_path):
    config, _ = trained
    workdir = tmp_path / "grid"
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(config.to_dict()))
    (workdir / "results.json").write_text(json.dumps(make_result()))
    text = report.write(workdir, [workdir])
    assert "# Robustness of networks" in text
    markdown = (workdir / "report.md").read_text()
    assert "robustness of hashed against plain" in markdown
    assert "**more accurate**" in markdown
    # 1 - 0.715 / 0.715, and 1 - 0.51 / 0.81 by seeds.
    assert "share of clean accuracy lost: 0.0 % against 37.0 %; " in markdown
    assert "accuracy under brightness, severities 1, 5" in markdown
    assert "mean +20.5" in markdown
    assert "better under 1 of 1: brightness (+20.5); worse under none" in markdown
    assert (workdir / "figures" / "grid_heat_map.png").read_bytes().startswith(b"\x89PNG")
    (workdir / "results.json").write_text(json.dumps(make_result((0.3, 0.33))))
    report.write(workdir, [workdir])
    assert "**less accurate**" in (workdir / "report.md").read_text()
    (workdir / "results.json").unlink()
    report.write(workdir, [workdir])
    assert "Without a result: not finished" in (workdir / "report.md").read_text()
    for damage in ("{", "[]", '{"runs": {}}'):
        (workdir / "results.json").write_text(damage)
        report.write(workdir, [workdir])
        assert "Without a result: " in (workdir / "report.md").read_text()
    (workdir / "results.json").write_text(json.dumps(make_result()))
    (workdir / "provenance.json").write_text("{")
    report.write(workdir, [workdir])
    assert "provenance.json" in (workdir / "report.md").read_text()


def test_columns_are_in_robustbenchs_order_and_others_after_them(tmp_path):
    accuracy = {"fog": [[0.1]], "swirl": [[0.2]], "shot_noise": [[0.3]]}
    result = {"distortions": list(accuracy), "severities": [3]}
    result["networks"] = {"n": {"seeds": [5], "accuracy": accuracy}}
    robustness_results.write_csv(tmp_path / "r.csv", result)
    assert list(csv.reader((tmp_path / "r.csv").read_text().splitlines())) == [
        ["", "shot_noise", "fog", "swirl"],
        ["", "3", "3", "3"],
        ["n_seed_5", "0.3", "0.1", "0.2"],
    ]


def test_draws_are_those_of_grids_begun_before():
    key = distortion_key(3, "fog", 1)
    assert jax.random.key_data(key).tolist() == [3433353603, 1347671286]


def test_the_mean_is_over_the_fifteen_alone_where_all_were_tested():
    fifteen = list(GROUPS["cifar10c"])
    over, chosen = tested_networks.averaged_over({"distortions": ["swirl", *fifteen]})
    assert (over, chosen) == ("the 15 corruptions of CIFAR-10-C", fifteen)
    assert tested_networks.averaged_over({"distortions": ["fog"]})[1] == ["fog"]


def test_differences_are_adjusted_for_the_number_of_distortions_and_of_networks():
    result = make_result()
    result["distortions"] = ["brightness", "fog"]
    for networks in result["networks"].values():
        networks["accuracy"]["fog"] = networks["accuracy"]["brightness"]
    for _, difference, adjusted in robustness_verdicts.differences(result, "hashed"):
        assert adjusted == pytest.approx(2 * difference["p"])
    # Alone the difference is told apart, as one of six alike it is not.
    (alone,) = robustness_verdicts.compare(result)
    assert (alone.verdict, 0.01 < alone.mean["p"] < 0.05) == ("more accurate", True)
    result["networks"] |= {f"hashed {i}": result["networks"]["hashed"] for i in range(5)}
    assert {one.verdict for one in robustness_verdicts.compare(result)} == {"not told apart"}
