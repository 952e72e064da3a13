"""The Parquet catalog, queries on it, and the job that catalogs a dataset."""

import contextlib
import dataclasses
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import forked
import numpy as np
import pytest
from conftest import load_config
from etils import epath
from PIL import Image

from phash_jax import catalog, catalog_dataset, codes, padding
from phash_jax.data.load import load_dataset
from phash_jax.hashing import dhash
from phash_jax.padding import padded
from phash_jax.report import report

ROOT = Path(__file__).parent.parent


def make_columns(first: int, count: int) -> dict[str, np.ndarray]:
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return {
        "ImageID": np.array([f"id_{n}" for n in numbers], object),
        "phash": numbers + np.uint64(2**63),
    }


def make_config(**fields):
    config = load_config("catalog")
    config.data.image_size = 16
    config.data.train_size, config.data.test_size = 70, 20
    config.update_from_flattened_dict(fields)
    return config


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(catalog_dataset, "_PART_SIZE", 30)


def test_parts_become_one_catalog_in_their_order(tmp_path):
    assert catalog.parts_done(tmp_path) == set()
    catalog.write_part(tmp_path, 1, make_columns(5, 3))
    catalog.write_part(tmp_path, 0, make_columns(0, 5))
    # What a run leaves that was killed while it wrote.
    (tmp_path / "parts" / "part-000002.parquet.partial").write_bytes(b"PAR1")
    assert catalog.parts_done(tmp_path) == {0, 1}
    assert not catalog.is_finished(tmp_path)
    path = catalog.finish(tmp_path)
    read = catalog.read_columns(path, ["phash", "ImageID"])
    assert read["ImageID"].tolist() == [f"id_{n}" for n in range(8)]
    assert read["phash"].dtype == np.uint64
    assert read["phash"].tolist() == [n + 2**63 for n in range(8)]
    assert not (tmp_path / "parts").exists()
    assert catalog.finish(tmp_path) == path


