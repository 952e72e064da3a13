"""The report, from workdirs of every kind and state."""

import json
import math
import re
import sys
from html.parser import HTMLParser

import pytest
from conftest import load_config, make_workdir
from ml_collections import ConfigDict
from PIL import Image

from phash_jax import figures, hash_study, results, study_arrays, tables
from phash_jax.published import FIG_5_5, is_comparable
from phash_jax.report import fig_5_5, formats, page, report
from phash_jax.report.collect import Run, collect, short_names
from phash_jax.report.differences import UNDECIDED
from phash_jax.report.verdicts import judge
from phash_jax.workdir import claim


def test_on_which_side_of_zero_an_interval_ends_is_seen():
    assert formats.points({"mean": 0.004, "ci95": [-0.0004, 0.0084]}) == "+0.4 [-0.0, +0.8]"
    assert formats.points({"mean": -0.0, "ci95": [0.0004, -0.0]}) == "+0.0 [+0.0, +0.0]"
    assert formats.points({"mean": -0.0006, "ci95": None}) == "-0.1"


def test_report_compares_workdirs_and_says_which_are_missing(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "phash", 1)
    make_workdir(tmp_path / "c", "augmented", finished=False)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "results.json").write_text("{")
    workdirs = [tmp_path / name for name in ("a", "b", "c", "d", "e")]
    text = report.write(tmp_path / "out", workdirs)
    assert (tmp_path / "out" / "report.md").exists()
    assert (tmp_path / "out" / "figures" / "curves.png").read_bytes().startswith(b"\x89PNG")
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
    # One more run may be far from two that are ten points apart.
    made = (tmp_path / "out" / "report.md").read_text()
    assert re.search(r"\| Fig 5.4 \| original, clean .*\| \+20.4 \[-89.6, \+130.4\]", made)
    assert rows["correct, clean"] == ["70, 80 / 100", "1092 / 2000", "70 / 100", "1364 / 2000"]
    assert rows["test accuracy, contrast_200"][1::2] == ["49.6 %", "-"]
    assert rows["steps to 90 %, one logged batch"] == ["900, 900", "9000", "900", "3600"]
    assert rows["training loss"][1::2] == ["0.32", "0.03"]
    assert "- augmented: not finished: 900 steps in" in text
    assert "results.json is damaged" in text
    assert f"- e: no run in {tmp_path / 'e'}" in text


def test_runs_that_were_not_tested_on_the_test_images_are_named(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "phash", **{"data.validation_share": 0.1})
    text = report.write(tmp_path / "out", [tmp_path / "a", tmp_path / "b"])
    line = "held out of training (data.validation_share), not on the test images: phash.\n"
    assert line in text
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert line in markdown
    assert "## In plain words" not in markdown
    assert ", validation |" in markdown.split("## With what")[1]


def test_of_many_runs_those_without_a_published_number_are_rows(tmp_path):
    make_workdir(tmp_path / "original", "original")
    for i in range(6):
        make_workdir(tmp_path / f"mine_{i}", "best_raw", **{"train.seed": i, "name": f"mine_{i}"})
    report.write(tmp_path / "out", sorted(tmp_path.iterdir()))
    markdown = (tmp_path / "out" / "report.md").read_text()
    beside, others = markdown.split("(Fig 6.1)\n")[1].split("\n## ")[0].split("### Runs that")
    titles = beside.strip().splitlines()[0]
    assert [title.strip() for title in titles.strip("|").split("|")] == [
        "",
        "original",
        "original, published",
    ]
    lines = [line for line in others.splitlines() if line.startswith("| mine_")]
    assert len(lines) == 6
    # As in the columns of the others.
    clean = next(line for line in beside.splitlines() if line.startswith("| test accuracy, clean"))
    assert clean.split("|")[2].strip() in lines[0]
    assert "| test accuracy, contrast_200" in others


