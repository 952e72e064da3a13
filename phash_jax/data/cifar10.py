"""CIFAR-10 through tensorflow_datasets, in the official order, without TensorFlow.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The folder read and
written is the one of tensorflow-datasets 4.9.10, cifar10 3.0.2, in ArrayRecord files.
"""

import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging
from jaxtyping import Integer, UInt8
from PIL import Image
from tqdm import tqdm

from phash_jax.data.dataset import Dataset, Split

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

VERSION = "3.0.2"


class Archive(NamedTuple):
    """What to download, and how to know that it arrived whole.

    Attributes:
        url: address of the "binary version" of CIFAR-10.
        size: bytes.
        sha256: hexadecimal digest of the file.
    """

    url: str
    size: int
    sha256: str


OFFICIAL = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    size=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
ARCHIVE_NAME = "cifar-10-binary.tar.gz"

# Files of the archive, in the order that the TFDS ids count in.
_SPLIT_FILES = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}
_SIDE = 32
_RECORD_BYTES = 1 + 3 * _SIDE * _SIDE


def load(*, data_dir: str) -> Dataset:
    """All ten classes, read from a prepared folder, which is made first where there is none.

    Args:
        data_dir: folder that holds or will hold ``cifar10/3.0.2``. Empty: the variable
            ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``, as in TFDS itself.

    Returns:
        uint8 ``[50000, 32, 32, 3]`` and ``[10000, 32, 32, 3]`` images in the order of the official
        batch files, with the ids of TFDS: image ``i`` of the training split is ``train_{i:05d}``.

    Raises:
        FileNotFoundError: not prepared, and the archive is neither there nor downloadable.
        ValueError: the archive or the prepared folder is damaged, or in a format other than
            ArrayRecord.
    """
    root = _root(data_dir)
    folder = root / "cifar10" / VERSION
    if not _is_prepared(folder):
        prepare(data_dir=str(root))
    return _read(folder)


def _root(data_dir: str) -> Path:
    default = os.path.join("~", "tensorflow_datasets")
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or default).expanduser().absolute()


def _is_prepared(folder: Path) -> bool:
    """True where the description and every file it names are there, if perhaps damaged."""
    import tensorflow_datasets as tfds

    try:
        for name in ("dataset_info.json", "features.json"):
            json.loads((folder / name).read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    splits = tfds.builder_from_directory(folder).info.splits
    return set(splits) >= set(_SPLIT_FILES) and all(
        Path(path).is_file() for split in _SPLIT_FILES for path in splits[split].filepaths
    )


def _read(folder: Path) -> Dataset:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    file_format = builder.info.file_format.value
    if file_format != "array_record":
        raise ValueError(
            f"{folder} is prepared as {file_format}, which only TensorFlow reads; name another "
            "folder in the config field data.dir, and CIFAR-10 is prepared there as array_record"
        )
    try:
        return Dataset(_read_split(builder, "train"), _read_split(builder, "test"), CLASS_NAMES)
    # array_record reports damage as RuntimeError, IndexError or ValueError of its C++ layer, the
    # parser of the records as its own errors, Pillow as OSError or SyntaxError.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{folder} is damaged ({reason}); delete the folder and run again to prepare it anew"
        ) from error


def _read_split(builder, name: str) -> Split:
    import tensorflow_datasets as tfds

    # Decoding is left to Pillow here: TFDS would do the same and ask for OpenCV in the log.
    source = builder.as_data_source(name, decoders={"image": tfds.decode.SkipDecoding()})
    num_images = len(source)
    if num_images != builder.info.splits[name].num_examples:
        raise ValueError(
            f"{num_images} {name} images, {builder.info.splits[name].num_examples} wanted"
        )
    images = np.zeros((num_images, _SIDE, _SIDE, 3), np.uint8)
    labels = np.full(num_images, -1, np.int32)
    progress = tqdm(total=num_images, desc=f"CIFAR-10 {name}", unit="image", disable=None)
    chunk = 1000
    with progress:
        for start in range(0, num_images, chunk):
            examples = source.__getitems__(range(start, min(start + chunk, num_images)))
            for example in examples:
                # TFDS writes the images shuffled; the id is the place in the official files.
                position = int(example["id"].decode().removeprefix(f"{name}_"))
                images[position] = np.asarray(Image.open(io.BytesIO(example["image"])))
                labels[position] = example["label"]
            progress.update(len(examples))
    if num_images and labels.min() < 0:
        raise ValueError(f"{name} image {int(labels.argmin())} is missing")
    return Split(images, labels, np.array([f"{name}_{i:05d}" for i in range(num_images)]))


