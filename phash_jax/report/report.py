"""One report from any workdirs: report.html, self-contained, and report.md with the same content.

python -m phash_jax.report DIR [DIR ...] --output=DIR
"""

import argparse
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from phash_jax import tables
from phash_jax.command_line import ended_in_one_line
from phash_jax.errors import listed
from phash_jax.report import (
    beside_published,
    changes,
    differences,
    fig_5_1,
    fig_5_5,
    fig_6_1,
    hash_robustness,
    learning,
    page,
    pictures,
    plots,
    rivals,
    robustness,
    robustness_verdicts,
    studies,
)
from phash_jax.report.collect import Run, collect, read_config
from phash_jax.report.formats import commands
from phash_jax.report.notes import read_notes
from phash_jax.report.verdicts import judge, roles
from phash_jax.whole_files import write_text

# From this number on, the runs of one config are drawn apart from the others.
_LARGE_SWEEP = 4
_INTERVALS = (
    "Means over seeds; in brackets Student's 95 % interval of this mean, for this test set. Lists "
    "have one number per seed."
)


def summary(workdirs: Sequence[Path]) -> str:
    """The tables of some workdirs for a terminal, and a line for every run without a result."""
    runs = collect(workdirs)
    sweeps = fig_5_5.sweeps(runs)
    apart = _apart(runs)
    rest = [run for run in runs if run.result and not run.row and run.folder not in apart]
    parts = [f"# Fig 5.5: {_name_of_sweep(rows)}\n\n{fig_5_5.table(rows)}" for rows in sweeps]
    if rest:
        title = "Ours beside the study's (Fig 6.1)" if _of_study(rest) else "Runs side by side"
        parts.append(f"# {title}\n\n{fig_6_1.side_by_side(rest)}")
        parts += filter(None, [_differences(rest, but=_compared_elsewhere(runs))])
    parts += rivals.summaries(runs, workdirs)
    parts += robustness.summaries(workdirs)
    if parts:
        parts.append(_INTERVALS + "\n")
    parts += hash_robustness.summaries(workdirs)
    parts += _validated(runs)
    parts += ["Without a result:\n\n" + lines for lines in _problems(runs)]
    parts += studies.left_out(workdirs)
    return "\n".join(parts or ["no finished run\n"])


def write(
    output: Path, workdirs: Sequence[Path], *, name: str = "report", notes: Path | None = None
) -> str:
    """Writes the report of some workdirs; returns their ``summary``.

    Args:
        output: folder for ``<name>.html``, ``<name>.md`` and the latter's ``figures/``.
        workdirs: of any jobs; what is missing, half-written or failed is named in the report.
        name: of the two files.
        notes: a Markdown file of the user's own, put after the verdicts. Its pictures are copied
            to ``figures/``, except those on the web.

    Raises:
        OSError: the notes cannot be read or the report not written.
        ValueError: the notes are not text, or a picture that they show is not there.
    """
    own_text, own_pictures = read_notes(notes) if notes else ("", {})
    runs = collect(workdirs)
    figures = output / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name_here, path in own_pictures.items():
        shutil.copyfile(path, figures / name_here)
    sections = [
        "# Perceptual hashing and a small CNN: our results beside the study of 2017\n",
        _verdicts(runs, workdirs),
        *_validated(runs),
        own_text,
        *("## Runs without a result\n\n" + lines for lines in _problems(runs)),
        *studies.left_out(workdirs),
        _comparison(runs, workdirs, figures),
        _sweeps(runs, figures),
        *rivals.sections(runs, workdirs, figures),
        learning.section(runs, figures),
        pictures.section(runs, figures),
        *studies.sections(workdirs, figures),
        _provenance(runs),
    ]
    text = "\n".join(section for section in sections if section)
    write_text(output / f"{name}.md", text)
    write_text(output / f"{name}.html", page.render(text, folder=output))
    return summary(workdirs)


def _apart(runs: Sequence[Run]) -> list[Path]:
    """Folders of the runs that have a section of their own, by their inputs.

    Those with a published number stay beside it.
    """
    alone = _only_rivals(runs)
    return [
        run.folder
        for run in runs
        if run.folder in alone and run.config.get("published", "none") == "none"
    ]


def _only_rivals(runs: Sequence[Run]) -> set[Path]:
    """Folders of the runs that are compared by their inputs, and not in a sweep of another kind."""
    by_input = {run.folder for group in rivals.groups(runs) for run in group}
    elsewhere = {run.folder.parent for run in runs if run.result and run.folder not in by_input}
    return {
        folder
        for folder in by_input
        if folder.parent not in elsewhere or not read_config(folder.parent).get("runs")
    }