def test_the_runs_of_a_large_sweep_are_drawn_apart(tmp_path):
    make_workdir(tmp_path / "original", "original")
    sweep = load_config("recipe_ablations")
    claim(tmp_path / "sweep", sweep)
    for name in list(sweep.runs)[:5]:
        make_workdir(tmp_path / "sweep" / name, "best_raw", name=name)
    workdirs = [tmp_path / "original", tmp_path / "sweep"]
    groups = report._by_figure.__wrapped__(collect(workdirs), workdirs)
    finished = [[run.label for run in group if run.result] for group in groups]
    assert finished == [["original"], list(sweep.runs)[:5]]
    report.write(tmp_path / "out", workdirs)
    figures = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"test_accuracy.png", "test_accuracy_2.png", "curves.png", "curves_2.png"} <= figures


def test_runs_of_one_name_are_told_apart_by_their_workdir(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "original")
    labels = [run.label for run in collect([tmp_path / "a", tmp_path / "b"])]
    assert labels == ["original (a)", "original (b)"]


def test_a_run_with_the_name_of_another_workdir_is_told_from_it(tmp_path):
    make_workdir(tmp_path / "phash", "original")
    make_workdir(tmp_path / "later", "phash")
    labels = [run.label for run in collect([tmp_path / "phash", tmp_path / "later"])]
    assert labels == ["original", "phash (later)"]
    assert [run.label for run in collect([tmp_path / "later"])] == ["phash"]


