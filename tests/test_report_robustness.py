"""Sections of the report on robustness, on what networks are fed and on how fast they learn."""

import json
import re

import pytest
from conftest import load_config, make_workdir
from ml_collections import ConfigDict

from phash_jax.json_files import rewrite_lines
from phash_jax.metrics import read_metrics
from phash_jax.report import (
    learning,
    plots,
    report,
    rivals,
    robustness_verdicts,
    tested_networks,
)
from phash_jax.report.collect import collect
from phash_jax.workdir import claim


def make_rivals(path):
    """Three runs that differ in what they are fed, one that does not belong, and their test."""
    accuracies = {"average_hash": (60, 64), "raw": (80, 90), "gray_average_hash": (50, 52)}
    for name, clean in accuracies.items():
        make_workdir(path / "runs" / name, "best_raw", clean=clean, preprocess=name, name=name)
    make_workdir(path / "runs" / "other", "best_raw", name="other", **{"train.num_steps": 7})
    for name in accuracies:
        fields = {"preprocess": name, "train.augment": "clean,fog"}
        make_workdir(path / "augmented" / name, "best_raw", name=name, **fields)
    make_robustness(path / "tested", ["raw", "average_hash"])
    return [
        *(path / "runs" / name for name in (*accuracies, "other")),
        *(path / "augmented" / name for name in accuracies),
        path / "tested",
    ]


def make_robustness(folder, names, parent="runs", fog=(0.3, 0.5), severities=(3,), draws=1):
    """A workdir of the job robustness: fog as given, snow always 0.1 and 0.3."""
    tested = {
        name: {
            "folder": f"elsewhere/{parent}/{name}",
            "seeds": [0, 1],
            "num_steps": 900,
            "preprocess": name,
            "sha256": "",
            "clean": [0.5, 0.5],
            "accuracy": {
                "fog": [list(fog)] * len(severities),
                "snow": [[0.1, 0.3]] * len(severities),
            },
        }
        for name in names
    }
    folder.mkdir()
    config = {"job": "robustness", "distortions": {"draws": draws}}
    (folder / "config.json").write_text(json.dumps(config))
    result = {"test_size": 100, "severities": severities, "distortions": ["fog", "snow"]}
    (folder / "results.json").write_text(json.dumps({**result, "networks": tested}))
    return folder


def test_runs_of_a_folder_tested_one_after_another_are_one_test(tmp_path):
    first = make_robustness(tmp_path / "first", ["raw", "average_hash"])
    second = make_robustness(tmp_path / "second", ["median_hash"], fog=(0.5, 0.7))
    again = make_robustness(tmp_path / "again", ["median_hash"])
    other = make_robustness(tmp_path / "other", ["median_hash"], parent="augmented")
    deeper = make_robustness(tmp_path / "deeper", ["median_hash"], severities=(1, 2), draws=4)
    damaged = make_robustness(tmp_path / "damaged", ["median_hash"])
    (damaged / "results.json").write_text("{")
    folders = [first, other, damaged, second, again, deeper]
    # Without the comparison they are runs that lie side by side.
    assert tested_networks.tested_alike(folders) == [[folder] for folder in folders]
    for name in ("runs", "augmented"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"runs": {"raw": {}}}')
        folders.append(tmp_path / name)
    assert tested_networks.tested_alike(folders) == [
        [first, second],
        [other],
        [damaged],
        [again],
        [deeper],
    ]
    report.write(tmp_path / "out", folders)
    made = (tmp_path / "out" / "report.md").read_text()
    section = made[made.index("under distortions (first, second)") :].split("\n## ")[0]
    assert (
        "Severity 3; mean over the 2 distortions chosen; one draw of each distortion.\n" in section
    )
    assert "Severities 1, 2; mean over the 2 distortions chosen; means over 4 draws.\n" in made
    assert re.search(r"\| median_hash +\| 2 +\| 900 +\| 50.0 % .*\| 40.0 %", section)
    assert re.search(r"\| fog .*\| 60.0 % \[.*\| \+20.0", section), section
    assert "results.json is damaged" in made
    # What would be a line between two points is not drawn.
    drawn = sorted(path.name for path in (tmp_path / "out" / "figures").glob("*severity.png"))
    assert drawn == ["deeper_by_severity.png"]
    verdicts = robustness_verdicts.verdicts(folders)
    assert [verdict.claim.split(":")[0] for verdict in verdicts] == [
        "robustness of the others against raw"
    ]
    pair = make_robustness(tmp_path / "pair", ["raw", "median_hash"], parent="augmented")
    assert [v.claim.split(":")[0] for v in robustness_verdicts.verdicts([*folders, pair])] == [
        "robustness of the others against raw (first, second)",
        "robustness of median_hash against raw (pair)",
    ]
    twin = make_robustness(tmp_path / "twin", ["raw", "median_hash"], parent="augmented")
    assert [v.claim.split(":")[0] for v in robustness_verdicts.verdicts([pair, twin])] == [
        "robustness of median_hash against raw (pair)",
        "robustness of median_hash against raw (twin)",
    ]


