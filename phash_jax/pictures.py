"""Picture files of any kind, found in a folder and decoded by threads as ImageHash sees them."""

import contextlib
import os
import re
import stat
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

# Most that decoding and a first conversion take at a time, all threads together. A picture that
# needs more is decoded while no other is.
_DECODING_BYTES = 512 * 2**20
# Up to four channels, a gray copy and the array that is handed on.
_BYTES_PER_PIXEL = 8
# Pillow hands these to Ghostscript, a program that runs what the file says.
_EXECUTED_FORMATS = ("EPS",)


class PictureFile(NamedTuple):
    r"""A file that may be a picture.

    Attributes:
        address: path relative to the folder searched, with forward slashes. Bytes that are not
            UTF-8 are written as ``\xNN``.
        path: where to open it.
        num_bytes: its size.
        modified: time of its last change, nanoseconds.
        problem: why it cannot be opened; empty otherwise.
    """

    address: str
    path: str
    num_bytes: int = 0
    modified: int = 0
    problem: str = ""


class Picture(NamedTuple):
    """What came of one file.

    Attributes:
        value: what ``prepare`` returned, or None.
        problem: why the picture cannot be read; empty otherwise.
        warnings: what Pillow remarked about a picture that can be read.
    """

    value: Any
    problem: str
    warnings: tuple[str, ...]


def find(root: str, *, leave_out: Path | None = None) -> list[PictureFile]:
    """All files in a folder and its subfolders, in the order of their addresses.

    Whether a file is a picture is decided when it is opened. Names that begin with a dot are passed
    over, and so are folders with the results of the job hash_images. What cannot be opened at all
    (a link to nothing or to a folder, a folder that may not be listed, a named pipe) is in the
    list, with its problem.

    Args:
        root: the folder.
        leave_out: a folder inside that is passed over, such as the one results go to.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no name, the name of a file, or a folder without any file.
    """
    if not root:
        raise ValueError(
            "pictures.path is empty: name a folder with pictures, --config.pictures.path=FOLDER"
        )
    top = Path(root).expanduser()
    if not top.exists():
        raise FileNotFoundError(f"pictures.path {root} does not exist: name a folder with pictures")
    if not top.is_dir():
        raise ValueError(f"pictures.path {root} is a file: name the folder that it lies in")
    files = []

    def note_folder(error: OSError) -> None:
        files.append(_named(top, error.filename, f"folder cannot be listed: {error.strerror}"))

    for folder, subfolders, names in os.walk(top, onerror=note_folder):
        for name in list(subfolders):
            path = os.path.join(folder, name)
            if name.startswith("."):
                subfolders.remove(name)
            elif os.path.islink(path):
                files.append(_named(top, path, "link to a folder, which is not followed"))
            elif _holds_results(path) or (
                leave_out is not None and Path(path).resolve() == leave_out.resolve()
            ):
                subfolders.remove(name)
        files += [_looked_up(top, os.path.join(folder, name)) for name in names if name[0] != "."]
    if not files:
        raise ValueError(
            f"pictures.path {root} holds no file, nor do its subfolders (names that begin with a "
            "dot are passed over): name a folder with pictures"
        )
    return sorted(files, key=lambda file: file.address)


def _holds_results(folder: str) -> bool:
    """Whether an earlier run of the job hash_images has left its files there."""
    return all(
        os.path.isfile(os.path.join(folder, name)) for name in ("config.json", "pictures.json")
    )


def readable(path: str) -> str:
    """The name of a file as text; bytes that are not UTF-8 become backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _named(top: Path, path: str, problem: str) -> PictureFile:
    relative = readable(os.path.relpath(path, top))
    return PictureFile(relative.replace(os.sep, "/"), path, problem=problem)


def _looked_up(top: Path, path: str) -> PictureFile:
    file = _named(top, path, "")
    try:
        status = os.stat(path)
    except OSError as error:
        broken = os.path.islink(path) and isinstance(error, FileNotFoundError)
        return file._replace(problem="link to nothing" if broken else _reason(error))
    if not stat.S_ISREG(status.st_mode):
        return file._replace(problem="neither a file nor a folder")
    return file._replace(num_bytes=status.st_size, modified=status.st_mtime_ns)


class _Budget:
    """Bytes that threads share: taken before work, given back after it."""

    def __init__(self, total: int):
        self._total, self._taken, self._changed = total, 0, threading.Condition()

    @contextlib.contextmanager
    def take(self, amount: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + amount <= self._total)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()


def safe_formats() -> list[str]:
    """Names of the formats that Pillow reads by itself."""
    Image.init()
    return [name for name in Image.ID if name not in _EXECUTED_FORMATS]


@contextlib.contextmanager
def reading(
    files: Sequence[PictureFile],
    prepare: Callable[[Image.Image], Any],
    *,
    threads: int,
    max_pixels: int,
) -> Iterator[Iterator[Picture]]:
    """Opens the files in threads and yields what came of them, one by one, in their order.

    A picture is the first frame of its file, as stored: what EXIF says of its orientation is not
    applied. At most two files per thread are read ahead of what was asked for, so that memory
    stays as it is however many there are.

    Args:
        files: what ``find`` returned, or some of it.
        prepare: called in a thread with the opened image, not yet decoded.
        threads: files decoded at a time.
        max_pixels: pictures with more pixels are a problem and not decoded.
    """
    budget, remarks = _Budget(_DECODING_BYTES), threading.local()
    formats = safe_formats()

    def read(file: PictureFile) -> Picture:
        if file.problem:
            return Picture(None, file.problem, ())
        remarks.texts = []
        try:
            with Image.open(file.path, formats=formats) as image:
                # Not every format has its pixels counted by Pillow when it is opened.
                if image.width * image.height > max_pixels:
                    raise Image.DecompressionBombError(f"({image.width * image.height} pixels)")
                with budget.take(image.width * image.height * _BYTES_PER_PIXEL):
                    value = prepare(image)
        # Pillow's decoders raise errors of many kinds: OSError, SyntaxError, struct.error, ...
        except Exception as error:
            return Picture(None, _reason(error, file=file, max_pixels=max_pixels), ())
        return Picture(value, "", tuple(dict.fromkeys(remarks.texts)))

    def stream(pool: ThreadPoolExecutor) -> Iterator[Picture]:
        ahead = deque()
        for file in files:
            ahead.append(pool.submit(read, file))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    pool = ThreadPoolExecutor(threads)
    with _pillow_set_up(max_pixels, remarks):
        try:
            yield stream(pool)
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _pillow_set_up(max_pixels: int, remarks: threading.local) -> Iterator[None]:
    """Pillow's limit of pixels, and its warnings caught for the thread that they are raised in."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        # Filters of warnings are shared by all threads, so they are set once, outside.
        with warnings.catch_warnings():
            show = warnings.showwarning

            def note(message, category, *where, **more) -> None:
                if hasattr(remarks, "texts"):
                    remarks.texts.append(" ".join(str(message).split()))
                else:
                    show(message, category, *where, **more)

            warnings.showwarning = note
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _reason(error: Exception, *, file: PictureFile | None = None, max_pixels: int = 0) -> str:
    """One line that says what is wrong, without the path."""
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        found = f"{int(pixels[1]):,}" if pixels else "more"
        return f"decompression bomb: {found} pixels, pictures.max_pixels is {max_pixels:,}"
    if isinstance(error, UnidentifiedImageError):
        return (
            "not a picture, or of a kind that is not read"
            if file and file.num_bytes
            else "empty file"
        )
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