class _Page(HTMLParser):
    """What a browser would fetch, and which elements stay open."""

    def __init__(self):
        super().__init__()
        self.fetched, self.open, self.tables = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "srcset")]
        self.fetched += [value for name, value in attrs if tag == "link" and name == "href"]
        self.tables += tag == "table"
        if tag not in ("meta", "link", "img", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read_page(path):
    parsed = _Page()
    parsed.feed(path.read_text())
    parsed.close()
    assert not parsed.open
    return parsed


def make_sweep(path, **fields):
    rows = [(row, row) for row in FIG_5_5 if row != "original_fig_5_5"]
    make_workdir(path / "original", "original", published="original_fig_5_5", **fields)
    for place, (row, published) in enumerate(rows):
        make_workdir(
            path / row,
            f"ablation.{row}",
            clean=(88, 99) if row == "uniform" else (70 + place, 80 + place),
            published=published,
            **fields,
        )
    return [path / "original", *(path / row for row, _ in rows)]


def test_page_needs_nothing_else_and_shows_what_its_twin_has(tmp_path):
    workdirs = [
        *make_sweep(tmp_path / "sweep", **{"data.name": "cifar10"}),
        tmp_path / "raw",
        tmp_path / "hashed",
    ]
    make_workdir(tmp_path / "raw", "original", **{"data.name": "cifar10"})
    make_workdir(tmp_path / "hashed", "phash", clean=(60, 72), **{"data.name": "cifar10"})
    out = tmp_path / "out"
    text = report.write(out, workdirs)
    assert text.startswith("# Fig 5.5: CIFAR-10, raw")
    markdown = (out / "report.md").read_text()
    parsed = read_page(out / "report.html")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", markdown)
    assert len(pictures) == 5
    assert all((out / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert all(source.startswith("data:") for source in parsed.fetched)
    assert len(parsed.fetched) == len(pictures) + 1
    assert parsed.tables == len(re.findall(r"^\|-", markdown, re.MULTILINE)) == 8
    assert "http" not in re.sub(r'"data:[^"]*"', "", (out / "report.html").read_text())


def test_fig_5_5_compares_every_row_with_original_and_with_the_study(tmp_path):
    workdirs = make_sweep(tmp_path, **{"data.name": "cifar10"})
    text = report.summary(workdirs)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    assert len(rows) == 14
    assert rows[1][0] == "Original"
    # 70 and 80 of 100: mean 75, half an interval 12.706 * 7.071 / sqrt(2) = 63.5, cut at 100.
    assert rows[1][5] == "75.0 % [11.5, 100.0]"
    assert rows[1][6] == "50.0 %"
    assert rows[1][7].startswith("yes [-35.")
    assert rows[1][10] == "1:40:09"
    report.write(tmp_path / "out", workdirs)
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "| ELU " in markdown
    compared = {
        cells[0]: cells[1:]
        for cells in (
            re.split(r" *\| ", line.strip("| "))
            for line in markdown.split("### Minus Original")[1].splitlines()
        )
        if len(cells) == 5
    }
    # 18 and 19 points: t = 18.5 / 0.5, one degree of freedom.
    assert compared["Uniform"] == ["+18.5 [+12.1, +24.9]", "0.0172", "0.034", "better"]
    assert compared["ELU"] == ["+0.0", "1.0000", "1.000", "not told apart"]
    # Two seeds that gained the same do not say how much others would.
    assert compared["TanH"] == ["+1.0", "-", "-", UNDECIDED]
    assert len(compared) == 13
    assert "13 of 13 published numbers could be a run of ours" in markdown


def test_rows_are_compared_with_original_of_the_same_seeds(tmp_path):
    def row(name, published, seeds, accuracies):
        result = {"seeds": seeds, "test_accuracy": {"clean": accuracies}}
        return Run(name, tmp_path, {"published": published}, result, [], [])

    original = row("original", "original_fig_5_5", [0, 1], [0.5, 0.6])
    differences = [
        fig_5_5.differences([original, row("elu", "elu", seeds, accuracies)], "clean")[0][1]
        for seeds, accuracies in (([0, 1], [0.61, 0.7]), ([1, 0], [0.7, 0.61]))
    ]
    assert differences[0] == differences[1]
    assert differences[0]["mean"] == pytest.approx(0.105)


def test_sweeps_of_two_worlds_are_told_apart(tmp_path):
    workdirs = [
        *make_sweep(tmp_path / "plain"),
        *make_sweep(tmp_path / "as_published", **{"data.scramble_train": True}),
    ]
    text = report.summary(workdirs)
    assert "# Fig 5.5: generated pictures, raw\n" in text
    scrambled = "generated pictures, raw, training images scrambled as in the study"
    assert f"# Fig 5.5: {scrambled}\n" in text


def test_verdicts_follow_the_numbers(tmp_path):
    make_workdir(tmp_path / "raw", "original", clean=(80, 81), contrast=(60, 62))
    make_workdir(tmp_path / "hashed", "phash", clean=(70, 72), contrast=(69, 72))
    scrambled = {"data.scramble_train": True}
    make_workdir(tmp_path / "scrambled", "original", clean=(50, 51), contrast=(50, 50), **scrambled)
    folders = [tmp_path / name for name in ("raw", "hashed", "scrambled")]
    accuracy, speed, robustness = judge(collect(folders))
    assert accuracy.verdict == "false; true only if the raw training images are scrambled"
    assert (
        "hashed minus raw: -9.5 [-15.9, -3.1] points (71.0 % against 80.5 %)" in accuracy.evidence
    )
    assert speed.verdict == "not decided"
    assert "+0 steps" in speed.evidence
    assert robustness.verdict == "at contrast 200: true"
    # One network of each kind decides nothing.
    for name in ("original", "phash"):
        make_workdir(tmp_path / f"one_{name}", name, 1)
    alone = judge(collect([tmp_path / "one_original", tmp_path / "one_phash"]))
    assert [verdict.verdict for verdict in alone] == [
        "not decided",
        "not decided",
        "at contrast 200: not decided",
    ]
    assert judge(collect([tmp_path / "raw"])) == []
    # Nor do networks without a common seed, here both at 90 % in the end.
    apart = make_workdir(tmp_path / "apart", "phash")
    results.write(tmp_path / "apart", {"phash": {**apart, "seeds": [7, 8]}})
    verdicts = judge(collect([tmp_path / "raw", tmp_path / "apart"]))
    assert [verdict.verdict for verdict in verdicts[:2]] == ["not decided", "not decided"]
    assert verdicts[1].evidence == "no seed is common to raw and hashed"


def test_only_the_studys_networks_judge_the_study(tmp_path):
    make_workdir(tmp_path / "raw", "original")
    make_workdir(tmp_path / "median", "phash", preprocess="median_hash")
    assert judge(collect([tmp_path / "raw", tmp_path / "median"])) == []


def test_what_has_a_published_number_stays_beside_it(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "phash")
    fields = {"preprocess": "median_hash", "published": "none"}
    make_workdir(tmp_path / "c", "original", name="median", **fields)
    report.write(tmp_path / "out", [tmp_path / name for name in "abc"])
    made = (tmp_path / "out" / "report.md").read_text()
    assert "## Inputs of the network, by bits per pixel" in made
    section = made[made.index("(Fig 6.1)") :].split("\n## ")[0]
    header = next(line for line in section.splitlines() if line.startswith("|"))
    assert "phash, published" in header
    assert "median" not in header


def with_steps_to_90(path, name, steps):
    result = make_workdir(path, name)
    results.write(path, {name: {**result, "steps_to_90": steps}})


@pytest.mark.parametrize(
    ("raw", "hashed", "verdict"),
    [
        # 900 steps in all.
        ([None, None], [300, 320], "true"),
        ([300, 320], [None, None], "false"),
        ([None, None], [800, 300], "not decided"),
        ([None, None], [None, 300], "not decided"),
        ([None, None], [None, None], "not decided"),
    ],
)
def test_a_mark_that_is_never_reached_is_at_least_as_far_as_the_end(raw, hashed, verdict, tmp_path):
    with_steps_to_90(tmp_path / "raw", "original", raw)
    with_steps_to_90(tmp_path / "hashed", "phash", hashed)
    _, speed, _ = judge(collect([tmp_path / "raw", tmp_path / "hashed"]))
    assert speed.verdict == verdict
    assert "never" in speed.evidence


def test_networks_of_another_recipe_are_not_compared(tmp_path):
    make_workdir(tmp_path / "hashed", "phash")
    make_workdir(tmp_path / "drawn", "original", **{"model.conv_layers": 2})
    assert judge(collect([tmp_path / "hashed", tmp_path / "drawn"])) == []
    make_workdir(tmp_path / "raw", "original", **{"train.log_every": 50, "test_batch_size": 7})
    assert judge(collect([tmp_path / name for name in ("hashed", "drawn", "raw")])) != []
    short = make_sweep(tmp_path / "short", **{"train.num_steps": 500})
    long = make_sweep(tmp_path / "long")
    text = report.write(tmp_path / "out", [short[0], *long[1:]])
    assert text.count("# Fig 5.5: generated pictures, raw\n") == 2
    assert "Minus Original" not in (tmp_path / "out" / "report.md").read_text()
    figures = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"fig_5_5_synthetic_raw.png", "fig_5_5_synthetic_raw_2.png"} <= figures


def test_folders_of_one_name_keep_their_pictures_apart_whatever_their_names(tmp_path):
    folders = [tmp_path / above / "größe [a] 5%" for above in ("one x", "two")]
    for place, folder in enumerate(folders):
        make_workdir(folder, "original")
        figures.save(figures.new_figure(1 + place, 1), folder / "examples.png", dpi=50)
    report.write(tmp_path / "out", folders)
    copies = list((tmp_path / "out" / "figures").glob("*_examples.png"))
    assert {copy.read_bytes() for copy in copies} >= {(folders[0] / "examples.png").read_bytes()}
    text = (tmp_path / "out" / "report.html").read_text()
    assert "![" not in text
    assert "original (one x/größe [a] 5%)" in text
    assert short_names([*folders, tmp_path / "three"]) == {
        folders[0]: "one x/größe [a] 5%",
        folders[1]: "two/größe [a] 5%",
        tmp_path / "three": "three",
    }


def test_headings_of_one_name_have_anchors_of_their_own(tmp_path):
    made = page.render("# A\n\n## B c\n\n## B c\n", folder=tmp_path)
    assert (
        re.findall(r'id="([^"]*)"', made)
        == re.findall(r'href="#([^"]*)"', made)
        == ["b-c", "b-c-2"]
    )


def test_a_bar_in_a_cell_is_no_new_cell(tmp_path):
    made = page.render(tables.markdown([("a|b", "c"), ("d", "e|f")]), folder=tmp_path)
    assert re.findall(r"<t[hd]>(.*?)</t[hd]>", made) == ["a|b", "c", "d", "e|f"]


def test_a_caption_is_text_and_a_figure_leaves_its_paragraph_alone(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    text = "![a \\[b\\] *c*](a.png) and words\n\nmore\n\n![d](a.png)\n"
    made = page.render(text, folder=tmp_path)
    assert 'alt="a [b] c"' in made
    assert "<figcaption>a [b] c</figcaption></figure> and words</p>" in made
    assert re.search(r"<p>more</p>\s*<figure>", made)


def test_commands_that_differ_in_what_they_asked_for_are_one(tmp_path):
    made = []
    for place, command in enumerate(
        (
            "python main.py --config.only=raw --workdir=runs/x",
            "python main.py --config.only=raw,both --workdir=runs/x",
            "python main.py '--config.only=hash, dct' --workdir=runs/x",
            "python main.py --workdir='a b' --config.only=raw",
            "python main.py '--workdir=a b'",
            "python main.py --workdir='c",
        )
    ):
        run = Run(str(place), tmp_path, {}, None, [], [{"command": command}])
        made.append(run)
    assert formats.commands(made).splitlines() == [
        "```sh",
        "python main.py --workdir=runs/x --config.only=raw,both,hash,dct",
        "python main.py '--workdir=a b'",
        "python main.py --workdir='c",
        "```",
        "",
    ]
    assert formats.commands([]) == ""


def test_networks_are_described_each_kind_once(tmp_path):
    make_workdir(tmp_path / "a", "original")
    make_workdir(tmp_path / "b", "phash")
    fields = {"model.conv_layers": 2, "model.batch_norm": "first", "model.num_outputs": 10}
    make_workdir(tmp_path / "c", "original", name="drawn", **fields)
    make_workdir(tmp_path / "d", "original", name="grouped", **{"model.group_norm": "all"})
    report.write(tmp_path / "out", [tmp_path / name for name in "abcd"])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "The network (Fig 5.1) of original, phash: conv 5x5x64, relu, max-pool 2; conv" in text
    assert "(Fig 5.1) of drawn: conv 5x5x64, batch norm, relu, max-pool 2; conv 5" in text
    assert "; 10 outputs.\n\n" in text
    grouped = "; ".join(["conv 5x5x64, group norm, relu, max-pool 2"] * 3)
    assert f"The network (Fig 5.1) of grouped: {grouped}; dense 256" in text


def test_published_numbers_are_for_the_studys_classes():
    assert is_comparable("phash", data="cifar10", class_names=("cat", "dog"))
    assert not is_comparable("phash", data="synthetic", class_names=("cat", "dog"))
    assert not is_comparable("phash", data="cifar10", class_names=("cat", "dog", "truck"))
    assert not is_comparable(
        "phash", data="cifar10", class_names=("cat", "dog"), validation_share=0.1
    )
    for published, fed in (("phash", "average_hash"), ("original", "raw"), ("elu", "raw")):
        of_study = {"data": "cifar10", "class_names": ("cat", "dog")}
        assert is_comparable(published, preprocess=fed, **of_study)
        assert not is_comparable(published, preprocess="median_hash", **of_study)
    assert not is_comparable(
        "elu", data="cifar10", class_names=("cat", "dog"), preprocess="average_hash"
    )
    assert is_comparable("ten_classes", data="cifar10", class_names=list("abcdefghij"))
    assert not is_comparable("ten_classes", data="cifar10", class_names=("cat", "dog"))


def test_failed_missing_and_half_written_runs_are_named(tmp_path):
    make_workdir(tmp_path / "good", "original")
    make_workdir(tmp_path / "half", "phash", finished=False)
    make_workdir(tmp_path / "failed", "augmented", finished=False)
    results.write_failure(tmp_path / "failed", ValueError("the loss is not finite"))
    make_workdir(tmp_path / "cut", "original")
    (tmp_path / "cut" / "metrics.jsonl").write_text('{"step": 1\n{"step": 2}\n')
    make_workdir(tmp_path / "mad", "phash")
    (tmp_path / "mad" / "config.json").write_text("[]")
    (tmp_path / "file").touch()
    names = ("good", "half", "failed", "cut", "mad", "missing", "file")
    report.write(tmp_path / "out", [tmp_path / name for name in names])
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert f"- phash: not finished: 900 steps in {tmp_path / 'half'}\n" in markdown
    assert "- augmented: failed: the loss is not finite\n" in markdown
    assert "- original (cut): " in markdown
    assert "metrics.jsonl is damaged (line 1 is not JSON" in markdown
    assert f"- missing: no run in {tmp_path / 'missing'}\n" in markdown
    assert f"- file: no run in {tmp_path / 'file'}\n" in markdown
    read_page(tmp_path / "out" / "report.html")


def test_the_command_writes_a_page_with_the_users_notes(tmp_path, monkeypatch, capsys):
    make_workdir(tmp_path / "run", "original")
    (tmp_path / "my pictures").mkdir()
    Image.new("RGB", (3, 2), "red").save(tmp_path / "my pictures" / "a.jpg")
    (tmp_path / "notes.md").write_text(
        "## Mine\n\nA note.\n\n![near](my%20pictures/a.jpg)\n\n![far](https://example.org/b.png)\n"
    )
    command = ["report", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", command)
    report.main()
    assert "# Ours beside the study's (Fig 6.1)" in capsys.readouterr().out
    options = [f"--output={tmp_path / 'out'}", "--name=page", f"--notes={tmp_path / 'notes.md'}"]
    monkeypatch.setattr(sys, "argv", [*command, *options])
    report.main()
    assert f"report: {tmp_path / 'out' / 'page.html'}" in capsys.readouterr().out
    written = (tmp_path / "out" / "page.html").read_text()
    assert "A note." in written
    assert '<img alt="near" src="data:image/jpeg;base64,' in written
    assert '<img alt="far" src="https://example.org/b.png">' in written
    assert "![near](figures/notes_1.jpg)" in (tmp_path / "out" / "page.md").read_text()
    (tmp_path / "lost.md").write_text("![gone](gone.png)\n")
    (tmp_path / "latin.md").write_bytes("größer".encode("latin-1"))
    for wrong, code, said in (
        ([*options[:2], "--notes=nowhere.md"], 1, "nowhere.md"),
        ([*options[:2], f"--notes={tmp_path / 'latin.md'}"], 1, "latin.md is not UTF-8 text"),
        ([*options[:2], f"--notes={tmp_path / 'lost.md'}"], 1, "lost.md shows gone.png, but there"),
        ([f"--notes={tmp_path / 'notes.md'}"], 2, "add --output"),
        (["--output="], 2, "argument --output: it is empty"),
        ([options[0], "--name="], 2, "argument --name: '' is not the name of a file"),
        ([options[0], "--name=../page"], 2, "'../page' is not the name of a file"),
        ((), 1, f"there is no folder {tmp_path / 'typo'}"),
    ):
        folder = [*command, *wrong] if wrong else ["report", str(tmp_path / "typo")]
        monkeypatch.setattr(sys, "argv", folder)
        with pytest.raises(SystemExit, match=str(code)):
            report.main()
        error = capsys.readouterr().err
        assert "error: " in error
        assert said in error


DAMAGES = {
    "config.json": (b"\xff", b"[]", b"5", b'{"model": 3}', b'{"name": "original"}'),
    "results.json": (b"\xff", b"[]", b"5", b'{"runs": []}', b'{"runs": {"original": 5}}'),
    "provenance.json": (b"\xff", b'{"a": 1}', b"5", b"[1]", b'[{"command": 1}]'),
    "metrics.jsonl": (b"\xff\n", b"5\n", b"[]\n", b'{"step": 6}\n'),
    "failure.json": (b"\xff", b"[]", b"5", b"{}"),
}


@pytest.mark.parametrize(
    ("file", "damage"), [(file, damage) for file, all_of in DAMAGES.items() for damage in all_of]
)
def test_whatever_is_damaged_is_named(file, damage, tmp_path):
    make_workdir(tmp_path / "run", "original", finished=file != "failure.json")
    (tmp_path / "run" / file).write_bytes(damage)
    (run,) = collect([tmp_path / "run"])
    assert f"{tmp_path / 'run' / file} is damaged" in run.problem
    assert run.problem in report.summary([tmp_path / "run"])


def test_a_config_whose_fields_have_other_types_is_named(tmp_path):
    make_workdir(tmp_path, "original")
    fields = json.loads((tmp_path / "config.json").read_text())
    fields["published"], fields["model"]["conv_layers"] = [], 3.5
    (tmp_path / "config.json").write_text(json.dumps(fields))
    (run,) = collect([tmp_path])
    assert "config.json is damaged (it lacks published, model.conv_layers, or" in run.problem
    assert run.problem in report.summary([tmp_path])


def test_runs_not_asked_for_are_not_missing(tmp_path):
    config = load_config("compare")
    config.only = "phash"
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert [run.label for run in collect([tmp_path])] == ["phash"]
    (tmp_path / "original").mkdir()
    results.write_failure(tmp_path / "original", ValueError("the loss is not finite"))
    assert [run.label for run in collect([tmp_path])] == ["original", "phash"]
    # Asked for both, later.
    config.only = ""
    claim(tmp_path, config)
    (tmp_path / "original" / "failure.json").unlink()
    assert [run.label for run in collect([tmp_path])] == ["original", "phash"]


def test_other_jobs_have_their_sections(tmp_path):
    config = load_config("hash_study")
    config.data.train_size, config.data.test_size = 60, 6
    config.hash_study.images_per_class = 8
    hash_study.run(config, tmp_path / "hashes")
    config = load_config("arrays")
    config.data.train_size, config.data.test_size = 8, 4
    study_arrays.run(config, tmp_path / "arrays")
    broken = load_config("catalog")
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "config.json").write_text(json.dumps(broken.to_dict()))
    exported = load_config("export_distorted")
    claim(tmp_path / "exported", exported)
    folders = [tmp_path / name for name in ("hashes", "arrays", "catalog", "exported")]
    assert collect(folders) == []
    report.write(tmp_path / "out", folders)
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "exported (job export_distorted)." in markdown
    assert "\n### Fig 4.1: average hashes\n" in markdown
    assert "![Fig 4.9" not in markdown
    assert markdown.count("![Fig 4.") == 4
    assert re.search(r"images_train_h +\| \(16, 32, 32, 3\) \| \(20000, 32, 32, 3\)", markdown)
    assert "## catalog\n\nWithout a result: " in markdown
    for damage in (b"", (tmp_path / "arrays" / "arrays.npz").read_bytes()[:100]):
        (tmp_path / "arrays" / "arrays.npz").write_bytes(damage)
        report.write(tmp_path / "out", folders)
        markdown = (tmp_path / "out" / "report.md").read_text()
        assert "## arrays\n\nWithout a result: " in markdown
        assert "(arrays)" in markdown
        assert "\n### Fig 4.1: average hashes\n" in markdown


def test_html_in_a_text_is_shown_not_run(tmp_path):
    text = "# A <b>title</b>\n\n<script>x</script>\n\n## One\n\n## Two\n"
    shown = page.render(text, folder=tmp_path)
    assert "<script>" not in shown
    assert "<title>A &lt;b&gt;title&lt;/b&gt;</title>" in shown
    assert '<a href="#one">One</a> <a href="#two">Two</a>' in shown
    with pytest.raises(FileNotFoundError):
        page.render("![x](nowhere.png)", folder=tmp_path)


def test_fewer_points_lost_are_said_where_the_end_is_no_better(tmp_path):
    make_workdir(tmp_path / "raw", "original", clean=(80, 81), contrast=(60, 62))
    make_workdir(tmp_path / "hashed", "phash", clean=(60, 62), contrast=(60, 61))
    *_, robustness = judge(collect([tmp_path / "raw", tmp_path / "hashed"]))
    assert robustness.verdict == (
        "at contrast 200: not decided; true for the points lost from clean to distorted"
    )


def test_intervals_of_shares_stay_within_what_a_share_can_be():
    two_seeds = {"mean": 0.469, "ci95": [-0.722, 1.66]}
    assert formats.percent_with_interval(two_seeds) == "46.9 % [0.0, 100.0]"
    gained = {"mean": -0.01, "ci95": [-0.03, 0.01]}
    assert formats.percent_with_interval(gained, lowest=-math.inf) == "-1.0 % [-3.0, 1.0]"


def test_runs_whose_pictures_are_not_shown_are_named(tmp_path):
    for name in "abcde":
        make_workdir(tmp_path / name, "best_raw", name=name)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "examples.png")
    report.write(tmp_path / "out", [tmp_path / name for name in "abcde"])
    made = (tmp_path / "out" / "report.md").read_text()
    assert "c: what the network is trained and tested on" in made
    assert "\nThe pictures of d, e are in the folders of those runs.\n" in made


def test_runs_of_a_sweep_are_compared_with_the_one_that_overrides_nothing(tmp_path):
    config = load_config("best_raw")
    config.name = "mine"
    rates = {"fast": {"optimizer": {"learning_rate": 0.5}}, "usual": {}, "wide": {"test_shift": 2}}
    with config.unlocked():
        config.runs = ConfigDict(rates)
    claim(tmp_path / "mine", config)
    for name, clean in (("fast", (60, 70)), ("usual", (70, 80)), ("wide", (75, 86))):
        fields = {"name": name, "train.batch_size": 64 + len(name)}
        make_workdir(tmp_path / "mine" / name, "best_raw", clean=clean, **fields)
    report.write(tmp_path / "out", [tmp_path / "mine"])
    made = (tmp_path / "out" / "report.md").read_text()
    section = made[made.index("### mine: minus usual with the same seeds") :].split("\n##")[0]
    assert re.search(r"\| fast +\| -10.0 +\| not decided: fewer", section)
    assert re.search(r"\| wide +\| \+5.5 \[-0.9, \+11.9\] \| not told apart", section)
    assert "| usual" not in section
    # None of these has a number of the study's.
    assert "## Runs side by side" in made
    assert "not defined by the study" not in made
    assert "The study draws" not in made
    assert "### mine: minus usual" in report.summary([tmp_path / "mine"])
    for name in ("original", "phash"):
        make_workdir(tmp_path / name, name)
    beside = report.summary([tmp_path / "original", tmp_path / "phash"])
    assert "minus original with the same seeds" not in beside
