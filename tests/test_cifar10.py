"""CIFAR-10 read from a prepared folder, and prepared from an archive that a local server offers."""

import functools
import hashlib
import http.server
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from phash_jax.data import cifar10

PER_FILE = 12


def make_batches(seed: int = 0) -> dict[str, bytes]:
    """The six files of the official binary version, with fewer records and random pixels."""
    rng = np.random.default_rng(seed)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    files = {}
    for name in names:
        labels = rng.permutation(np.arange(PER_FILE) % 10).astype(np.uint8)
        planes = rng.integers(0, 256, (PER_FILE, 3072), np.uint8)
        files[name] = np.concatenate([labels[:, None], planes], axis=1).tobytes()
    return files


def write_archive(path: Path, files: dict[str, bytes], url: str = "") -> cifar10.Archive:
    """Packs ``files`` as the official archive does, and says what it is."""
    meta = "".join(f"{name}\n" for name in cifar10.CLASS_NAMES).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {**files, "batches.meta.txt": meta}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return describe(path, url)


def describe(path: Path, url: str) -> cifar10.Archive:
    content = path.read_bytes()
    return cifar10.Archive(url, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder, and the address under which a local server offers its files."""
    folder = tmp_path_factory.mktemp("served")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def official(served):
    """The archive as the server offers it."""
    folder, address = served
    url = f"{address}/{cifar10.ARCHIVE_NAME}"
    return write_archive(folder / cifar10.ARCHIVE_NAME, make_batches(), url)


def unreachable(archive: cifar10.Archive) -> cifar10.Archive:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return archive._replace(url=f"http://127.0.0.1:{port}/{cifar10.ARCHIVE_NAME}")


def prepare_from(archive: cifar10.Archive, monkeypatch):
    """Lets ``load`` prepare from ``archive`` where it would from the official one."""
    prepare = functools.partial(cifar10.prepare, archive=archive)
    monkeypatch.setattr(cifar10, "prepare", prepare)


def check(dataset):
    """The dataset is the archive's content, pixel by pixel, in the order of its files."""
    files = make_batches()
    for split, names in (("train", list(files)[:5]), ("test", list(files)[5:])):
        got = getattr(dataset, split)
        assert got.ids.tolist() == [f"{split}_{i:05d}" for i in range(PER_FILE * len(names))]
        records = np.frombuffer(b"".join(files[name] for name in names), np.uint8)
        records = records.reshape(-1, 3073)
        np.testing.assert_array_equal(got.labels, records[:, 0])
        for channel in range(3):
            plane = records[:, 1 + 1024 * channel : 1 + 1024 * (channel + 1)]
            np.testing.assert_array_equal(got.images[..., channel].reshape(-1, 1024), plane)
        assert got.images.dtype == np.uint8
        assert got.labels.dtype == np.int32
    assert dataset.class_names == cifar10.CLASS_NAMES


@pytest.fixture(scope="module")
def prepared(official, tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    cifar10.prepare(data_dir=str(root), archive=official)
    return root


def test_downloaded_and_prepared(prepared):
    check(cifar10.load(data_dir=str(prepared)))


def test_default_folder_is_that_of_tfds(prepared, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    check(cifar10.load(data_dir=""))
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tensorflow_datasets").symlink_to(prepared)
    check(cifar10.load(data_dir=""))


def test_stock_tfds_reads_the_prepared_folder(prepared):
    import tensorflow_datasets as tfds

    stock = tfds.builder("cifar10", data_dir=prepared)
    assert stock.info.features["label"].names == list(cifar10.CLASS_NAMES)
    source = tfds.data_source("cifar10", split="train", data_dir=prepared, download=False)
    ours = cifar10.load(data_dir=str(prepared)).train
    assert len(source) == len(ours) == 5 * PER_FILE
    ids = [example["id"].decode() for example in source]
    assert sorted(ids) == ours.ids.tolist()
    assert ids != ours.ids.tolist()  # Otherwise the order of the files is not put to the test.
    for example in source:
        position = int(example["id"][-5:])
        np.testing.assert_array_equal(example["image"], ours.images[position])
        assert example["label"] == ours.labels[position]


def test_version_and_archive_are_those_of_the_stock_builder():
    import tensorflow_datasets as tfds

    stock = tfds.builder_cls("cifar10")
    assert str(stock.VERSION) == cifar10.VERSION
    info = stock.url_infos[cifar10.OFFICIAL.url]
    assert (int(info.size), info.checksum, info.filename) == (
        cifar10.OFFICIAL.size,
        cifar10.OFFICIAL.sha256,
        cifar10.ARCHIVE_NAME,
    )


def run_python(code: str, *args: str, path: Path) -> subprocess.CompletedProcess:
    """Runs ``code`` where importing TensorFlow is an error, whether or not it is installed."""
    stub = path / "stub" / "tensorflow"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("raise RuntimeError('TensorFlow was imported')\n")
    repository = Path(cifar10.__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(stub.parent), str(repository)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


PREPARE = """
import sys
from phash_jax.data import cifar10
root, url, size, sha256 = sys.argv[1:]
cifar10.prepare(data_dir=root, archive=cifar10.Archive(url, int(size), sha256))
"""
LOAD = """
dataset = cifar10.load(data_dir=root)
assert len(dataset.train) == 60
assert "tensorflow" not in sys.modules
print("read without TensorFlow")
"""
KILLED = """
import os, signal
from PIL import Image
save = Image.Image.save
def save_five(*args, **kwargs):
    global saved
    saved += 1
    if saved > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    save(*args, **kwargs)
saved = 0
Image.Image.save = save_five
"""


def test_no_tensorflow_is_imported(official, tmp_path):
    done = run_python(PREPARE + LOAD, str(tmp_path / "data"), *map(str, official), path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "read without TensorFlow" in done.stdout
    assert "OpenCV" not in done.stderr


def test_a_run_killed_while_preparing_leaves_nothing_that_reads_as_prepared(official, tmp_path):
    root = tmp_path / "data"
    done = run_python(KILLED + PREPARE, str(root), *map(str, official), path=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = [path.name for path in (root / "cifar10").iterdir()]
    assert left
    assert cifar10.VERSION not in left
    # The archive was downloaded before: preparing needs no server any more.
    cifar10.prepare(data_dir=str(root), archive=official)
    check(cifar10.load(data_dir=str(root)))


def test_a_finished_download_is_used_without_network(official, tmp_path, monkeypatch):
    import requests

    cifar10.prepare(data_dir=str(tmp_path), archive=official)
    (tmp_path / "cifar10").rename(tmp_path / "lost")

    def no_network(*args, **kwargs):
        raise requests.ConnectionError("no network in this test")

    monkeypatch.setattr(requests.Session, "request", no_network)
    cifar10.prepare(data_dir=str(tmp_path), archive=official)
    check(cifar10.load(data_dir=str(tmp_path)))


@pytest.mark.parametrize("place", [".", "downloads/manual"])
def test_an_archive_in_the_folder_is_used_without_network(tmp_path, monkeypatch, place):
    here = write_archive(tmp_path / place / cifar10.ARCHIVE_NAME, make_batches())
    prepare_from(unreachable(here), monkeypatch)
    check(cifar10.load(data_dir=str(tmp_path)))


def test_without_network_one_error_says_what_to_do(official, tmp_path, monkeypatch):
    archive = unreachable(official)
    prepare_from(archive, monkeypatch)
    with pytest.raises(FileNotFoundError) as raised:
        cifar10.load(data_dir=str(tmp_path / "nowhere"))
    message = str(raised.value)
    for part in (
        str(tmp_path / "nowhere" / "cifar10" / "3.0.2"),
        f"{archive.url} cannot be reached",
        "Connection refused",
        "data.dir",
        "TFDS_DATA_DIR",
        f"put cifar-10-binary.tar.gz (from {archive.url}) into {tmp_path / 'nowhere'}",
    ):
        assert part in message
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_page_is_named(served, official, tmp_path):
    missing = official._replace(url=f"{served[1]}/other.tar.gz")
    with pytest.raises(FileNotFoundError, match=r"other.tar.gz cannot be reached \(404"):
        cifar10.prepare(data_dir=str(tmp_path), archive=missing)


def test_a_folder_that_cannot_be_written_is_named(official, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FileNotFoundError, match=r"could not be prepared there: .*file"):
        cifar10.prepare(data_dir=str(tmp_path / "file"), archive=official)


def test_a_damaged_download_is_not_prepared_and_a_retry_works(served, official, tmp_path):
    whole = (served[0] / cifar10.ARCHIVE_NAME).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    (served[0] / "archive.tar.gz").write_bytes(damaged)
    archive = official._replace(url=f"{served[1]}/archive.tar.gz")
    with pytest.raises(ValueError, match=r"archive.tar.gz is not the archive expected, of \d+ by"):
        cifar10.prepare(data_dir=str(tmp_path), archive=archive)
    assert not (tmp_path / "cifar10" / cifar10.VERSION).exists()
    assert not [path for path in (tmp_path / "downloads").rglob("*") if path.is_file()]
    (served[0] / "archive.tar.gz").write_bytes(whole)
    cifar10.prepare(data_dir=str(tmp_path), archive=archive)
    check(cifar10.load(data_dir=str(tmp_path)))


def test_a_download_cut_short_is_not_prepared_and_a_retry_works(official, tmp_path):
    """A server that promises the whole archive, closes after half of it, and is mended later."""
    content = write_archive(tmp_path / "copy.tar.gz", make_batches())
    whole = (tmp_path / "copy.tar.gz").read_bytes()
    length = [len(whole) // 2]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(whole[: length[0]])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            archive = content._replace(url=f"http://127.0.0.1:{server.server_port}/a.tar.gz")
            with pytest.raises(FileNotFoundError, match=r"the download of .*a.tar.gz failed \(In"):
                cifar10.prepare(data_dir=str(tmp_path / "data"), archive=archive)
            assert not (tmp_path / "data" / "cifar10" / cifar10.VERSION).exists()
            length[0] = len(whole)
            cifar10.prepare(data_dir=str(tmp_path / "data"), archive=archive)
        finally:
            server.shutdown()
            thread.join()
    check(cifar10.load(data_dir=str(tmp_path / "data")))


def test_another_archive_in_the_folder_is_refused(official, tmp_path):
    path = tmp_path / cifar10.ARCHIVE_NAME
    write_archive(path, make_batches(seed=1))
    with pytest.raises(ValueError, match=r"is not the archive expected.*replace the file") as error:
        cifar10.prepare(data_dir=str(tmp_path), archive=official)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_batch_3.bin": None}, r"holds no cifar-10-batches-bin/data_batch_3.bin"),
        ({"test_batch.bin": b"\0" * 3074}, r"test_batch.bin in .* has 3074 bytes, not a multiple"),
    ],
)
def test_an_archive_of_another_layout_is_refused(served, tmp_path, change, message):
    files = {name: c for name, c in {**make_batches(), **change}.items() if c is not None}
    archive = write_archive(tmp_path / cifar10.ARCHIVE_NAME, files, f"{served[1]}/not-used")
    with pytest.raises(ValueError, match=message):
        cifar10.prepare(data_dir=str(tmp_path), archive=archive)
    assert not (tmp_path / "cifar10" / cifar10.VERSION).exists()


def test_something_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / cifar10.ARCHIVE_NAME
    path.write_text("<html>Please log in</html>")
    archive = describe(path, "http://127.0.0.1/not-used")
    with pytest.raises(ValueError, match=r"is damaged \(.*gzip.*\); delete it and run again"):
        cifar10.prepare(data_dir=str(tmp_path), archive=archive)


def copy_prepared(prepared: Path, root: Path) -> Path:
    folder = root / "cifar10" / cifar10.VERSION
    folder.mkdir(parents=True)
    for path in (prepared / "cifar10" / cifar10.VERSION).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("lost", ["dataset_info.json", "features.json", "*train.array_record*"])
def test_a_folder_that_lacks_files_is_prepared_anew(
    prepared, official, tmp_path, monkeypatch, caplog, lost
):
    folder = copy_prepared(prepared, tmp_path)
    for path in folder.glob(lost):
        path.unlink()
    prepare_from(official, monkeypatch)
    check(cifar10.load(data_dir=str(tmp_path)))
    assert f"{folder} lacks files: moved to" in caplog.text


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def blacken(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[: middle - 500] + bytes(1000) + content[middle + 500 :]


@pytest.mark.parametrize("damage", [cut, blacken])
def test_a_damaged_prepared_folder_is_named(prepared, tmp_path, damage):
    folder = copy_prepared(prepared, tmp_path)
    (shard,) = folder.glob("*train.array_record*")
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ValueError, match=r"is damaged \(.*\); delete the folder and run") as error:
        cifar10.load(data_dir=str(tmp_path))
    assert str(folder) in str(error.value)


def test_a_folder_in_another_format_is_named(prepared, tmp_path):
    folder = copy_prepared(prepared, tmp_path)
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    for path in folder.glob("*array_record*"):
        path.rename(str(path).replace("array_record", "tfrecord"))
    with pytest.raises(ValueError, match=r"is prepared as tfrecord.*data.dir"):
        cifar10.load(data_dir=str(tmp_path))


def test_the_real_one(real_cifar10):
    """What anyone who has the 60,000 images can check: the first labels and the counts."""
    dataset = real_cifar10
    first = [dataset.class_names[label] for label in dataset.train.labels[:10]]
    assert first == [
        "frog",
        "truck",
        "truck",
        "deer",
        "automobile",
        "automobile",
        "bird",
        "horse",
        "ship",
        "cat",
    ]
    assert dataset.train.images.shape == (50_000, 32, 32, 3)
    assert dataset.test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(dataset.train.labels).tolist() == [5000] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert (dataset.train.ids[16399], dataset.test.ids[0]) == ("train_16399", "test_00000")