def test_many_networks_are_compared_in_few_columns(tmp_path):
    tested = make_robustness(tmp_path / "tested", ["raw", "hash", "median", "dct"])
    result = tested_networks.read_result(tested, "networks")
    result["networks"]["hash"]["accuracy"] = {"fog": [[0.5, 0.7]], "snow": [[0.1, 0.31]]}
    result["networks"]["median"]["accuracy"] = {"fog": [[0.2, 0.4]], "snow": [[0.06, 0.258]]}
    result["networks"]["median"]["clean"] = [0.55, 0.56]
    (tested / "results.json").write_text(json.dumps(result))
    (verdict,) = robustness_verdicts.verdicts([tested])
    assert verdict.verdict == "of 3: 1 more accurate, 1 less accurate, 1 not told apart"
    assert verdict.evidence.endswith(
        "more accurate: hash (+10.2); less accurate: median (-7.1); not told apart: dct (+0.0)"
    )
    report.write(tmp_path / "out", [tested])
    made = (tmp_path / "out" / "report.md").read_text()
    assert re.search(r"\| hash +\| \+10.2 \[.*\| more accurate +\| \+0.0 ", made)
    assert re.search(r"\| median +\| -7.1 \[.*\| less accurate +\| \+5.5 \[", made)
    assert re.search(r"\| snow +\| 20.0 % \[.*\| 20.5 % \(\+0.5\) +\| 15.9 % \(-4.1", made)
    assert "In brackets: points minus raw, between networks with the same seed" in made
    assert (tmp_path / "out" / "figures" / "tested_differences.png").exists()


def test_few_networks_are_drawn_by_distortion_and_many_by_name(tmp_path, monkeypatch):
    drawn, plot = [], plots.plot_differences

    def note(of_each, axis, path):
        drawn.append((list(of_each), list(next(iter(of_each.values())))))
        plot(of_each, axis, path)

    monkeypatch.setattr(plots, "plot_differences", note)
    for names in (["raw", "hash", "median"], ["raw", "hash", "median", "dct"]):
        tested = make_robustness(tmp_path / str(len(names)), names)
        report.write(tmp_path / "out", [tested])
    over = "the 2 distortions chosen"
    assert drawn == [
        (["clean", f"mean over {over}", "fog", "snow"], ["hash", "median"]),
        (["hash", "median", "dct"], ["clean", over]),
    ]


def test_what_is_not_whole_is_named_and_the_report_goes_on(tmp_path):
    for name, networks in (("none", {}), ("half", {"raw": {"seeds": [0]}}), ("other", [1])):
        folder = make_robustness(tmp_path / name, ["raw"])
        result = json.loads((folder / "results.json").read_text())
        (folder / "results.json").write_text(json.dumps({**result, "networks": networks}))
        report.write(tmp_path / "out", [folder])
        made = (tmp_path / "out" / "report.md").read_text()
        assert "results.json is damaged" in made
        assert robustness_verdicts.verdicts([folder]) == []


