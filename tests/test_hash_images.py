"""The job that hashes a folder: exactness, bad files, resuming, near-duplicates."""

import csv
import json
import re
import shutil
import signal
from pathlib import Path

import imagehash
import numpy as np
import pytest
from conftest import load_config, make_picture
from forked import start_code
from PIL import Image

from phash_jax import catalog, hash_images, near_duplicates, picture_hashes
from phash_jax.workdir import WorkdirError

ROOT = Path(__file__).parent.parent
ALL_HASHES = "average_hash,dhash,dhash_vertical,phash,phash_simple,whash,colorhash"
LABELS = ["ImageID", "LabelName", "Type", "ImageAddr", "Width", "Height"]


def config_for(folder, **fields):
    config = load_config("hash_images")
    config.pictures.path = str(folder)
    config.pictures.part_size = 4
    config.update_from_flattened_dict({"hash.names": "average_hash,dhash,phash", **fields})
    return config.lock()


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def rows_of(workdir, hashes):
    columns = catalog.read_columns(
        workdir / "catalog.parquet", [*LABELS, *hashes.split(","), "fragile"]
    )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def as_number(image_hash):
    return int("".join(str(int(bit)) for bit in image_hash.hash.ravel()), 2)


def trouble(workdir, name):
    with (workdir / f"{name}.csv").open(newline="") as file:
        return {row[0]: row[1] for row in list(csv.reader(file))[1:]}


