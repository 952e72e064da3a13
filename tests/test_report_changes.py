"""What each run changes of the one that is most like it."""

import pytest
from conftest import load_config, make_workdir
from ml_collections import ConfigDict

from phash_jax.report import changes, plots, report
from phash_jax.report.collect import collect
from phash_jax.workdir import claim


@pytest.fixture
def made(tmp_path):
    """Makes runs of these accuracies in a hundred and fields; the rows of their table."""

    def rows(*runs, but=()):
        folders = [tmp_path / name for name, _, _ in runs]
        for folder, (name, clean, fields) in zip(folders, runs, strict=True):
            accuracies = {"clean": clean, "contrast": (50, 60, 55)[: len(clean)]}
            make_workdir(folder, "best_raw", len(clean), **accuracies, name=name, **fields)
        text = changes.section(collect(folders), but={tmp_path / name for name in but})
        lines = [line for line in text.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    return rows


def test_a_run_is_compared_with_the_one_from_which_it_differs_least(made):
    rows = made(
        ("plain", (70, 80), {}),
        ("mixed", (72, 83), {"train.mixup": 0.4}),
        ("both", (75, 84), {"train.mixup": 0.4, "train.max_zoom": 0.2}),
        # As far from mixed as from plain: of these the later one counts.
        ("covered", (74, 86), {"train.cutout": 12, "train.augment": "clean,fog,fog"}),
    )
    assert [row[:3] for row in rows] == [
        ["mixed", "plain", "train.mixup 0.4 (0.0)"],
        ["both", "mixed", "train.max_zoom 0.2 (0.0)"],
        ["covered", "plain", "train.augment clean, 2x fog (none); train.cutout 12 (0)"],
    ]
    assert [row[3].split(" ")[0] for row in rows] == ["+2.5", "+2.0", "+5.0"]
    assert all(row[4] == "not told apart" for row in rows)


def test_of_runs_that_are_as_like_it_the_last_one_counts(made):
    rows = made(
        ("one", (70, 80), {"train.mixup": 0.4}),
        ("other", (72, 83), {"train.cutout": 12}),
        ("run", (75, 84), {}),
    )
    assert [row[:2] for row in rows] == [["other", "one"], ["run", "other"]]


def test_how_the_work_is_done_and_how_many_seeds_there_are_is_no_change(made):
    rows = made(
        ("three", (70, 75, 80), {"train.log_every": 50, "train.num_seeds": 3}),
        ("two", (72, 83), {"train.test_every": 100, "train.num_seeds": 2}),
        ("later", (90, 74), {"train.seed": 5, "loss": "hinge", "train.num_seeds": 2}),
    )
    # The same recipe is nothing to compare, and seeds 0 and 1 are those that both have.
    assert [row[:3] for row in rows] == [["later", "two", "loss hinge (softmax_cross_entropy)"]]


def test_runs_that_no_comparison_is_fair_to_are_left_out(made):
    many = {f"train.{field}": 0.2 for field in ("max_zoom", "mixup", "teacher_share")}
    many |= {"train.num_steps": 7, "train.cutout": 3}
    rows = made(
        ("plain", (70, 80), {}),
        ("other_images", (72, 83), {"data.classes": "cat,truck", "train.mixup": 0.4}),
        ("held_out", (72, 83), {"data.validation_share": 0.1, "train.mixup": 0.4}),
        ("one_seed", (72,), {"loss": "hinge"}),
        ("five_changes", (72, 83), many),
    )
    assert rows == []


def test_what_is_compared_elsewhere_may_still_be_compared_with(made):
    runs = (
        ("plain", (70, 80), {}),
        ("mixed", (72, 83), {"train.mixup": 0.4}),
        ("wide", (75, 84), {"train.mixup": 0.4, "model.conv_features": 128}),
    )
    assert [row[:2] for row in made(*runs, but=["mixed"])] == [["wide", "mixed"]]


def test_verdicts_are_adjusted_for_the_runs_of_the_table(made):
    base = ("plain", (60, 62, 61), {"test_sets": "clean"})
    better = ("mixed", (63, 66, 65), {"train.mixup": 0.4, "test_sets": "clean"})
    alone = made(base, better)
    assert (alone[0][4], alone[0][6]) == ("better", "not told apart")
    among = made(
        base, better, *((f"run_{i}", (61, 60, 62 + i), {"train.cutout": i}) for i in range(1, 9))
    )
    assert among[0][3] == alone[0][3]
    assert among[0][4] == "not told apart"


def test_the_legend_names_what_only_later_lines_have(tmp_path, monkeypatch):
    named = []

    def note(figure, panel, **options):
        named.extend(panel.get_legend_handles_labels()[1])

    monkeypatch.setattr(plots, "legend_above", note)
    known, unknown = {"mean": 0.1, "ci95": [0.0, 0.2]}, {"mean": None}
    lines = {"one": {"clean": known, "far": unknown}, "other": {"clean": known, "far": known}}
    plots.plot_differences(lines, "points", tmp_path / "figure.png")
    assert named == ["clean", "far"]


def test_the_report_has_sweeps_first_and_each_run_once(tmp_path, monkeypatch):
    config = load_config("best_raw")
    config.runs = ConfigDict({"usual": {}, "slow": {"optimizer": {"learning_rate": 1e-5}}})
    claim(tmp_path / "mine", config)
    for name, fields in (("usual", {}), ("slow", {"optimizer.learning_rate": 1e-5})):
        make_workdir(tmp_path / "mine" / name, "best_raw", name=name, **fields)
    fields = {"optimizer.learning_rate": 1e-5, "train.mixup": 0.4}
    make_workdir(tmp_path / "mixed", "best_raw", name="mixed", clean=(80, 90), **fields)
    drawn, plot = [], changes.plot_differences

    def note(of_each, axis, path):
        drawn.append({name: list(of) for name, of in of_each.items()})
        plot(of_each, axis, path)

    monkeypatch.setattr(changes, "plot_differences", note)
    text = report.write(tmp_path / "out", [tmp_path / "mine", tmp_path / "mixed"])
    assert drawn == [{"train.mixup 0.4 (0.0)\nmixed minus slow": ["clean", "contrast 200"]}]
    assert (tmp_path / "out" / "figures" / "changes.png").read_bytes().startswith(b"\x89PNG")
    markdown = (tmp_path / "out" / "report.md").read_text()
    for written in (text, markdown):
        of_sweep = written.index("### mine: minus usual with the same seeds")
        of_changes = written.index("### Each run minus the one before it")
        assert of_sweep < of_changes
        table = next(part for part in written[of_changes:].split("\n\n") if part[0] == "|")
        assert table.count("\n") == 2
        assert "| mixed | slow  | train.mixup 0.4 (0.0) | +10.0" in table
