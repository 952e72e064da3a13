"""RESULTS.md says what the runs behind it say, and what the report makes of them."""

import json
import re
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from phash_jax.report import report

PICTURE = Image.new("L", (1, 1))
ROOT = Path(__file__).parent.parent
RUNS = ROOT / "benchmarks" / "results" / "cifar10"


def test_every_table_of_the_trained_networks_is_the_reports(tmp_path, monkeypatch):
    # Of the figures only the names are looked at, and drawing them takes most of the time.
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: PICTURE.save(path, "PNG"))
    kept = (ROOT / "RESULTS.md").read_text()
    # Columns stand in the order of the workdirs, and so do the commands that made them.
    named = dict.fromkeys(re.findall(r"--workdir=runs/(\w+)", kept))
    workdirs = [RUNS / name for name in named if (RUNS / name).is_dir()]
    assert {path.name for path in workdirs} == {
        path.name for path in RUNS.iterdir() if path.is_dir()
    }
    assert len(workdirs) >= 5
    report.write(tmp_path, workdirs)
    made = (tmp_path / "report.md").read_text()
    assert (RUNS / "notes.md").read_text().strip() in kept
    # All but the last, which has the commit of every start.
    tables = [block for block in made.split("\n\n") if block.startswith("|")][:-1]
    assert len(tables) >= 20
    assert [table for table in tables if table.strip() not in kept] == []
    # Nor is there an old one among them; what follows is of jobs whose results are not kept.
    of_runs = kept[: kept.index("## The catalog (Fig 3.1)")]
    blocks = {block.strip() for block in made.split("\n\n")}
    old = [block for block in of_runs.split("\n\n") if block.startswith("|")]
    assert [block for block in old if block.strip() not in blocks] == []
    # A network tested again on clean images is right as often as in its own run.
    compared = 0
    for tested in workdirs:
        for networks in (
            json.loads((tested / "results.json").read_text()).get("networks", {}).values()
        ):
            *_, parent, name = Path(networks["folder"]).parts
            for folder in (RUNS / parent / name, RUNS / name):
                if (folder / "results.json").exists():
                    (run,) = json.loads((folder / "results.json").read_text())["runs"].values()
                    assert run["test_accuracy"]["clean"] == networks["clean"], (tested, name)
                    compared += 1
    assert compared >= 20
    # Each figure it shows is there.
    shown = [line.split("](")[1].rstrip(")") for line in kept.splitlines() if line.startswith("![")]
    assert len(shown) >= 10
    assert [name for name in shown if not (ROOT / name).exists()] == []
