"""A user's own words in a report, with their pictures."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit


def read_notes(notes: Path) -> tuple[str, dict[str, Path]]:
    """The text with its pictures in ``figures/``, and where each of these is to be copied from.

    Args:
        notes: a Markdown file. Its pictures are beside it, or on the web, where they stay.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not text, or a picture that it shows is not there.
    """
    try:
        text = notes.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{notes} is not UTF-8 text: {error}") from error
    pictures: dict[str, Path] = {}

    def moved(match: re.Match) -> str:
        before, address, after = match.groups()
        if urlsplit(address).scheme:
            return match[0]
        path = notes.parent / unquote(address)
        if not path.is_file():
            raise ValueError(f"{notes} shows {address}, but there is no such file beside it")
        name = f"notes_{len(pictures) + 1}{path.suffix}"
        pictures[name] = path
        return f"{before}figures/{name}{after}"

    return re.sub(r"(!\[[^\]]*\]\()([^)\s]+)([^)]*\))", moved, text), pictures
