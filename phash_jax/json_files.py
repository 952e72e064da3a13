"""JSON files: written whole or not at all; a damaged one is named when it is read."""

import json
from pathlib import Path
from typing import Any

from phash_jax.whole_files import written_whole


def write_json(path: Path, value: Any) -> None:
    """Writes JSON so that a reader finds the old file or the new one, never half of one."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, allow_nan=False)
        file.write("\n")


def damaged(path: Path, reason: object, then: str) -> ValueError:
    """The error to raise for a file that cannot be read, with what to do about it."""
    return ValueError(f"{path} is damaged ({reason}): {then}")


def read_json(path: Path, kind: type, *, then: str) -> Any:
    """The value of a JSON file.

    Args:
        path: the file.
        kind: dict or list, what it must hold.
        then: what to do where it is damaged, for the message.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged, or holds something else; the message names it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    # Not JSON, not UTF-8, or so deep that the parser gives up.
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, then) from error
    if not isinstance(value, kind):
        raise damaged(path, f"it holds a {type(value).__name__}, not a {kind.__name__}", then)
    return value