def test_the_same_parts_give_the_same_bytes(tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        catalog.write_part(folder, 0, make_columns(0, 5))
        catalog.write_part(folder, 1, make_columns(0, 0))
        catalog.finish(folder)
    assert (tmp_path / "a/catalog.parquet").read_bytes() == (
        tmp_path / "b/catalog.parquet"
    ).read_bytes()


@pytest.mark.parametrize(
    ("shape", "names"), [((8, 8), ["h"]), ((14, 3), ["h"]), ((12, 12), ["h_0", "h_1", "h_2"])]
)
def test_hashes_are_the_integers_of_their_text(shape, names):
    bits = np.random.default_rng(0).integers(0, 2, (6, *shape)).astype(bool)
    columns = catalog.hash_columns("h", bits)
    assert list(columns) == names
    for row in range(6):
        value = 0
        for column in columns.values():
            value = value << 64 | int(column[row])
        assert value == codes.to_int(bits[row])
    assert all(len(c) == 0 for c in catalog.hash_columns("h", bits[:0]).values())


def test_the_hamming_distance_in_sql(tmp_path):
    values = np.array([0, 1, 2**63, 2**64 - 1, 0xFEFC1800C05C0737], np.uint64)
    catalog.write_part(tmp_path, 0, {"h": values})
    connection = catalog.connect(catalog.finish(tmp_path))
    rows = connection.execute("SELECT a.h, b.h, hamming(a.h, b.h) FROM images a, images b")
    for left, right, distance in rows.fetchall():
        assert distance == (left ^ right).bit_count()


def test_distances_of_several_columns_add_up(tmp_path):
    # Each is 64, the sum more than a byte with a sign holds.
    hashes = np.stack([np.zeros((16, 16), bool), np.ones((16, 16), bool)])
    columns = {"ImageID": np.array(["a", "b"], object)} | catalog.hash_columns("phash", hashes)
    catalog.write_part(tmp_path, 0, columns)
    catalog.finish(tmp_path)
    distances = " + ".join(f"hamming(a.{name}, b.{name})" for name in columns if name != "ImageID")
    query = f"SELECT {distances} FROM images a, images b WHERE a.ImageID < b.ImageID"
    with catalog.connect(tmp_path) as connection:
        assert connection.execute(query).fetchone() == (256,)
        (kind,) = connection.execute("SELECT typeof(hamming(1::UBIGINT, 0::UBIGINT))").fetchone()
    assert kind == "INTEGER"


def test_images_that_are_large_together_are_hashed_in_batches(tmp_path, monkeypatch):
    config = load_config("catalog")
    config.data.update({"train_size": 7, "test_size": 3, "image_size": 16})
    config.hash.names = "average_hash,whash"
    catalog_dataset.run(config, tmp_path / "at_once")
    monkeypatch.setattr(catalog_dataset, "_BATCH_BYTES", 3 * 16 * 16 * 3)
    sizes = []
    monkeypatch.setattr(
        padding, "padded", lambda images, count: sizes.append(count) or padded(images, count)
    )
    catalog_dataset.run(config, tmp_path / "in_batches")
    assert sizes == [3, 3, 3, 3]
    columns = ["ImageID", "average_hash", "whash", "fragile"]
    at_once, in_batches = (
        catalog.read_columns(tmp_path / name / "catalog.parquet", columns)
        for name in ("at_once", "in_batches")
    )
    for name in columns:
        np.testing.assert_array_equal(at_once[name], in_batches[name])


def test_a_query_changes_nothing(tmp_path):
    catalog.write_part(tmp_path, 0, make_columns(0, 5))
    path = catalog.finish(tmp_path)
    before = path.read_bytes()
    for sql in (
        f"COPY (SELECT 1) TO '{path}'",
        "SET enable_external_access = true",
        f"SELECT * FROM '{path}'",
    ):
        with pytest.raises(ValueError, match="DuckDB: "):
            catalog.query(tmp_path, sql)
    assert path.read_bytes() == before
    assert "5" in catalog.query(tmp_path, "SELECT count(*) FROM images")


def test_a_query_prints_a_table(tmp_path):
    catalog.write_part(tmp_path, 0, make_columns(9, 2))
    catalog.finish(tmp_path)
    assert catalog.query(tmp_path, "SELECT ImageID, length(ImageID) AS n FROM images") == (
        "ImageID  n\n-------  -\nid_9     4\nid_10    5"
    )
    assert catalog.query(tmp_path, "SELECT ImageID FROM images WHERE false") == "ImageID\n-------"


def test_a_result_that_nobody_reads_is_refused_soon(tmp_path):
    catalog.write_part(tmp_path, 0, make_columns(0, 1000))
    catalog.finish(tmp_path)
    tables = "images a, images b, images c"
    with pytest.raises(ValueError, match="more than 100,000 rows: add LIMIT"):
        catalog.query(tmp_path, f"SELECT a.ImageID FROM {tables}")
    assert len(catalog.query(tmp_path, f"SELECT 1 FROM {tables} LIMIT 100000").splitlines()) == (
        100_000 + 2
    )


def test_hashes_are_written_as_imagehash_writes_them(tmp_path):
    columns = {
        "ImageID": np.array(["zero", "odd\nname\u202e", "high"], object),
        "phash": np.array([0, 10, 2**63 + 1], np.uint64),
    }
    catalog.write_part(tmp_path, 0, columns)
    catalog.finish(tmp_path)
    lines = catalog.query(tmp_path, "SELECT ImageID, hash_hex(phash) FROM images").splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["zero", "0000000000000000"],
        [r"odd\nname\u202e", "000000000000000a"],
        ["high", "8000000000000001"],
    ]
    shorter = "SELECT hash_hex(phash, digits := 11) FROM images ORDER BY phash LIMIT 2"
    assert catalog.query(tmp_path, shorter).split()[-2:] == ["00000000000", "0000000000a"]


