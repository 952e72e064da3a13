"""Tables and figures of the hash study: Fig 4.1 to 4.9."""

from pathlib import Path

import numpy as np

from phash_jax import codes, tables
from phash_jax.figures import new_figure, save
from phash_jax.published import FIG_4_1, FIG_4_2_TO_4_5, FIG_4_9

PAIRINGS = {"cat-cat": ("cat", "cat"), "dog-dog": ("dog", "dog"), "truck-dog": ("truck", "dog")}
# Fig 4.6 to 4.8, one hash each.
FIGURES = {"average_hash": "4.6", "phash": "4.7", "dhash": "4.8"}
# How gray was made when the study was written, and how it is made today.
GENERATIONS = {"6.0": "Pillow of 2017", "13.0": "Pillow 13"}

_CAT, _DOG, _TRUCK = "#0072B2", "#D55E00", "#009E73"
_COLOURS = dict(zip(PAIRINGS, (_CAT, _DOG, _TRUCK), strict=True))


def as_markdown(own, study, counts, *, near: int, per_class: int, published: bool) -> str:
    """The tables of Fig 4.1 to 4.5 and 4.9.

    Args:
        own: by hash and picture, text and distances from the first picture.
        study: distances of the published hashes, in hexadecimal digits and in bits.
        counts: near pairs by Pillow, hash, unit and pairing.
        near: the smallest distance that is no longer near.
        per_class: images of each class.
        published: whether the published counts are comparable.
    """
    lines = [
        "# Perceptual hashes and their distances (Fig 4.1 to 4.9)",
        "",
        "## Fig 4.1: average hashes",
        "",
        tables.markdown(
            [("", "ours", "published")]
            + [
                (title, own["average_hash"][title]["hash"], FIG_4_1[title])
                for title in own["average_hash"]
            ]
        ),
        "Ours are of a picture of our own; the study's is not available. The study prints its five "
        "strings without saying which filter made which. The distances it gives for each filter "
        "settle it: its fourth string, equal to the first, is that of the swirl, its third that of "
        "contrast and noise.",
        "",
        "The other two hashes of our pictures:",
        "",
        tables.markdown(
            [("", *(name for name in FIGURES if name != "average_hash"))]
            + [
                (title, *(own[name][title]["hash"] for name in FIGURES if name != "average_hash"))
                for title in own["average_hash"]
            ]
        ),
        "## Fig 4.2 to 4.5: distances from the original, in hex digits (in bits)",
        "",
        tables.markdown(
            [("", *FIGURES, "published", "from the published hashes")]
            + [
                (
                    title,
                    *(
                        f"{own[name][title]['hex_digits']} ({own[name][title]['bits']})"
                        for name in FIGURES
                    ),
                    FIG_4_2_TO_4_5[title],
                    f"{study[title][0]} ({study[title][1]})",
                )
                for title in FIG_4_2_TO_4_5
            ]
        ),
        "The greatest possible distance is 16 hex digits, as the study says, or 64 bits.",
        "",
        f"## Fig 4.9: pairs with a distance under {near}",
        "",
        f"The first {per_class} training images of each class. Counted as in the study: every "
        f"entry of the {per_class} x {per_class} table of distances in hex digits, so that within "
        "a class each image is also paired with itself, and every other pair is counted twice. "
        "Gray is as Pillow made it when the study was written (before 7.0), or as Pillow 13 makes "
        "it.",
        "",
    ]
    rows = [("hash", "gray of", *PAIRINGS)]
    if published:
        rows.append(("published, the same for all three", "-", *FIG_4_9.values()))
    as_counted = {
        (name, title): tuple(
            counts[pillow][name]["hex digits"][pairing]["as_counted"] for pairing in PAIRINGS
        )
        for name in FIGURES
        for pillow, title in GENERATIONS.items()
    }
    lines.append(tables.markdown(rows + [(*key, *numbers) for key, numbers in as_counted.items()]))
    if published:
        alike = [
            f"{name}, gray of {title}"
            for (name, title), numbers in as_counted.items()
            if numbers == tuple(FIG_4_9.values())
        ]
        lines += [
            "The published counts, printed for all three hashes, equal ours of: "
            f"{'; '.join(alike) or 'none'}.",
            "",
        ]
    lines += ["Counted as pairs of two different images, each once:", ""]
    rows = [("hash", "distance in", "gray of", *PAIRINGS)]
    rows += [
        (
            name,
            unit,
            title,
            *(counts[pillow][name][unit][pairing]["pairs"] for pairing in PAIRINGS),
        )
        for name in FIGURES
        for unit in ("hex digits", "bits")
        for pillow, title in GENERATIONS.items()
    ]
    lines += [
        tables.markdown(rows),
        f"Of {per_class * (per_class - 1) // 2:,} pairs within a class and {per_class**2:,} "
        "between two classes.",
        "",
        "Pictures: fig_4_1.png, "
        + ", ".join(f"fig_{figure.replace('.', '_')}.png" for figure in FIGURES.values())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def plot_pictures(pictures, own, path: Path) -> None:
    """The five pictures above their average hashes as 8x8 bitmaps."""
    figure = new_figure(2.1 * len(pictures), 4.4)
    grid = figure.subplots(2, len(pictures), squeeze=False)
    for (upper, lower), (title, picture) in zip(grid.T, pictures.items(), strict=True):
        upper.imshow(picture)
        upper.set_title(title, fontsize=10)
        lower.imshow(codes.from_hex(own[title]["hash"]), cmap="gray", vmin=0, vmax=1)
        lower.set_title(own[title]["hash"], fontsize=8, family="monospace")
        lower.set_xlabel(
            f"{own[title]['hex_digits']} hex digits, {own[title]['bits']} bits", fontsize=9
        )
        for panel in (upper, lower):
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color("0.8")
    save(figure, path, dpi=80)


def plot_scatter(matrices, name: str, near: int, path: Path) -> None:
    """Distances of all pairs, in hex digits, as the study drew them, and how often each occurs."""
    figure = new_figure(10, 3.6)
    panels = figure.subplots(1, 2 * len(PAIRINGS), width_ratios=[3, 1] * len(PAIRINGS), sharey=True)
    rng = np.random.default_rng(0)
    for place, (pairing, matrix) in enumerate(matrices["hex digits"].items()):
        points, bars = panels[2 * place : 2 * place + 2]
        flat = matrix.ravel()
        # Distances are whole numbers; a little scatter shows how many points lie on one another.
        heights = flat + rng.uniform(-0.35, 0.35, flat.size)
        for close, colour, size in ((False, "0.75", 0.6), (True, _COLOURS[pairing], 4)):
            shown = np.flatnonzero((flat < near) == close)
            points.scatter(shown, heights[shown], s=size, c=colour, lw=0)
        points.axhline(near - 0.5, color="0.3", lw=0.8, ls="--")
        close = int((flat < near).sum())
        points.set_title(f"{pairing}: {close:,} of {flat.size:,} under {near}", fontsize=9)
        points.set_xlabel("pair")
        points.set_xticks([0, flat.size])
        counts = np.bincount(flat, minlength=17)
        bars.barh(
            np.arange(17),
            counts,
            color=[_COLOURS[pairing] if d < near else "0.75" for d in range(17)],
        )
        bars.set_xticks([])
        bars.set_xlabel("number")
        bars.spines[["top", "right", "bottom"]].set_visible(False)
        points.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylabel="Hamming distance, hex digits", ylim=(-0.8, 16.8), yticks=range(0, 17, 2))
    figure.suptitle(
        f"Fig {FIGURES[name]}: {name}, gray as in the Pillow of 2017 "
        "(points at one distance are spread out to show how many there are)",
        fontsize=10,
    )
    save(figure, path, dpi=80)