@pytest.mark.parametrize("change", [lambda fog: None, lambda fog: fog[:-1]], ids=["lost", "cut"])
@pytest.mark.parametrize("tested", ["networks", "hashes"])
def test_a_grid_with_a_hole_is_named_and_the_report_goes_on(tmp_path, tested, change):
    whole, folder = (make_robustness(tmp_path / name, ["raw"]) for name in ("whole", "holed"))
    result = json.loads((folder / "results.json").read_text())
    grid = result["networks"]["raw"]["accuracy"]
    grid["fog"] = change(grid["fog"])
    if tested == "hashes":
        (folder / "config.json").write_text('{"job": "hash_robustness"}')
        result = {**result, "num_images": 100, "hashes": {"phash": grid}}
    (folder / "results.json").write_text(json.dumps(result))
    report.write(tmp_path / "out", [whole, folder])
    made = (tmp_path / "out" / "report.md").read_text()
    assert f"{folder / 'results.json'} is damaged (its entries on the {tested} are inc" in made
    assert "### By distortion" in made


def test_networks_tested_on_other_pictures_are_not_put_beside_their_own(tmp_path):
    folders = make_rivals(tmp_path)
    path = tmp_path / "tested" / "config.json"
    path.write_text(json.dumps({"job": "robustness", "data": {"name": "cifar10"}}))
    report.write(tmp_path / "out", folders)
    made = (tmp_path / "out" / "report.md").read_text()
    assert "100 test images (`data.name=cifar10`); means" in made
    section = made[made.index("## Inputs of the network") :].split("\n## ")[0]
    assert "mean over" not in section


def test_of_no_right_answer_nothing_can_be_lost(tmp_path):
    tested = make_robustness(tmp_path / "tested", ["raw", "median_hash"])
    result = tested_networks.read_result(tested, "networks")
    result["networks"]["median_hash"]["clean"] = [0.0, 0.5]
    (tested / "results.json").write_text(json.dumps(result))
    (verdict,) = robustness_verdicts.verdicts([tested])
    assert "share of clean accuracy lost: - against 40.0 %" in verdict.evidence


def test_a_network_in_a_folder_of_another_name_has_it_beside_its_own(tmp_path):
    tested = make_robustness(tmp_path / "tested", ["raw", "median_hash", "phash (b/phash)"])
    result = tested_networks.read_result(tested, "networks")
    result["networks"]["median_hash"]["folder"] = "runs/median_hash_noise"
    result["networks"]["phash (b/phash)"]["folder"] = "b/phash"
    (tested / "results.json").write_text(json.dumps(result))
    named = list(tested_networks.read_joined([tested])["networks"])
    assert named == ["raw", "median_hash (median_hash_noise)", "phash (b/phash)"]