def odd_pictures(folder):
    """One file for each mode that a format stores, and other oddities."""
    deep = np.random.default_rng(3).integers(0, 65536, (34, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = make_picture(1).copy()
    alpha.putalpha(make_picture(2).convert("L"))
    transparent = make_picture(3).quantize(16)
    for name, image, options in (
        ("rgb.png", make_picture(4), {}),
        ("rgb.jpg", make_picture(5), {"quality": 80}),
        ("turned.jpg", make_picture(6), {"exif": exif}),
        ("l.png", make_picture(7).convert("L"), {}),
        ("l.jpg", make_picture(8).convert("L"), {}),
        ("la.png", alpha.convert("LA"), {}),
        ("rgba.png", alpha, {}),
        ("rgba.webp", alpha, {"lossless": True}),
        ("p.png", make_picture(9).quantize(64), {}),
        ("p_transparent.png", transparent, {"transparency": bytes(range(16))}),
        ("p.gif", make_picture(10).quantize(64), {}),
        (
            "animated.gif",
            make_picture(11),
            {"save_all": True, "append_images": [make_picture(12), make_picture(13)]},
        ),
        ("1.png", make_picture(14).convert("1"), {}),
        ("cmyk.jpg", make_picture(15).convert("CMYK"), {}),
        ("cmyk.tif", make_picture(16).convert("CMYK"), {}),
        ("ycbcr.tif", make_picture(17).convert("YCbCr"), {}),
        ("i16.png", Image.fromarray(deep.astype(np.uint16)), {}),
        ("i.tif", Image.fromarray((deep // 200).astype(np.int32)), {}),
        ("f.tif", Image.fromarray((deep / 200).astype(np.float32)), {}),
        ("bmp.bmp", make_picture(18), {}),
        ("narrow.png", make_picture(19, 3, 34), {}),
        ("tall.png", make_picture(20, 33, 300), {}),
        ("wide.png", make_picture(21, 300, 33), {}),
        ("tiny.png", make_picture(22, 3, 2), {}),
        ("dot.png", make_picture(23, 1, 1), {}),
    ):
        save(folder / name, image, **options)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # ImageHash's own.
def test_hashes_of_every_mode_equal_imagehash(tmp_path):
    odd_pictures(tmp_path / "in")
    hash_images.run(config_for(tmp_path / "in", **{"hash.names": ALL_HASHES}), tmp_path / "out")
    modes, num_fragile = set(), 0
    rows = rows_of(tmp_path / "out", ALL_HASHES)
    assert trouble(tmp_path / "out", "unreadable") == {}
    assert [row["ImageAddr"] for row in rows] == sorted(p.name for p in (tmp_path / "in").iterdir())
    for row in rows:
        with Image.open(tmp_path / "in" / row["ImageAddr"]) as image:
            assert (row["Width"], row["Height"]) == image.size
            modes.add(image.mode)
            fragile = row["fragile"].split(",")
            for name in ALL_HASHES.split(","):
                if name in fragile:
                    num_fragile += 1
                    continue
                wanted = as_number(getattr(imagehash, name)(image))
                assert row[name] == wanted, (row["ImageAddr"], name)
    assert modes == {"RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "YCbCr", "I;16", "I", "F"}
    # Only the picture of one pixel is flat; small ones may tie.
    assert num_fragile < 12


def test_common_sizes_go_to_the_device_whole_with_the_same_catalog(tmp_path, monkeypatch):
    for i in range(14):
        image = make_picture(i, *((40, 34) if i % 7 else (31, 50)))
        save(tmp_path / "in" / f"{i}.png", image.convert("L") if i % 3 == 0 else image)
    config = config_for(tmp_path / "in", **{"hash.names": "average_hash,phash,colorhash"})
    hash_images.run(config, tmp_path / "reduced")
    monkeypatch.setattr(picture_hashes, "_COMMON_COUNT", 4)
    prepared, prepare = [], hash_images.prepare

    def noted(image, **options):
        prepared.append(prepare(image, **options))
        return prepared[-1]

    monkeypatch.setattr(hash_images, "prepare", noted)
    hash_images.run(config, tmp_path / "whole")
    shapes = {image.shape for one in prepared for image in one.inputs.values()}
    assert shapes == {(34, 40, 3), (34, 40), (8, 8), (32, 32)}
    assert rows_of(tmp_path / "whole", "average_hash,phash,colorhash") == rows_of(
        tmp_path / "reduced", "average_hash,phash,colorhash"
    )


def test_many_sizes_compile_few_programs(tmp_path):
    for i in range(30):
        save(tmp_path / "in" / f"{i:02d}.png", make_picture(i, 32 + i, 40 + 2 * i))
    picture_hashes._program.cache_clear()
    fields = {"hash.names": "average_hash,dhash", "pictures.near_hash": "dhash"}
    config = config_for(tmp_path / "in", **fields)
    hash_images.run(config, tmp_path / "out")
    options = {"hash_size": 8, "pillow": "13.0"}
    programs = [picture_hashes._program((name,), **options) for name in ("average_hash", "dhash")]
    assert picture_hashes._program.cache_info().currsize == 2
    assert [program._cache_size() for program in programs] == [1, 1]


@pytest.mark.parametrize("size", [2, 16])
def test_other_hash_sizes(tmp_path, size):
    for i in range(3):
        save(tmp_path / "in" / f"{i}.png", make_picture(i, 50 + i, 60))
    fields = {"hash.names": "dhash,average_hash", "hash.size": size}
    fields["pictures.near_hash"] = "dhash"
    hash_images.run(config_for(tmp_path / "in", **fields), tmp_path / "out")
    names = ["dhash"] if size == 2 else [f"dhash_{i}" for i in range(4)]
    words = catalog.read_columns(tmp_path / "out" / "catalog.parquet", names)
    for i in range(3):
        with Image.open(tmp_path / "in" / f"{i}.png") as image:
            wanted = as_number(imagehash.dhash(image, size))
        assert wanted == int("".join(f"{int(words[name][i]):064b}" for name in names), 2)


def test_labels_come_from_the_folders(tmp_path):
    for name in ("top.png", "train/cat/a.png", "test/cat/a.png", "other/b.png", "test/train/c.png"):
        save(tmp_path / "all" / name, make_picture(0))
    fields = {"hash.names": "average_hash", "pictures.near_hash": "average_hash"}
    hash_images.run(config_for(tmp_path / "all", **fields), tmp_path / "out")
    assert [tuple(row.values())[:4] for row in rows_of(tmp_path / "out", "average_hash")] == [
        ("0", "other", "", "other/b.png"),
        ("1", "cat", "test", "test/cat/a.png"),
        ("2", "train", "train", "test/train/c.png"),
        ("3", "all", "", "top.png"),
        ("4", "cat", "train", "train/cat/a.png"),
    ]


def test_bad_files_are_listed_and_the_run_goes_on(tmp_path):
    folder = tmp_path / "in"
    for i in range(10):
        save(folder / f"good{i}.png", make_picture(i))
    cut = (folder / "good0.png").read_bytes()[:-900]
    for i in range(5):  # A whole part of four among them.
        (folder / f"a{i}.png").write_bytes(cut)
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    (folder / "gone.png").symlink_to("nothing")
    save(folder / "bomb.png", Image.new("1", (200, 200)))
    save(folder / "lab.tif", Image.new("LAB", (20, 20)))
    transparent = make_picture(50).quantize(4)
    save(folder / "palette.png", transparent, transparency=b"\x00\x80")
    workdir = tmp_path / "out"
    summary = hash_images.run(config_for(folder, **{"pictures.max_pixels": 30_000}), workdir)
    rows = rows_of(workdir, "phash")
    assert [row["ImageAddr"] for row in rows] == [
        *(f"good{i}.png" for i in range(10)),
        "palette.png",
    ]
    unreadable = trouble(workdir, "unreadable")
    assert len(unreadable) == 10
    assert all("truncated" in unreadable.pop(f"a{i}.png") for i in range(5))
    assert unreadable == {
        "zero.jpg": "empty file",
        "notes.txt": "not a picture, or of a kind that is not read",
        "gone.png": "link to nothing",
        "bomb.png": "decompression bomb: 40,000 pixels, pictures.max_pixels is 30,000",
        "lab.tif": "conversion from LAB to RGB not supported",
    }
    assert list(trouble(workdir, "warnings")) == ["palette.png"]
    assert "11 of 21 files hashed in" in summary
    assert "files that cannot be read: 10 (5 x image file is truncated; 1 x" in summary
    assert "warnings by Pillow about pictures that can be read: 1 (1 x Palette images" in summary
    assert not (workdir / "troubles").exists()


def test_a_folder_in_which_nothing_can_be_read(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(6):
        (tmp_path / "in" / f"{i}.txt").write_text("no picture")
    message = (
        r"none of the 6 files can be read \(0.txt: not a picture, or .*; for all see .*unreadable"
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            hash_images.run(config_for(tmp_path / "in"), tmp_path / "out")
    assert len(trouble(tmp_path / "out", "unreadable")) == 6


def planted(folder):
    """Three groups among other pictures: an exact copy, a chain, and recompressed ones."""
    for i in range(20):
        save(folder / f"other{i:02d}.png", make_picture(100 + i, 60 + i, 50))
    save(folder / "copy_a.png", make_picture(1, 64, 64))
    save(folder / "copy_b.bmp", make_picture(1, 64, 64))
    for quality in (95, 60, 30):
        save(folder / f"jpeg{quality}.jpg", make_picture(2, 90, 80), quality=quality)
    large = make_picture(3, 120, 90)
    save(folder / "size_large.png", large)
    save(folder / "size_small.png", large.resize((60, 45), Image.Resampling.LANCZOS))


def wanted_pairs(workdir, radius):
    rows = rows_of(workdir, "phash")
    return {
        (a["ImageAddr"], b["ImageAddr"], distance)
        for i, a in enumerate(rows)
        for b in rows[i + 1 :]
        if (distance := (int(a["phash"]) ^ int(b["phash"])).bit_count()) <= radius
    }


def listed_pairs(workdir):
    with (workdir / "near_duplicates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_near_duplicates_are_found_exactly(tmp_path):
    planted(tmp_path / "in")
    workdir = tmp_path / "out"
    summary = hash_images.run(config_for(tmp_path / "in"), workdir)
    pairs = listed_pairs(workdir)
    found = {(p["LeftAddr"], p["RightAddr"], int(p["Distance"])) for p in pairs}
    assert found == wanted_pairs(workdir, 4)
    assert len(found) == len(pairs)
    groups = {}
    for pair in pairs:
        groups.setdefault(pair["Group"], set()).update((pair["LeftAddr"], pair["RightAddr"]))
    assert sorted(map(sorted, groups.values())) == [
        ["copy_a.png", "copy_b.bmp"],
        ["jpeg30.jpg", "jpeg60.jpg", "jpeg95.jpg"],
        ["size_large.png", "size_small.png"],
    ]
    assert ("copy_a.png", "copy_b.bmp", 0) in found
    assert list(groups) == ["0", "1", "2"]
    assert [int(p["Distance"]) for p in pairs] == sorted(int(p["Distance"]) for p in pairs)
    assert re.search(
        r"\npairs within 4 bits of phash: 5, in 3 groups: .*near_duplicates.csv", summary
    )
    assert "near_duplicates.png" in summary
    with Image.open(workdir / "near_duplicates.png") as sheet:
        assert len(sheet.convert("RGB").getcolors(2**24)) > 1_000


def test_pairs_of_flat_pictures_are_marked_as_decided_by_noise(tmp_path):
    for name, colour in (("black.png", 0), ("gray.png", 90), ("white.png", 255)):
        save(tmp_path / "in" / name, Image.new("L", (40, 40), colour))
    for name in ("copy_a.png", "copy_b.png"):
        save(tmp_path / "in" / name, make_picture(1, 64, 64))
    summary = hash_images.run(config_for(tmp_path / "in"), tmp_path / "out")
    noisy = {(p["LeftAddr"], p["RightAddr"]): p["Fragile"] for p in listed_pairs(tmp_path / "out")}
    assert noisy.pop(("copy_a.png", "copy_b.png")) == ""
    assert noisy
    assert set(noisy.values()) == {"yes"}
    assert f"; {len(noisy)} of those listed rest on a hash decided by a tie" in summary


def test_a_cut_list_keeps_the_closest_and_tells_the_exact_total(tmp_path):
    planted(tmp_path / "in")
    radius = 30
    fields = {"pictures.near_radius": radius, "pictures.near_max_pairs": 7}
    summary = hash_images.run(config_for(tmp_path / "in", **fields), tmp_path / "out")
    wanted = wanted_pairs(tmp_path / "out", radius)
    pairs = listed_pairs(tmp_path / "out")
    assert len(wanted) > 50
    assert sorted(int(p["Distance"]) for p in pairs) == sorted(d for *_, d in wanted)[:7]
    assert {(p["LeftAddr"], p["RightAddr"], int(p["Distance"])) for p in pairs} <= wanted
    assert f"pairs within 30 bits of phash: {len(wanted)}, in" in summary
    complete = int(
        re.search(r"the 7 closest are listed and grouped, all up to distance (\d+)", summary)[1]
    )
    assert sum(d <= complete for *_, d in wanted) <= 7 < sum(d <= complete + 1 for *_, d in wanted)


def test_more_identical_pictures_than_are_listed(tmp_path):
    for i in range(9):
        save(tmp_path / "in" / f"{i}.png", make_picture(0))
    fields = {"pictures.near_max_pairs": 5}
    summary = hash_images.run(config_for(tmp_path / "in", **fields), tmp_path / "out")
    assert "pairs within 4 bits of phash: 36, in" in summary
    assert (
        "the 5 closest are listed and grouped, not even all of distance 0: raise --config"
        in summary
    )
    assert len(listed_pairs(tmp_path / "out")) == 5


@pytest.mark.parametrize("count", [1, 2])
def test_without_near_duplicates(tmp_path, count):
    for i in range(count):
        save(tmp_path / "in" / f"{i}.png", make_picture(i))
    summary = hash_images.run(config_for(tmp_path / "in"), tmp_path / "out")
    assert "no near-duplicates within 4 bits of phash; a larger --config.pictures.near" in summary
    assert listed_pairs(tmp_path / "out") == []
    assert not (tmp_path / "out" / "near_duplicates.png").exists()


@pytest.mark.parametrize("max_pairs", [0, 1, 5, 40, 200])
def test_the_nearest_pairs_are_listed_whatever_the_radius(max_pairs):
    words = np.random.default_rng(0).integers(0, 2**9, (24, 1)).astype(np.uint32)
    distances = [
        (int(words[i, 0] ^ words[j, 0]).bit_count(), i, j) for i in range(24) for j in range(i)
    ]
    for radius in (2, 5, 1_000_000_000):
        pairs = near_duplicates.find(words, radius=radius, max_pairs=max_pairs)
        near = sorted(distance for distance, *_ in distances if distance <= radius)
        assert pairs.total == len(near)
        assert pairs.distance.tolist() == near[:max_pairs]
        if len(near) <= max_pairs:
            assert pairs.complete_to == radius
        else:
            complete = [r for r in range(-1, 10) if sum(d <= r for d in near) <= max_pairs]
            assert pairs.complete_to == max(complete)


def test_contact_sheet_bears_odd_names_many_groups_and_lost_pictures(tmp_path):
    words = np.repeat(np.arange(40, dtype=np.uint32) << 8, 9)[:, None]
    pairs = near_duplicates.find(words, radius=0, max_pairs=10_000)
    assert pairs.total == len(pairs.left) == 40 * 36
    assert pairs.group.max() == 39
    near_duplicates.draw(
        pairs,
        words,
        np.arange(len(words)) % 2 == 0,
        lambda number: "折り紙 $x_{$ 100%\n" + "long" * number,
        lambda number: None if number % 3 else make_picture(number),
        tmp_path / "sheet.png",
    )
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 1280
        assert sheet.height < 1600


DIES = """
import os, signal, sys
from pathlib import Path
from phash_jax import catalog, hash_images
from configs import hash_images as configs
write = catalog.write_part
def write_or_die(folder, index, columns):
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(folder, index, columns)
catalog.write_part = write_or_die
config = configs.get_config()
config.pictures.path = sys.argv[1]
config.pictures.part_size = 4
config.hash.names = "average_hash,dhash,phash"
hash_images.run(config, Path(sys.argv[2]))
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_catalog(tmp_path, monkeypatch):
    planted(tmp_path / "in")
    (tmp_path / "in" / "a.png").write_bytes(b"")
    arguments = [str(tmp_path / "in"), str(tmp_path / "killed")]
    killed = start_code(DIES, arguments, tmp_path / "output.txt")
    killed.join(120)
    assert killed.exitcode == -signal.SIGKILL, (tmp_path / "output.txt").read_text()
    assert catalog.parts_done(tmp_path / "killed") == {0, 1, 2}
    written, write = [], catalog.write_part

    def noted(folder, index, columns):
        written.append(index)
        write(folder, index, columns)

    monkeypatch.setattr(catalog, "write_part", noted)
    config = config_for(tmp_path / "in")
    hash_images.run(config, tmp_path / "killed")
    assert written == [3, 4, 5, 6]
    summary = hash_images.run(config, tmp_path / "killed")
    assert written == [3, 4, 5, 6]
    assert "27 of 28 files hashed earlier" in summary
    hash_images.run(config, tmp_path / "whole")
    for name in ("catalog.parquet", "near_duplicates.csv", "unreadable.csv", "warnings.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    assert left == {path.name for path in (tmp_path / "whole").iterdir()}


def test_pictures_that_changed_since_the_run_began_are_named(tmp_path):
    folder, workdir = tmp_path / "in", tmp_path / "out"
    for i in range(6):
        save(folder / f"{i}.png", make_picture(i))
    config = config_for(folder)
    hash_images.run(config, workdir)
    shutil.move(folder / "0.png", tmp_path / "0.png")
    save(folder / "1.png", make_picture(7))
    for i in range(10, 15):
        save(folder / f"{i}.png", make_picture(i))
    message = (
        r"pictures in .* are not those that --workdir=.* was begun with: 5 added \(10.png, 11.png, "
        r"12.png, ...\), 1 removed \(0.png\), 1 changed \(1.png\); put them back to resume, or hash"
    )
    with pytest.raises(WorkdirError, match=message):
        hash_images.run(config, workdir)


def test_what_was_removed_or_damaged_is_named(tmp_path):
    save(tmp_path / "in" / "0.png", make_picture(0))
    config, workdir = config_for(tmp_path / "in"), tmp_path / "out"
    hash_images.run(config, workdir)
    # What a kill right after the catalog leaves.
    (workdir / "troubles").mkdir()
    hash_images.run(config, workdir)
    assert not (workdir / "troubles").exists()
    (workdir / "warnings.csv").unlink()
    with pytest.raises(WorkdirError, match=r"warnings.csv is missing: remove .*catalog.par"):
        hash_images.run(config, workdir)
    (workdir / "pictures.json").unlink()
    with pytest.raises(WorkdirError, match=r"pictures.json is missing, .* restore it, or hash"):
        hash_images.run(config, workdir)
    (workdir / "catalog.parquet").rename(workdir / "elsewhere.parquet")
    (workdir / "parts").mkdir()
    (workdir / "parts" / "part-000000.parquet").write_bytes(b"PAR1")
    with pytest.raises(WorkdirError, match=r"pictures.json is missing, .* restore it, or hash"):
        hash_images.run(config, workdir)
    for content, reason in (
        ({}, "it lists no files"),
        ({"whole": [], "files": [7]}, "an entry has the wrong form"),
        ({"whole": [["RGB"]], "files": []}, "an entry has the wrong form"),
    ):
        (workdir / "pictures.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=rf"pictures.json is damaged \({reason}\): hash"):
            hash_images.run(config, workdir)


@pytest.mark.parametrize("content", ["", "{}"])
def test_damaged_troubles_are_named(tmp_path, content):
    (tmp_path / "part-000000.json").write_text(content)
    with pytest.raises(ValueError, match=r"part-000000.json is damaged \(.*\): hash the folder in"):
        hash_images._join_troubles(tmp_path, tmp_path, 1, 1)


def test_a_workdir_among_the_pictures_does_not_count_as_pictures(tmp_path):
    for i in range(2):
        save(tmp_path / f"{i}.png", make_picture(0))
    config = config_for(tmp_path)
    for _ in range(2):
        assert "2 of 2 files hashed" in hash_images.run(config, tmp_path / "out")
    with pytest.raises(ValueError, match="is the --workdir too, whose files would be taken for"):
        hash_images.run(config, tmp_path)
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pictures.path": ""}, "pictures.path is empty: name a folder with pictures"),
        ({"hash.names": ""}, "hash.names is empty: name one or more of average_hash, dhash"),
        ({"hash.names": "phash,phsh"}, "unknown hash.names 'phsh'; choose one of average_hash"),
        ({"hash.names": "phash,dhash,phash"}, "hash.names has a hash twice: phash,dhash,phash"),
        ({"hash.pillow": "9.0"}, "unknown hash.pillow '9.0'; choose one of 6.0, 7.0, 12.2, 13.0"),
        ({"hash.size": 1}, "hash.size must be 2 or more, got 1"),
        ({"hash.names": "phash,whash", "hash.size": 12}, "must be a power of 2 for whash, got 12"),
        (
            {"pictures.near_hash": "whash"},
            r"unknown pictures.near_hash \(of hash.names\) 'whash'; choose one of average_hash, dh",
        ),
        ({"pictures.near_radius": -1}, "pictures.near_radius must be 0 or more, got -1"),
        ({"pictures.near_max_pairs": 0}, "pictures.near_max_pairs must be 1 or more, got 0"),
        ({"pictures.threads": -1}, "pictures.threads must be 0 or more, got -1"),
        ({"pictures.part_size": 0}, "pictures.part_size must be 1 or more, got 0"),
        ({"pictures.max_pixels": 0}, "pictures.max_pixels must be 1 or more, got 0"),
    ],
)
def test_fields_are_checked_before_anything_is_written(tmp_path, fields, message):
    save(tmp_path / "in" / "a.png", make_picture(0))
    with pytest.raises(ValueError, match=message):
        hash_images.run(config_for(tmp_path / "in", **fields), tmp_path / "out")
    assert not (tmp_path / "out").exists()