def test_what_cannot_be_queried_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no catalog .*; configs/catalog\.py and"):
        catalog.query(tmp_path, "SELECT 1")
    catalog.write_part(tmp_path, 0, make_columns(0, 5))
    with pytest.raises(FileNotFoundError, match="only parts of one: start its command again"):
        catalog.query(tmp_path, "SELECT 1")
    path = catalog.finish(tmp_path)
    with pytest.raises(ValueError, match=r"DuckDB: (?s:.)*nope"):
        catalog.query(tmp_path, "SELECT nope FROM images")
    with pytest.raises(ValueError, match=r"^the query is empty: "):
        catalog.query(tmp_path, " ; ")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="is damaged or not a Parquet file"):
        catalog.query(tmp_path, "SELECT 1")


def test_a_wrong_query_ends_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "phash_jax.catalog", str(tmp_path), "SELECT 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no catalog")
    assert len(done.stderr.splitlines()) == 1


def test_a_dataset_becomes_files_and_rows(tmp_path, small_parts):
    config = make_config()
    text = catalog_dataset.run(config, tmp_path)
    assert "90 images in" in text
    dataset = load_dataset(config.data)
    columns = catalog.read_columns(
        tmp_path / "catalog.parquet",
        ["ImageID", "LabelName", "Type", "ImageAddr", "Width", "dhash", "fragile"],
    )
    assert columns["Type"].tolist() == ["train"] * 70 + ["test"] * 20
    assert columns["ImageID"].tolist() == [*dataset.train.ids, *dataset.test.ids]
    labels = [*dataset.train.labels, *dataset.test.labels]
    assert columns["LabelName"].tolist() == [dataset.class_names[label] for label in labels]
    images = [*dataset.train.images, *dataset.test.images]
    for address, image in zip(columns["ImageAddr"], images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(address)), image)
    assert columns["dhash"].tolist() == codes.to_int(np.asarray(dhash(np.stack(images)))).tolist()
    assert set(columns["Width"]) == {16}
    report.write(tmp_path, [tmp_path])
    text = (tmp_path / "report.md").read_text()
    assert "90 images; the first ten:" in text
    # Those of the study are of other pictures.
    assert "published" not in text.split("## The catalog")[1]


# Killed by itself when it is about to write the second of three parts.
DIES = """
import os, signal, sys
from phash_jax import catalog
write = catalog.write_part
def write_or_die(folder, index, columns):
    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    write(folder, index, columns)
catalog.write_part = write_or_die
import runpy
sys.argv[0] = "main.py"
runpy.run_path("main.py", run_name="__main__")
"""


def test_a_killed_run_goes_on_to_the_same_catalog(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 2_100), ("test", 100)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 2
    np.savez(tmp_path / "data.npz", **arrays)
    fields = {
        "data.name": "file",
        "data.path": str(tmp_path / "data.npz"),
        "catalog.image_dir": str(tmp_path / "images"),
        "hash.names": "average_hash",
    }
    command = ["--config=configs/catalog.py", f"--workdir={tmp_path / 'killed'}"]
    command += [f"--config.{name}={value}" for name, value in fields.items()]
    first = forked.start_code(DIES, command, tmp_path / "output.txt")
    first.join(120)
    assert first.exitcode == -signal.SIGKILL, (tmp_path / "output.txt").read_text()
    assert catalog.parts_done(tmp_path / "killed") == {0}
    assert not catalog.is_finished(tmp_path / "killed")
    # Not with other pictures.
    np.savez(tmp_path / "data.npz", **arrays | {"train_images": 255 - arrays["train_images"]})
    refused = forked.run(command)
    assert refused.returncode == 1
    assert "are not those that this run was begun with" in refused.stderr
    np.savez(tmp_path / "data.npz", **arrays)
    first_png = tmp_path / "images" / "train_00000.png"
    written = first_png.stat().st_mtime_ns
    finished = forked.run(command)
    assert finished.returncode == 0, finished.stderr
    assert first_png.stat().st_mtime_ns == written
    assert len(list((tmp_path / "images").iterdir())) == 2_201
    assert len(list((tmp_path / "images").glob("*.png"))) == 2_200
    catalog_dataset.run(make_config(**fields), tmp_path / "whole")
    assert (tmp_path / "killed/catalog.parquet").read_bytes() == (
        tmp_path / "whole/catalog.parquet"
    ).read_bytes()