def _of_study(runs: Sequence[Run]) -> bool:
    """Whether any of the runs is one of the study's."""
    return any(run.config.get("published", "none") != "none" for run in runs)


def _compared_elsewhere(runs: Sequence[Run]) -> set[Path]:
    """Folders of runs that have a table of differences in a section or a verdict of their own."""
    of_study = (run for who in roles(runs) for run in (who.raw, who.hashed, who.scrambled) if run)
    return {run.folder for run in of_study} | _only_rivals(runs)


def _differences(runs: Sequence[Run], *, but: set[Path], figures: Path | None = None) -> str:
    """Every sweep's runs minus its first; the others minus those that are most like them."""
    sweeps = differences.sweeps(runs, but=but)
    of_sweeps = {run.folder for sweep in sweeps for run in (sweep.base, *sweep.others)}
    of_others = changes.section(runs, but=but | of_sweeps, figures=figures)
    return "".join(map(differences.section, sweeps)) + of_others


def _problems(runs: Sequence[Run]) -> list[str]:
    """The list of runs without a result, if there is one."""
    lines = [f"- {run.label}: {run.problem}\n" for run in runs if run.problem]
    return ["".join(lines)] if lines else []


def _validated(runs: Sequence[Run]) -> list[str]:
    """The line that names the runs that were not tested on the test images, if there are any."""
    validated = [run.label for run in runs if run.result and run.is_validated]
    return [
        "Tested on images held out of training (data.validation_share), not on the test images: "
        f"{', '.join(validated)}.\n"
    ] * bool(validated)


def _verdicts(runs: Sequence[Run], workdirs: Sequence[Path]) -> str:
    of_study, of_robustness = judge(runs), robustness_verdicts.verdicts(workdirs)
    if not of_study and not of_robustness:
        return ""
    judged_tables = [
        tables.markdown([titles, *((v.claim, f"**{v.verdict}**", v.evidence) for v in judged)])
        for titles, judged in (
            (("the study's claim", "verdict", "our measurement"), of_study),
            (("further question", "verdict", "our measurement"), of_robustness),
        )
        if judged
    ]
    sources = sorted({run.config["data.name"] for run in runs if run.result})
    images = f" Images: {', '.join(map(_DATA.get, sources, sources))}." if sources else ""
    return (
        "## In plain words\n\n"
        + "\n".join(judged_tables)
        + "\nDifferences are between networks with the same seed (the same initial weights and "
        "batches, unless the change itself alters them), averaged over seeds; in brackets their "
        "95 % interval. Verdicts on robustness are Holm-adjusted for the number of networks in a "
        "test, those on single distortions for the number of distortions; the intervals are "
        "uncorrected, and may leave out 0 even where networks are not told apart. Networks that "
        "were trained on a distortion, or on one like it, have an advantage under it: the command "
        "of each says on what it was trained."
        f"{images}\n"
    )


_DATA = {"cifar10": "CIFAR-10", "synthetic": "generated pictures", "file": "the user's own"}


def _by_figure(runs: Sequence[Run], workdirs: Sequence[Path]) -> list[list[Run]]:
    """Runs that are drawn together: those of a large sweep by themselves, after all the others."""
    sizes = Counter(run.folder.parent for run in runs if run.folder not in workdirs)
    groups: dict[Path | None, list[Run]] = {None: []}
    for run in runs:
        large = run.folder not in workdirs and sizes[run.folder.parent] >= _LARGE_SWEEP
        groups.setdefault(run.folder.parent if large else None, []).append(run)
    return [group for group in groups.values() if group]


def _comparison(runs: Sequence[Run], workdirs: Sequence[Path], figures: Path) -> str:
    """Fig 5.1 to 5.4, 5.6 to 5.9 and 6.1."""
    apart = _apart(runs)
    shown = [
        run
        for run in runs
        if not run.row and run.folder not in apart and (run.result or run.records)
    ]
    finished = [run for run in shown if run.result]
    if not shown:
        return ""
    title = "Raw against hashed (Fig 6.1)" if _of_study(shown) else "Runs side by side"
    text = f"## {title}\n\n{fig_6_1.side_by_side(finished)}\n{_INTERVALS}\n\n"
    for place, group in enumerate(_by_figure(finished, workdirs)):
        file = f"test_accuracy{f'_{place + 1}' * (place > 0)}.png"
        plots.plot_accuracies(group, figures / file)
        text += (
            "![Test accuracy (Fig 5.4, 5.6, 5.9): every seed, mean and 95 % interval, published "
            f"number](figures/{file})\n\n"
        )
    text += beside_published.test_accuracies(finished)
    text += _differences(finished, but=_compared_elsewhere(runs), figures=figures)
    text += "## Training (Fig 5.2, 5.3, 5.7, 5.8)\n\n"
    for place, group in enumerate(_by_figure(shown, workdirs)):
        file = f"curves{f'_{place + 1}' * (place > 0)}.png"
        plots.plot_curves(group, figures / file)
        text += (
            "![Training accuracy and loss (Fig 5.3, 5.8): mean over seeds and over each log "
            f"interval; band from lowest to highest seed](figures/{file})\n\n"
        )
    return (
        text + beside_published.training_logs(finished) + fig_5_1.section(shown) + commands(shown)
    )


