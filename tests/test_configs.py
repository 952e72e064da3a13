"""Every config loads, is locked by main.py, and describes the runs it says."""

import json
import math
from pathlib import Path

import pytest
from conftest import load_config

from phash_jax.runs import named_runs
from phash_jax.workdir import WorkdirError, claim, flatten

NAMES = sorted(p.stem for p in (Path(__file__).parent.parent / "configs").glob("*.py"))


def named(config):
    config.lock()
    return {run.name: run for run, _ in named_runs(config, Path("workdir"))}


@pytest.mark.parametrize("name", NAMES)
def test_configs_have_the_fields_of_the_default(name, tmp_path):
    config = load_config(name)
    assert config.name == name
    for run in named(config).values():
        fields = flatten({k: v for k, v in run.to_dict().items() if k != "runs"})
        expected = flatten(
            {k: v for k, v in load_config("default").to_dict().items() if k != "runs"}
        )
        assert fields.keys() == expected.keys()
    claim(tmp_path, config)
    claim(tmp_path, load_config(name))


def test_compare_differs_in_preprocessing_only():
    runs = named(load_config("compare"))
    assert runs.keys() == {"original", "phash"}
    one, other = (flatten(run.to_dict()) for run in runs.values())
    assert {k for k in one if one[k] != other[k]} == {"name", "preprocess", "published"}
    assert flatten(load_config("original").to_dict()) == one
    assert flatten(load_config("phash").to_dict()) == other


def test_without_any_ingredient_it_is_the_studys_recipe():
    runs = named(load_config("recipe_ablations"))
    plain, study = (flatten(it.to_dict()) for it in (runs["plain"], load_config("original")))
    differing = {field for field in study if plain[field] != study[field]}
    # The rate is ten times the study's; the tests are those of best_raw.
    assert differing == {"name", "published", "optimizer.learning_rate", "test_flip", "test_shift"}


def test_as_published_scrambles_the_raw_training_images_only():
    runs = named(load_config("as_published"))
    assert runs["scrambled"].data.scramble_train
    assert not runs["phash"].data.scramble_train
    assert runs["phash"] == named(load_config("compare"))["phash"]


def test_a_run_with_an_unknown_field_is_refused():
    config = load_config("compare")
    config.runs.phash.preproces = "raw"
    with pytest.raises(ValueError, match=r"run phash of compare: .*preproces"):
        named(config)


@pytest.mark.parametrize("overrides", [{"name": "z"}, {"job": "robustness"}, {"only": "phash"}])
def test_a_run_keeps_its_name_and_job(overrides):
    config = load_config("compare")
    config.runs.phash.update(overrides)
    field = next(iter(overrides))
    with pytest.raises(ValueError, match=f"run phash of compare overrides {field}, which"):
        named(config)


