"""Files that are there as a whole or not at all, whatever ends the process that writes them."""

import contextlib
import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Within it, write to the path that it yields; at its end that file is renamed to ``path``.

    A reader finds the old file or the new one, never half of one, even after a power failure: the
    content is on the disk before the name is. If the block fails, the old file stays and nothing
    else is left.

    Args:
        path: the file. Meanwhile ``<name>.partial`` lies beside it; so only one process may write
            it at a time, such as the one that holds the workdir.

    Raises:
        OSError: the file cannot be written (errno ENOSPC: no space).
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        yield temporary
        # An empty file has nothing to lose.
        if temporary.stat().st_size:
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Writes text in UTF-8, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Writes a CSV file, whole or not at all."""
    with (
        written_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows(rows)