def test_every_dot_of_a_plot_by_bits_is_beside_its_name(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(rivals, "save", lambda figure, path, dpi: figures.append(figure))
    folders = make_rivals(tmp_path)
    rivals.sections(collect(folders), folders, tmp_path)
    *_, under = figures[0].axes
    names = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert names == ["gray average hash  (1)", "average hash  (3)", "raw  (24)"]
    # Of the first, which was not tested under distortions, there is none.
    dots = [line.get_ydata() for line in under.get_lines() if line.get_marker() == "o"]
    assert [names[int(y)] for (y,) in dots] == names[1:]


def test_what_networks_are_fed_is_compared_by_bits(tmp_path):
    folders = make_rivals(tmp_path)
    text = report.write(tmp_path / "out", folders)
    made = (tmp_path / "out" / "report.md").read_text()
    section, augmented = (
        part.split("\n## ")[0] for part in made.split("## Inputs of the network")[1:]
    )
    assert "; trained on undistorted images." in section
    assert "; trained on equal shares of `clean,fog`." in augmented
    # Its networks have not been tested on distorted images, those of the same name have.
    assert "mean over" not in augmented
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    under = "mean over the 2 distortions chosen, severity 3"
    assert cells[0] == ["input", "bits per pixel", "seeds", "clean", "contrast_200", under]
    # In the order of their bits, each with the accuracy of its own robustness test.
    assert [row[:2] for row in cells[2:5]] == [
        ["gray_average_hash", "1"],
        ["average_hash", "3"],
        ["raw", "24"],
    ]
    assert [row[3].split(" [")[0] for row in cells[2:5]] == ["51.0 %", "62.0 %", "85.0 %"]
    assert [row[5].split(" [")[0] for row in cells[2:5]] == ["-", "30.0 %", "30.0 %"]
    by_title = dict(
        zip(
            [line[4:] for line in section.splitlines() if line.startswith("### ")],
            section.split("### ")[1:],
            strict=True,
        )
    )
    assert list(by_title) == [
        "Minus average_hash, clean",
        "Minus average_hash, contrast 200",
        f"Minus average_hash, {under}",
    ]
    assert "| raw               | +23.0 [" in by_title["Minus average_hash, clean"]
    assert (tmp_path / "out" / "figures" / "rivals.png").read_bytes().startswith(b"\x89PNG")
    # Of other networks in a folder of the same name nothing is said.
    tested = tmp_path / "tested" / "results.json"
    tested.write_text(tested.read_text().replace('"num_steps": 900', '"num_steps": 400'))
    report.write(tmp_path / "out2", folders)
    assert under not in (tmp_path / "out2" / "report.md").read_text()
    # The others are compared as ever, the group is not repeated there.
    fig_6_1 = made[made.index("## Runs side by side") :].split("\n## ")[0]
    assert "other" in fig_6_1
    assert "gray_average_hash" not in fig_6_1
    assert "# Inputs of the network, by bits per pixel" in text


def test_a_sweep_keeps_the_run_that_is_also_compared_by_its_input(tmp_path):
    slow = {"optimizer": {"learning_rate": 1e-5}}
    config = load_config("best_raw")
    config.runs = ConfigDict({"usual": {}, "slow": slow})
    claim(tmp_path / "mine", config)
    make_workdir(tmp_path / "mine" / "usual", "best_raw", name="usual")
    fields = {"optimizer.learning_rate": 1e-5}
    make_workdir(tmp_path / "mine" / "slow", "best_raw", name="slow", **fields)
    for name in ("average_hash", "median_hash"):
        make_workdir(tmp_path / name, "best_raw", preprocess=name, name=name)
    folders = [tmp_path / name for name in ("mine", "average_hash", "median_hash")]
    report.write(tmp_path / "out", folders)
    made = (tmp_path / "out" / "report.md").read_text()
    side_by_side, by_input = made.split("\n## ")[1], made.split("\n## Inputs of the network")[1]
    assert side_by_side.startswith("Runs side by side")
    assert "### mine: minus usual with the same seeds" in side_by_side
    assert "median_hash" not in side_by_side
    assert by_input.startswith(", by bits per pixel: 900 steps\n")
    assert all(f"| {name} " in by_input for name in ("raw", "average_hash", "median_hash"))


def test_images_seen_until_a_mark_is_reached(tmp_path):
    fields = {"train.batch_size": 50, "data.name": "cifar10"}
    make_workdir(tmp_path / "tested", "best_phash", **fields)
    make_workdir(tmp_path / "untested", "best_raw")
    path = tmp_path / "tested" / "metrics.jsonl"
    records = read_metrics(path)
    by_step = {200: [0.5, 0.682], 400: [0.69, 0.67], 600: [0.74, 0.80]}
    for record in records:
        if record["step"] in by_step:
            record["test_accuracy"] = {"clean": by_step[record["step"]]}
    rewrite_lines(path, records)
    report.write(tmp_path / "out", [tmp_path / "tested", tmp_path / "untested"])
    made = (tmp_path / "out" / "report.md").read_text()
    section = made[made.index("## Test accuracy by images seen") :].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    assert rows[0][3:] == ["to 68.2 %", "to 75.0 %"]
    # At the first test a mark may have been passed for long.
    of_marks = ["20,000, at most 10,000", "never, 30,000"]
    assert rows[2:] == [["best_phash", "30,000", "10,000", *of_marks]]
    # Resumed with another test_every.
    for record in records:
        if record["step"] == 700:
            record["test_accuracy"] = {"clean": [0.74, 0.8]}
    rewrite_lines(path, records)
    (run,) = collect([tmp_path / "tested"])
    # The last test, at the end, may follow sooner.
    for until, apart in ((None, "5,000 to 10,000"), (3, "10,000")):
        tests = [*learning.tests_of(run)[:until], (31_000, [0.7, 0.7])]
        table = learning.table([(run, tests)], [])
        assert table.splitlines()[-1].split("|")[3].strip() == apart
    assert "reached after 640,000" in section
    assert (tmp_path / "out" / "figures" / "learning.png").read_bytes().startswith(b"\x89PNG")