@pytest.mark.parametrize("name", ["a/b", "checkpoints", "figures"])
def test_a_run_has_a_folder_of_its_own(name):
    config = load_config("compare")
    with config.unlocked():
        config.runs[name] = config.runs.phash
    with pytest.raises(ValueError, match=f"run '{name}' of compare cannot be the name of its fol"):
        named(config)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("test_sets", "unknown test_sets 'oops'; choose one of clean, contrast_200"),
        ("train.augment", "unknown train.augment 'oops'; choose one of clean, cifar10c,"),
        ("published", "unknown published 'oops'; choose one of original, phash,"),
        ("train.loop", "unknown train.loop 'oops'; choose one of auto, scan, dispatch"),
    ],
)
def test_misspelt_choices_are_found_before_any_work(field, message):
    config = load_config("quickstart" if field != "published" else "original")
    config.update_from_flattened_dict({field: "oops"})
    with pytest.raises(ValueError, match=message):
        named(config)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("test_sets", "contrast_200", "test_sets must include clean, got 'contrast_200'"),
        ("test_sets", "", "test_sets must include clean, got ''"),
        ("test_batch_size", 0, "test_batch_size must be 1 or more, got 0"),
        ("test_shift", -1, "test_shift must be 0 or more, got -1"),
        ("label_smoothing", 1.0, "label_smoothing must be from 0 to below 1, got 1.0"),
        ("data.train_repeats", 0, "data.train_repeats must be 1 or more, got 0"),
        ("data.validation_share", 1.0, "data.validation_share must be from 0 to below 1, got 1.0"),
        ("model.conv_layers", -1, "model.conv_layers must be 0 or more, got -1"),
        ("model.conv_features", 0, "model.conv_features must be 1 or more, got 0"),
        ("model.kernel_size", 0, "model.kernel_size must be 1 or more, got 0"),
        ("model.dense_features", (8, 0), "model.dense_features must be 1 or more, got 0"),
        ("model.kernel_stddev", -0.1, "model.kernel_stddev must be above 0, got -0.1"),
        ("model.kernel_stddev", math.nan, "model.kernel_stddev must be above 0, got nan"),
        ("model.bias_init", math.inf, "model.bias_init must be a finite number, got inf"),
        ("model.dropout", 1.0, "model.dropout must be from 0 to below 1, got 1.0"),
        ("optimizer.learning_rate", -1e-3, "optimizer.learning_rate must be 0 or more, got -0.001"),
        (
            "optimizer.learning_rate",
            math.nan,
            "optimizer.learning_rate must be 0 or more and finite",
        ),
        (
            "optimizer.learning_rate",
            math.inf,
            "optimizer.learning_rate must be 0 or more and finite",
        ),
        ("optimizer.warmup", 1.0, "optimizer.warmup must be from 0 to below 1, got 1.0"),
        ("optimizer.average_decay", 1.0, "optimizer.average_decay must be from 0 to below 1"),
        ("train.max_shift", -1, "train.max_shift must be 0 or more, got -1"),
        ("train.max_zoom", 1.5, "train.max_zoom must be from 0 to 1, got 1.5"),
        ("train.max_zoom", -0.1, "train.max_zoom must be from 0 to 1, got -0.1"),
        ("train.cutout", -1, "train.cutout must be 0 or more, got -1"),
        ("train.mixup", -0.1, "train.mixup must be from 0 to 100, got -0.1"),
        ("train.mixup", math.nan, "train.mixup must be from 0 to 100, got nan"),
        ("train.teachers", 0, "train.teachers must be 1 or more, got 0"),
        ("train.teacher_share", 1.5, "train.teacher_share must be from 0 to 1, got 1.5"),
        ("train.cpu_devices", -3, "train.cpu_devices must be 0 or more, got -3"),
        ("train.checkpoint_every", 0, "train.checkpoint_every must be 1 or more, got 0"),
        ("train.seed", -1, "train.seed must be 0 or more, got -1"),
        ("train.seed", 2**31, "train.seed must leave every seed below 2"),
    ],
)
def test_every_number_out_of_range_is_named(field, value, message):
    config = load_config("original")
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=message):
        named(config)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"train.mixup": 0.4, "train.batch_size": 33},
            "2 equal parts .* on each of 1 device, .* a multiple of 2, not 33",
        ),
        (
            {"model.dropout": 0.5, "model.dense_features": ()},
            "model.dropout is for hidden dense layers, model.dense_features has none",
        ),
    ],
)
def test_fields_that_do_not_fit_each_other_are_named(fields, message):
    config = load_config("original")
    config.update_from_flattened_dict(fields)
    with pytest.raises(ValueError, match=message):
        named(config)


def test_a_teacher_gives_probabilities_so_only_softmax_can_be_taught():
    config = load_config("distilled_phash")
    config.loss = "hinge"
    with pytest.raises(ValueError, match=r"train.teacher is for loss=softmax_cross_entropy only"):
        named(config)


def test_numbers_out_of_range_are_found_before_any_work():
    config = load_config("compare")
    config.runs.phash = {"preprocess": "average_hash", "train": {"batch_size": 0}}
    with pytest.raises(
        ValueError, match=r"run phash of compare: train.batch_size must be 1 or more"
    ):
        named(config)


def test_only_names_runs_that_exist():
    config = load_config("compare")
    config.only = "phash,wavelet"
    with pytest.raises(ValueError, match=r"only names unknown runs: wavelet; compare has original"):
        named(config)


def test_workdir_of_another_config_is_refused_with_every_difference(tmp_path):
    claim(tmp_path, load_config("original"))
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(WorkdirError) as error:
        claim(tmp_path, load_config("phash"))
    for part in (
        "name: 'original' there, 'phash' now",
        "preprocess: 'raw' there, 'average_hash' now",
    ):
        assert part in str(error.value)


def test_a_workdir_where_nothing_was_made_takes_another_config(tmp_path):
    wrong = load_config("compare")
    wrong.data.path = "tpyo.npz"
    for folder in (tmp_path, tmp_path / "phash"):
        claim(folder, wrong)
        (folder / "failure.json").write_text("{}")
    claim(tmp_path, load_config("compare"))
    (tmp_path / "phash" / "checkpoints").mkdir()
    (tmp_path / "phash" / "checkpoints" / "state").write_text("")
    with pytest.raises(WorkdirError, match=r"data.path: '' there, 'tpyo.npz' now"):
        claim(tmp_path, wrong)


