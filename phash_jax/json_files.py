"""JSON, and JSON lines: written whole or not at all; a damaged file is named when it is read."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from phash_jax.errors import listed
from phash_jax.whole_files import written_whole

_WITHOUT_IT = "take the line out, or start again in another --workdir"


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


def read_lines(path: Path, *, then: str) -> list[dict[str, Any]]:
    """The records of a file of JSON lines, none where there is no file.

    A last line that is not JSON, which a crash has cut, is left out.

    Args:
        path: the file.
        then: what to do where it is damaged, for the message.

    Raises:
        ValueError: the file is damaged before its last line.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise damaged(path, error, then) from error
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            raise damaged(path, f"line {number} is not JSON: {error}", then) from error
        if not isinstance(record, dict):
            raise damaged(path, f"line {number} is not a record", then)
        records.append(record)
    return records


def rewrite_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes JSON lines in place of a file's, so that a reader finds all the old or all the new."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def read_lines_by(
    path: Path, field: str, *others: str, is_whole: Callable[[dict[str, Any]], bool]
) -> dict[str, dict[str, Any]]:
    """The records of a file to be continued, by a field; none where there is no file.

    A last line that a crash cut short is removed, since it would spoil the next.

    Args:
        path: JSON lines.
        field: the key of each record.
        others: fields that each record has besides.
        is_whole: whether a record's fields hold what they should; may raise KeyError, TypeError or
            ValueError where they do not.

    Raises:
        ValueError: the file is damaged before its last line.
    """
    records = read_lines(path, then=_WITHOUT_IT)
    for number, record in enumerate(records, 1):
        if lacking := {field, *others} - record.keys():
            raise damaged(path, f"a record has no {listed(sorted(lacking))}", _WITHOUT_IT)
        try:
            whole = isinstance(record[field], str) and is_whole(record)
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise damaged(path, f"record {number} is not one of this run", _WITHOUT_IT)
    rewrite_lines(path, records)
    return {record[field]: record for record in records}


def append_line(file: TextIO, record: dict[str, Any]) -> None:
    """Adds one JSON line, on disk when this returns."""
    file.write(json.dumps(record) + "\n")
    file.flush()
    os.fsync(file.fileno())