def _sweeps(runs: Sequence[Run], figures: Path) -> str:
    """Fig 5.5, a section for each kind of pictures and preprocessing."""
    text = ""
    files: list[str] = []
    for rows in fig_5_5.sweeps(runs):
        of_first = rows[0].config
        kind = f"fig_5_5_{of_first['data.name']}_{of_first['preprocess']}"
        kind += "_scrambled" * rows[0].is_scrambled
        files.append(kind)
        file = kind + (f"_{files.count(kind)}" if files.count(kind) > 1 else "")
        plots.plot_accuracies(rows, figures / f"{file}.png")
        plots.plot_sweep_curves(rows, figures / f"{file}_curves.png")
        text += (
            f"## Fig 5.5: {_name_of_sweep(rows)}\n\n"
            f"![Test accuracy of every row: seeds, mean and 95 % interval, published number]"
            f"(figures/{file}.png)\n\n"
            f"{fig_5_5.table(rows)}\n"
            "In brackets under *published could be a run of ours*: where one more run of ours "
            "would lie 95 times out of 100 (the study trained each row once).\n\n"
        )
        for test_set in ("clean", "contrast_200"):
            compared = fig_5_5.difference_table(rows, test_set)
            if compared:
                text += (
                    f"### Minus Original with the same seeds, {test_set.replace('_', ' ')}\n\n"
                    f"{compared}\n"
                )
        text += (
            f"![Training accuracy of every row (blue) over Original's (gray), band from lowest to "
            f"highest seed](figures/{file}_curves.png)\n\n" + commands(rows)
        )
    return text


def _name_of_sweep(rows: Sequence[Run]) -> str:
    data, preprocess = rows[0].config["data.name"], rows[0].config["preprocess"]
    return f"{_DATA.get(data, data)}, {preprocess}" + (
        ", training images scrambled as in the study" if rows[0].is_scrambled else ""
    )


def _provenance(runs: Sequence[Run]) -> str:
    cells = [("run", "data", "seeds", "steps", "commit", "hardware", "versions")]
    for run in runs:
        if not run.result:
            continue
        last = run.starts[-1] if run.starts else {}
        cells.append(
            (
                run.label,
                _DATA.get(run.config.get("data.name"), "?") + ", validation" * run.is_validated,
                ", ".join(map(str, run.result["seeds"])),
                run.result["num_steps"],
                ", ".join(dict.fromkeys(s["commit"] for s in run.starts)) or "not recorded",
                last.get("hardware", "not recorded"),
                ", ".join(f"{k} {v}" for k, v in last.get("versions", {}).items()),
            )
        )
    if len(cells) == 1:
        return ""
    return (
        "## With what\n\n"
        + tables.markdown(cells)
        + "\nThe commit of every start; a plus means that files differed from it.\n"
    )


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text)


def _file_name(text: str) -> str:
    if not text or Path(text).name != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    return text


def main() -> None:
    """Makes the report of any workdirs."""
    parser = argparse.ArgumentParser(
        prog="python -m phash_jax.report", description=__doc__.split("\n")[0]
    )
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="DIR")
    parser.add_argument(
        "--output", type=_path, help="folder for the report; without it, tables are printed"
    )
    parser.add_argument(
        "--name", type=_file_name, default="report", help="name of the two files, without ending"
    )
    parser.add_argument("--notes", type=_path, help="your own Markdown, put after the verdicts")
    arguments = parser.parse_args()
    if not arguments.output and (arguments.notes or arguments.name != "report"):
        parser.error("--name and --notes are for a report in files: add --output")
    if not any(workdir.is_dir() for workdir in arguments.workdirs):
        parser.exit(1, f"error: there is no folder {listed(arguments.workdirs)}\n")
    with ended_in_one_line():
        if not arguments.output:
            print(summary(arguments.workdirs))
            return
        text = write(
            arguments.output, arguments.workdirs, name=arguments.name, notes=arguments.notes
        )
        print(f"{text}\nreport: {arguments.output / (arguments.name + '.html')}")