def test_where_the_data_lies_may_change(tmp_path):
    claim(tmp_path, load_config("original"))
    moved = load_config("original")
    moved.data.dir = "elsewhere"
    claim(tmp_path, moved)


def test_a_path_may_be_written_in_another_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config("robustness")
    config.robustness.networks = "runs/a,runs/b"
    claim(tmp_path / "workdir", config)
    (tmp_path / "workdir" / "grid.jsonl").write_text("")
    config.robustness.networks = f"./runs/a/, {tmp_path}/runs/b"
    claim(tmp_path / "workdir", config)
    config.robustness.networks = "runs/b,runs/a"
    with pytest.raises(WorkdirError, match=r"change back: robustness.networks: './runs/a/"):
        claim(tmp_path / "workdir", config)


@pytest.mark.parametrize("address", ["images", "gs://bucket/images"])
def test_a_folder_of_images_may_be_written_in_another_way(tmp_path, address):
    config = load_config("catalog")
    config.catalog.image_dir = address
    claim(tmp_path, config)
    (tmp_path / "catalog.parquet").write_text("")
    config.catalog.image_dir = f"{address}/"
    claim(tmp_path, config)
    config.catalog.image_dir = f"{address}_2"
    with pytest.raises(WorkdirError, match=r"change back: catalog\.image_dir"):
        claim(tmp_path, config)


def test_teachers_need_the_workdir_they_are_from():
    config = load_config("original")
    config.train.teachers = 2
    with pytest.raises(ValueError, match=r"train.teachers has no effect: name their workdir"):
        named(config)


def test_a_run_from_before_a_field_goes_on_with_what_it_was_made_with(tmp_path):
    old = load_config("original").to_dict()
    del old["test_shift"], old["model"]["compute_dtype"]
    # Of other jobs, which a training does not read.
    del old["hash_study"]
    old["pictures"]["part_size"] = 7
    (tmp_path / "config.json").write_text(json.dumps(old))
    claim(tmp_path, load_config("original"))
    (tmp_path / "metrics.jsonl").write_text("")
    other = load_config("original")
    other.test_shift = 1
    with pytest.raises(WorkdirError, match="change back: test_shift: 0 there, 1 now"):
        claim(tmp_path, other)


@pytest.mark.parametrize("text", ['{"name": ', "[]"])
def test_damaged_config_json_is_named(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WorkdirError, match=r"config.json is damaged .* \(or this is not a work"):
        claim(tmp_path, load_config("original"))


ROWS = {
    "elu": {"model.activation": "elu"},
    "tanh": {"model.activation": "tanh"},
    "cross_entropy": {"loss": "sigmoid_cross_entropy"},
    "hinge": {"loss": "hinge"},
    "batch_100": {"train.batch_size": 100},
    "batch_128": {"train.batch_size": 128},
    "gradient_descent": {"optimizer.name": "sgd"},
    "adagrad": {"optimizer.name": "adagrad"},
    "filter_size": {"model.kernel_size": 3},
    "four_layers": {"model.conv_layers": 4},
    "xavier": {"model.kernel_init": "glorot_uniform"},
    "uniform": {"model.kernel_init": "uniform"},
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_fig_5_5_is_the_original_with_one_flag(row, tmp_path):
    twin = load_config("original")
    twin.update_from_flattened_dict(ROWS[row] | {"name": row, "published": row})
    assert load_config(f"ablation.{row}").to_dict() == twin.to_dict()
    runs = {run.name: run for run, _ in named_runs(load_config("ablations"), tmp_path)}
    assert runs[row].to_dict() == twin.to_dict()


def test_the_sweep_has_every_row_of_fig_5_5(tmp_path):
    names = {run.name for run, _ in named_runs(load_config("ablations"), tmp_path)}
    assert names == {"original", *ROWS}


def test_runs_may_be_added_to_a_config_and_other_fields_not():
    config = load_config("best_raw")
    config.runs["usual"] = {}
    config.runs["slow"] = {"optimizer": {"learning_rate": 1e-5}}
    assert named(config)["slow"].optimizer.learning_rate == 1e-5
    with pytest.raises(AttributeError, match="learning_rat"):
        load_config("best_raw").optimizer.learning_rat = 1.0