@pytest.mark.parametrize("source", ["synthetic", "file"])
def test_a_folder_of_images_is_refused_to_another_dataset(tmp_path, npz, source):
    fields = {"hash.names": "average_hash", "catalog.image_dir": str(tmp_path / "images")}
    if source == "file":
        fields |= {"data.name": "file", "data.path": str(npz)}
    catalog_dataset.run(make_config(**fields), tmp_path / "first")
    written = {path: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    catalog_dataset.run(make_config(**fields), tmp_path / "again")
    other = make_config(**fields | {"data.classes": "", "data.name": "synthetic", "data.seed": 1})
    with pytest.raises(ValueError, match="holds the images of another dataset"):
        catalog_dataset.run(other, tmp_path / "other")
    assert written == {path: path.read_bytes() for path in (tmp_path / "images").iterdir()}


def test_a_folder_with_pictures_of_the_users_own_is_refused(tmp_path):
    (tmp_path / "train_0.png").write_bytes(b"precious")
    fields = {"hash.names": "average_hash", "catalog.image_dir": str(tmp_path)}
    with pytest.raises(ValueError, match="holds PNG files, which may have the same names as ours"):
        catalog_dataset.run(make_config(**fields), tmp_path / "run")
    assert (tmp_path / "train_0.png").read_bytes() == b"precious"
    assert not (tmp_path / "dataset.txt").exists()


def test_parts_are_joined_by_number_and_nothing_else_is_removed(tmp_path):
    for index in (999_999, 1_000_000, 7):
        catalog.write_part(tmp_path, index, {"n": np.array([index])})
    (tmp_path / "parts" / "part-of-mine.parquet").write_text("")
    path = catalog.finish(tmp_path)
    assert catalog.read_columns(path, ["n"])["n"].tolist() == [7, 999_999, 1_000_000]
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["part-of-mine.parquet"]


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_damaged_part_is_named_and_the_others_are_kept(tmp_path, damaged):
    for index in range(2):
        catalog.write_part(tmp_path, index, {"n": np.array([index])})
    path = tmp_path / "parts" / f"part-00000{damaged}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(ValueError, match=rf"part-00000{damaged}.parquet is damaged .* remove it"):
        catalog.finish(tmp_path)
    assert not catalog.is_finished(tmp_path)
    path.write_bytes(whole)
    assert catalog.read_columns(catalog.finish(tmp_path), ["n"])["n"].tolist() == [0, 1]


def test_a_folder_without_images_is_taken_by_another_dataset(tmp_path):
    fields = {"hash.names": "average_hash", "catalog.image_dir": str(tmp_path / "images")}
    (tmp_path / "images").mkdir()
    note = tmp_path / "images" / "dataset.txt"
    note.write_text("the user's own")
    with pytest.raises(ValueError, match=r"dataset.txt was not written by this job: name another"):
        catalog_dataset.run(make_config(**fields), tmp_path / "first")
    assert note.read_text() == "the user's own"
    note.write_text("0" * 64)
    catalog_dataset.run(make_config(**fields), tmp_path / "first")
    assert catalog.is_finished(tmp_path / "first")
    of_generated = note.read_text()
    assert of_generated != "0" * 64
    for path in (tmp_path / "images").glob("*.png"):
        path.unlink()
    fields["data.seed"] = 8
    catalog_dataset.run(make_config(**fields), tmp_path / "second")
    assert note.read_text() not in ("", of_generated)


def test_a_damaged_catalog_says_what_to_do(tmp_path):
    config = make_config(**{"hash.names": "average_hash"})
    catalog_dataset.run(config, tmp_path)
    (tmp_path / "catalog.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"catalog.parquet is damaged .* remove it and start"):
        catalog_dataset.run(config, tmp_path)


def test_what_a_kill_has_left_of_the_parts_is_removed(tmp_path):
    config = make_config(**{"hash.names": "average_hash"})
    catalog_dataset.run(config, tmp_path)
    whole = (tmp_path / "catalog.parquet").read_bytes()
    # Killed between the joined file and the last of its parts.
    catalog.write_part(tmp_path, 1, make_columns(0, 5))
    catalog_dataset.run(config, tmp_path)
    assert not (tmp_path / "parts").exists()
    assert (tmp_path / "catalog.parquet").read_bytes() == whole


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is played by /dev/full")
def test_a_full_disk_of_images_is_named(tmp_path):
    (tmp_path / "a.png.partial").symlink_to("/dev/full")
    with pytest.raises(
        ValueError, match=r"no disk space is left for .*\(catalog.image_dir\): free"
    ):
        catalog_dataset._save_png(np.zeros((4, 4, 3), np.uint8), epath.Path(tmp_path / "a.png"))
    assert list(tmp_path.iterdir()) == []


def test_ids_become_file_names():
    split = load_dataset(make_config().data).test
    split.ids[:3] = ["a/b c.jpg", "a:b c.jpg", "../x"]
    names = catalog_dataset._file_names(split)
    assert len(set(names)) == len(split)
    assert not any(set(name) & set('/\\: "') for name in names)
    split = dataclasses.replace(split, ids=split.ids.astype("U90"))
    split.ids[:3] = ["\N{CJK UNIFIED IDEOGRAPH-4E00}" * 84 + end for end in ("1.png", "2.png", "3")]
    names = catalog_dataset._file_names(split)
    assert len(set(names)) == len(split)
    assert max(len(f"{name}.partial".encode()) for name in names) < 256


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hash.names": ""}, "hash.names is empty: name one or more of average_hash"),
        ({"hash.names": "phash", "hash.size": 800}, "phash of size 800 adds up more values than"),
        ({"data.train_repeats": 2}, "data.train_repeats must be 1"),
        ({"catalog.image_dir": "/dev/null/x"}, "cannot write to catalog.image_dir /dev/null/x"),
        ({"catalog.image_dir": "gs://no-such-bucket/x"}, "cannot write to catalog.image_dir gs://"),
    ],
)
def test_what_cannot_be_cataloged_is_refused(tmp_path, fields, message):
    with pytest.raises(ValueError, match=message):
        catalog_dataset.run(make_config(**fields), tmp_path)
    assert not catalog.is_finished(tmp_path)


