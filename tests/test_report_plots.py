"""The plots of the report: what is drawn, named and left out."""

import numpy as np
import pytest
from conftest import make_workdir
from PIL import Image

from phash_jax import figures, results
from phash_jax.report import plots, report
from phash_jax.report.collect import collect


def test_names_are_no_formulas_and_all_that_was_tested_is_shown(tmp_path, monkeypatch):
    result = make_workdir(tmp_path / "$0_$10", "original", name="$a_$b")
    result["class_names"] = ["$0_$10", "$10_$20"]
    for field in ("test_accuracy", "test_correct", "confusion"):
        of = result[field]
        result[field] = {"clean": of["clean"], "contrast_300": of["contrast_200"]}
    of = result["statistics"]["test_accuracy"]
    result["statistics"]["test_accuracy"] = {
        "clean": of["clean"],
        "contrast_300": of["contrast_200"],
    }
    results.write(tmp_path / "$0_$10", {"$a_$b": result | {"published": "none"}})
    drawn, save = {}, plots.save

    def save_and_keep(figure, path, *, dpi):
        save(figure, path, dpi=dpi)
        drawn[path.name] = figure

    monkeypatch.setattr(plots, "save", save_and_keep)
    report.write(tmp_path / "out", [tmp_path / "$0_$10"])
    assert {"test_accuracy.png", "curves.png", "confusion.png"} <= drawn.keys()
    (panel,) = drawn["test_accuracy.png"].axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["$a_$b"]
    legend = [text.get_text() for text in panel.get_legend().get_texts()]
    assert legend == ["clean", "contrast 300", "guessing"]


def test_a_confusion_shows_percent_of_each_class(tmp_path, monkeypatch):
    result = make_workdir(tmp_path / "a", "original")
    result["confusion"] = {"clean": [[[30, 10], [5, 15]]] * 2}
    results.write(tmp_path / "a", {"original": result})
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path, *, dpi: drawn.append(figure))
    plots.plot_confusion(collect([tmp_path / "a"]), tmp_path / "confusion.png")
    (panel,) = drawn[0].axes
    shown = {text.get_position(): text.get_text() for text in panel.texts}
    assert shown == {(0, 0): "75", (1, 0): "25", (0, 1): "25", (1, 1): "75"}


def test_confusions_of_many_classes_are_colours_alone(tmp_path):
    result = make_workdir(tmp_path / "a", "original")
    result["class_names"] = [f"class {i}" for i in range(150)]
    result["confusion"] = {"clean": [np.eye(150, dtype=int).tolist()] * 2}
    results.write(tmp_path / "a", {"original": result})
    (run,) = collect([tmp_path / "a"])
    plots.plot_confusion([run], tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert max(picture.size) < 1400
    result["class_names"] *= 2
    results.write(tmp_path / "a", {"original": result})
    report.write(tmp_path / "out", [tmp_path / "a"])
    assert not (tmp_path / "out" / "figures" / "confusion.png").exists()


@pytest.mark.parametrize("length", [4, 30, 60])
def test_a_legend_is_as_wide_as_its_figure_at_most(length):
    figure = figures.new_figure(8, 4)
    panel = figure.subplots()
    for number in range(9):
        panel.plot([0, 1], [0, number], label=str(number) * length)
    plots.legend_above(figure, panel)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_window_extent().x0 >= 0
    assert legend.get_window_extent().x1 <= figure.bbox.x1
    assert legend.get_window_extent().y0 >= panel.get_window_extent().y1
    assert panel.get_window_extent().height > 250


def test_as_many_lines_as_there_are_runs_in_results_md_look_different():
    assert len({str(plots.line_of(place)) for place in range(40)}) == 40
