"""Matplotlib figures without a display: made, and written as a whole or not at all."""

import warnings
from pathlib import Path

from phash_jax.whole_files import written_whole


def new_figure(width: float, height: float, *, layout: str | None = "constrained"):
    """A figure of so many inches; ``layout`` is Matplotlib's."""
    # Takes a second to load, and most of what is imported with this draws nothing.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def as_written(artist) -> None:
    """Draws every text of a figure, or a part of it, literally: names may hold ``$`` and ``_``."""
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        text.set_parse_math(False)


def save(figure, path: Path, *, dpi: int) -> None:
    """Writes a figure as PNG, its texts ``as_written``; makes the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    as_written(figure)
    with warnings.catch_warnings(), written_whole(path) as temporary:
        # A name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph ")
        figure.savefig(temporary, dpi=dpi, format="png")
