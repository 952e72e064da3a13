"""What the networks see, what they confuse, and what they are most sure of and wrong about."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from phash_jax.report import plots
from phash_jax.report.collect import Run, short_names
from phash_jax.report.formats import commands, picture
from phash_jax.report.verdicts import roles

# Squares of a pixel each; more would not be seen.
_MOST_CLASSES_SHOWN = 200
# How many runs' pictures are shown where none is the study's, and how many others are named.
_MOST_PICTURED, _MOST_NAMED = 3, 8


def section(runs: Sequence[Run], figures: Path) -> str:
    """The pictures of the study's runs, else of the first ones, and what their networks confuse."""
    shown = [run for who in roles(runs) for run in (who.raw, who.hashed, who.scrambled) if run]
    finished = [run for run in runs if run.result and not run.row]
    shown = shown or finished[:_MOST_PICTURED]
    names, text = short_names([run.folder for run in shown]), ""
    for run in shown:
        for file, caption in (
            ("examples.png", "what the network is trained and tested on"),
            (
                "mistakes.png",
                "test images that it gets wrong and is most sure of; above each its class, what it "
                "is taken for, and with what probability (mean over seeds)",
            ),
        ):
            if (run.folder / file).exists():
                copy = f"{names[run.folder].replace('/', '_')}_{file}"
                shutil.copyfile(run.folder / file, figures / copy)
                text += picture(f"{run.label}: {caption}", copy)
    counted = [
        run
        for run in shown
        if "confusion" in run.result and len(run.result["class_names"]) <= _MOST_CLASSES_SHOWN
    ]
    if counted:
        plots.plot_confusion(counted, figures / "confusion.png")
        text += (
            "![Confusion: percent of a class taken for each class, mean over seeds]"
            "(figures/confusion.png)\n\n"
        )
    if not text:
        return ""
    if left_out := [run.label for run in finished if run not in shown]:
        which = ", ".join(left_out) if len(left_out) <= _MOST_NAMED else f"{len(left_out)} others"
        text += f"The pictures of {which} are in the folders of those runs.\n\n"
    return "## Pictures\n\n" + text + commands(shown)