def test_the_first_ten_of_cifar10(tmp_path, real_cifar10, monkeypatch):
    small = real_cifar10.train.images[:40], real_cifar10.train.labels[:40]
    split = type(real_cifar10.train)(*small, real_cifar10.train.ids[:40])
    dataset = type(real_cifar10)(split, split, real_cifar10.class_names)
    monkeypatch.setattr(catalog_dataset, "load_in_all", lambda data: dataset)
    text = catalog_dataset.run(make_config(**{"data.name": "cifar10"}), tmp_path)
    assert text.splitlines()[4].split()[:3] == ["train_00000", "frog", "train"]
    assert "the same" in text.splitlines()


def test_a_query_stopped_by_ctrl_c_is_no_error(monkeypatch, tmp_path):
    def execute(sql):
        # As DuckDB 2.0 does.
        raise RuntimeError("Query interrupted")

    connection = contextlib.nullcontext(SimpleNamespace(execute=execute))
    monkeypatch.setattr(catalog, "connect", lambda path: connection)
    with pytest.raises(KeyboardInterrupt):
        catalog.query(tmp_path, "SELECT 1")


def test_only_queries_load_duckdb():
    modules = "catalog_dataset, hash_images, experiment, report.report"
    imports = "; ".join(f"import phash_jax.{name}" for name in modules.split(", "))
    code = f"import sys; {imports}; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_height_and_width_are_told_apart(tmp_path):
    arrays = {f"{s}_images": np.zeros((4, 12, 20, 3), np.uint8) for s in ("train", "test")}
    arrays |= {f"{s}_labels": np.arange(4) % 2 for s in ("train", "test")}
    np.savez(tmp_path / "data.npz", **arrays)
    fields = {"data.name": "file", "data.path": str(tmp_path / "data.npz"), "data.classes": ""}
    catalog_dataset.run(make_config(**fields), tmp_path / "out")
    columns = catalog.read_columns(tmp_path / "out" / "catalog.parquet", ["Width", "Height"])
    assert (set(columns["Width"]), set(columns["Height"])) == ({20}, {12})
