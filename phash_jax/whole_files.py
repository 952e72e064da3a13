"""Files that are there as a whole or not at all, whatever ends the process that writes them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Within it the content is written under the name that it gives; then it takes ``path``.

    A reader finds the old file or the new one, never half of one, and so does who starts after a
    power failure: what was written is on the disk before the name is. Where the block fails, the
    old file stays and nothing else is left.

    Args:
        path: the file. Beside it lies meanwhile the one to write, ``<name>.partial``; so only one
            process may write it at a time, such as the one that holds the workdir.

    Raises:
        OSError: the file cannot be written, errno ENOSPC for want of space.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        yield temporary
        # Of nothing, nothing can be lost.
        if temporary.stat().st_size:
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