def prepare(*, data_dir: str, archive: Archive = OFFICIAL) -> None:
    """Writes the folder ``cifar10/3.0.2`` of TFDS, which its stock builder reads as its own.

    The archive is taken from ``<data_dir>/cifar-10-binary.tar.gz`` or
    ``<data_dir>/downloads/manual/cifar-10-binary.tar.gz`` if it is there, else from an earlier
    download, else it is downloaded; its size and checksum must be those of ``archive``. The folder
    appears under its name only when it is complete, so a killed run leaves nothing that reads as
    prepared. A folder of that name that lacks files is moved aside.

    Args:
        data_dir: as in ``load``.
        archive: the archive to prepare from.

    Raises:
        FileNotFoundError: the archive is neither there nor downloadable, or ``data_dir`` is not
            writable.
        ValueError: the archive is not the one expected.
    """
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    root = _root(data_dir)
    folder = root / "cifar10" / VERSION

    def not_found(cause: Exception | str) -> FileNotFoundError:
        return FileNotFoundError(
            f"CIFAR-10 is not in {folder} and could not be prepared there: {cause}. Either name "
            "a writable folder, or one that holds a prepared cifar10, in the config field data.dir "
            f"or the variable TFDS_DATA_DIR, or put {ARCHIVE_NAME} (from {archive.url}) into "
            f"{root} and run again"
        )

    given = [root / ARCHIVE_NAME, root / "downloads" / "manual" / ARCHIVE_NAME]
    given = [path for path in given if path.is_file()]
    if not given and not _is_downloaded(root, archive):
        # TFDS tries ten times with growing pauses, minutes in all, before it says that there is
        # no network.
        try:
            requests.head(archive.url, allow_redirects=True, timeout=20).raise_for_status()
        except requests.RequestException as error:
            raise not_found(f"{archive.url} cannot be reached ({_cause(error)})") from error
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Another run may have prepared it since this one looked.
        if _is_prepared(folder):
            return
        if folder.exists():
            aside = tempfile.mkdtemp(prefix="incomplete.", dir=folder.parent)
            logging.warning("%s lacks files: moved to %s and prepared anew", folder, aside)
            folder.rename(aside)
        if not sys.stderr.isatty():
            tfds.disable_progress_bar()
        _make_builder(root, archive).download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=given[0].parent if given else None,
                try_download_gcs=False,
            ),
            file_format="array_record",
        )
    except NonMatchingChecksumError as error:
        _remove_partial_downloads(root, archive)
        source, remedy = (given[0], "replace the file") if given else (archive.url, "run again")
        raise ValueError(
            f"{source} is not the archive expected, of {archive.size} bytes and SHA-256 "
            f"{archive.sha256}: damaged, cut short or another file; nothing was prepared, {remedy}"
        ) from error
    except (requests.RequestException, tfds.download.DownloadError) as error:
        _remove_partial_downloads(root, archive)
        raise not_found(f"the download of {archive.url} failed ({_cause(error)})") from error
    except OSError as error:
        # Another run that prepared the same folder meanwhile has put its own in place.
        if not _is_prepared(folder):
            # Not chained: a full disk would be reported as the workdir's.
            raise not_found(error) from None


def _cause(error: BaseException) -> str:
    """The innermost reason, short: requests wraps it in three layers of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _download_name(archive: Archive) -> str:
    from tensorflow_datasets.core.download import resource

    return resource.get_dl_fname(archive.url, archive.sha256)


def _is_downloaded(root: Path, archive: Archive) -> bool:
    return any((root / "downloads").rglob(_download_name(archive)))


def _remove_partial_downloads(root: Path, archive: Archive) -> None:
    """Frees what TFDS leaves of a failed download, up to 170 MB each time."""
    from tensorflow_datasets.core.download import resource

    for path in (root / "downloads").rglob(f"{resource.get_dl_fname(archive.url)}.tmp.*"):
        shutil.rmtree(path, ignore_errors=True)


def _make_builder(root: Path, archive: Archive):
    """The stock builder, with tarfile and Pillow where it calls TensorFlow."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.checksums import UrlInfo

    class Cifar10(tfds.builder_cls("cifar10"), skip_registration=True):
        # The name by which TFDS finds the archive in manual_dir.
        url_infos = {archive.url: UrlInfo(archive.size, archive.sha256, ARCHIVE_NAME)}  # noqa: RUF012

        def _split_generators(self, dl_manager):
            path = Path(dl_manager.download(archive.url))
            self.info.features["label"].names = CLASS_NAMES
            splits = _read_archive(path)
            return {name: self._generate_examples(name, *splits[name]) for name in splits}

        def _generate_examples(self, split, images, labels):
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                # The key decides where TFDS puts the image: the stock builder's is the number.
                yield (
                    i,
                    {
                        "id": f"{split}_{i:05d}",
                        "image": Image.fromarray(image),
                        "label": int(label),
                    },
                )

    return Cifar10(data_dir=str(root))


def _read_archive(
    path: Path,
) -> dict[str, tuple[UInt8[np.ndarray, "n 32 32 3"], Integer[np.ndarray, " n"]]]:
    """Images and labels of both splits, in the order of the files.

    A record is one byte of label and 3072 of image: three planes, red first, each by rows.
    """
    contents = {}
    wanted = {name for names in _SPLIT_FILES.values() for name in names}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                if member.isfile() and member.name in wanted:
                    contents[member.name] = tar.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run again") from error

    splits = {}
    for split, names in _SPLIT_FILES.items():
        for name in names:
            if name not in contents:
                raise ValueError(f"{path} holds no {name}: it is not the binary version")
            if len(contents[name]) % _RECORD_BYTES:
                raise ValueError(
                    f"{name} in {path} has {len(contents[name])} bytes, "
                    f"not a multiple of {_RECORD_BYTES}: it is not the binary version"
                )
        records = np.frombuffer(b"".join(contents[name] for name in names), np.uint8)
        records = records.reshape(-1, _RECORD_BYTES)
        planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
        splits[split] = (np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0])
    return splits
