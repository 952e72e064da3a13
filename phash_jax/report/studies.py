"""Sections of the jobs that train nothing: robustness, and Fig 3.1, 3.2 and 4.1 to 4.9."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phash_jax import catalog, provenance, tables
from phash_jax.published import FIG_3_1_LABELS, FIG_3_2
from phash_jax.report import hash_robustness, robustness
from phash_jax.report.collect import fields_of, folders_of_job, short_names
from phash_jax.report.formats import picture
from phash_jax.report.tested_networks import tested_alike


def left_out(workdirs: Sequence[Path]) -> list[str]:
    """The line that names the workdirs of jobs that have no section, if there are any."""
    lines = [
        f"{workdir} (job {job})"
        for job in ("hash_images", "export_distorted")
        for workdir in folders_of_job(workdirs, job)
    ]
    return [f"Not in this report; see their own files: {', '.join(lines)}.\n"] * bool(lines)


def sections(workdirs: Sequence[Path], figures: Path) -> list[str]:
    """A section for every workdir of such a job; a damaged one says so in its place."""
    found, names = [], short_names(workdirs)
    for job, section in (
        ("robustness", robustness.networks_section),
        ("hash_robustness", hash_robustness.section),
        ("catalog", _catalog),
        ("arrays", _arrays),
        ("hash_study", _hash_study),
    ):
        joint = job == "robustness"
        of_job = (
            tested_alike(workdirs)
            if joint
            else [[folder] for folder in folders_of_job(workdirs, job)]
        )
        for group in of_job:
            first = group[0]
            try:
                name = names[first].replace("/", "_")
                text = section(group if joint else first, figures, name) + _commands(group)
            # Each kind of file has errors of its own for damage.
            except Exception as error:
                reason = str(error) or type(error).__name__
                text = f"## {job}\n\nWithout a result: {reason} ({first.name})\n"
            if len(of_job) > 1:
                title, _, rest = text.partition("\n")
                text = f"{title} ({', '.join(names[folder] for folder in group)})\n{rest}"
            found.append(text)
    return found


def _commands(workdirs: Sequence[Path]) -> str:
    starts = [started[-1] for workdir in workdirs if (started := provenance.read(workdir))]
    lines = "\n".join(start["command"] for start in starts)
    return f"\n```sh\n{lines}\n```\n" if starts else ""


def _catalog(workdir: Path, figures: Path, name: str) -> str:
    path = workdir / "catalog.parquet"
    columns = catalog.read_columns(path, ["ImageID", "LabelName", "Type", "ImageAddr"])
    rows = list(zip(*(values[:10] for values in columns.values()), strict=True))
    cells, beside = [tuple(columns), *rows], ""
    # The study's labels are of its own pictures.
    if fields_of(workdir).get("data.name") == "cifar10":
        published = [("published LabelName",), *((label,) for label in FIG_3_1_LABELS)]
        cells = [(*ours, *study) for ours, study in zip(cells, published, strict=False)]
        beside = " beside the study's"
    return (
        "## The catalog (Fig 3.1)\n\n"
        f"{len(columns['ImageID']):,} images; the first ten{beside}:\n\n" + tables.markdown(cells)
    )


def _arrays(workdir: Path, figures: Path, name: str) -> str:
    cells = [("array", "ours", "published")]
    # NumPy leaves a damaged file open that it opened itself.
    with (workdir / "arrays.npz").open("rb") as file, np.load(file) as arrays:
        cells += [(name, arrays[name].shape, FIG_3_2.get(name, "-")) for name in arrays]
    return "## The arrays (Fig 3.2)\n\n" + tables.markdown(cells)


def _hash_study(workdir: Path, figures: Path, name: str) -> str:
    text = (workdir / "hash_study.md").read_text(encoding="utf-8")
    pictures = ""
    for path in sorted(workdir.glob("fig_4_*.png")):
        copy = f"{name}_{path.name}"
        shutil.copyfile(path, figures / copy)
        number = path.stem.removeprefix("fig_").replace("_", ".")
        pictures += picture(f"Fig {number}", copy)
    # One level down: the report has a title of its own.
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE) + "\n" + pictures
