"""Picture files: which are found, what they are decoded to, and what is said of those that fail."""

import os
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phash_jax import pictures


def noise(*size, seed=0):
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    )


def save(path: Path, image: Image.Image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def read(folder, prepare=lambda image: np.asarray(image.convert("RGB")), max_pixels=10_000):
    files = pictures.find(str(folder))
    with pictures.reading(files, prepare, threads=2, max_pixels=max_pixels) as results:
        return {file.address: result for file, result in zip(files, results, strict=True)}


def test_files_of_all_subfolders_are_found_in_order(tmp_path):
    for name in ("b.png", "a/z.JPG", "a/b/c.tif", "a.png", ".hidden.png", ".cache/x.png"):
        save(tmp_path / name, noise(8, 8), format="PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    files = pictures.find(str(tmp_path))
    assert [file.address for file in files] == [
        "a.png",
        "a/b/c.tif",
        "a/z.JPG",
        "b.png",
        "notes.txt",
    ]
    for file in files:
        status = (tmp_path / file.address).stat()
        assert (file.num_bytes, file.modified) == (status.st_size, status.st_mtime_ns)
        assert file.problem == ""


def test_the_folder_of_results_is_left_out(tmp_path):
    save(tmp_path / "a.png", noise(8, 8))
    save(tmp_path / "results" / "sheet.png", noise(8, 8))
    assert len(pictures.find(str(tmp_path))) == 2
    found = pictures.find(str(tmp_path), leave_out=tmp_path / "results")
    assert [file.address for file in found] == ["a.png"]


def test_earlier_results_are_left_out(tmp_path):
    save(tmp_path / "a.png", noise(8, 8))
    save(tmp_path / "b" / "results" / "sheet.png", noise(8, 8))
    for name in ("config.json", "pictures.json"):
        assert len(pictures.find(str(tmp_path))) >= 2
        (tmp_path / "b" / "results" / name).write_text("{}")
    assert [file.address for file in pictures.find(str(tmp_path))] == ["a.png"]


def test_what_cannot_be_opened_is_found_with_its_problem(tmp_path, monkeypatch):
    save(tmp_path / "a" / "a.png", noise(8, 8))
    save(tmp_path / "secret" / "a.png", noise(8, 8))
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe.png")
    scandir = os.scandir

    def guarded(path):  # Permissions do not hold back root, who may run this test.
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert {file.address: file.problem for file in pictures.find(str(tmp_path))} == {
        "a/a.png": "",
        "gone.png": "link to nothing",
        "linked": "link to a folder, which is not followed",
        "pipe.png": "neither a file nor a folder",
        "secret": "folder cannot be listed: Permission denied",
    }
    results = read(tmp_path)
    assert results["gone.png"] == (None, "link to nothing", ())
    assert results["a/a.png"].value is not None


def test_names_that_are_not_utf8_are_readable(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    with open(path, "wb") as file:
        noise(8, 8).save(file, "PNG")
    results = read(tmp_path)
    assert list(results) == ["caf\\xe9.png"]
    assert results["caf\\xe9.png"].value.shape == (8, 8, 3)


def test_paths_without_pictures_are_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"pictures.path is empty: name a folder with pictures, --"
    ):
        pictures.find("")
    with pytest.raises(FileNotFoundError, match=r"pictures.path .*gone does not exist: name a fol"):
        pictures.find(str(tmp_path / "gone"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".hidden").write_text("")
    with pytest.raises(ValueError, match=r"pictures.path .* holds no file, nor do its subfolders"):
        pictures.find(str(tmp_path))
    file = save(tmp_path / "a.png", noise(8, 8))
    with pytest.raises(ValueError, match=r"a.png is a file: name the folder that it lies in"):
        pictures.find(str(file))


def test_pictures_come_in_order_as_stored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(12):
        save(tmp_path / f"{i:02d}.png", noise(5 + i, 9, seed=i), exif=exif)
    results = read(tmp_path)
    for i, result in enumerate(results.values()):
        np.testing.assert_array_equal(result.value, np.asarray(noise(5 + i, 9, seed=i)))


def test_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), (i, 100, 200)) for i in (10, 250)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    for result in read(tmp_path).values():
        assert result.value[4, 4].tolist() == [10, 100, 200]


def test_what_is_wrong_with_a_file_is_said(tmp_path, monkeypatch):
    good = save(tmp_path / "good.png", noise(40, 40)).read_bytes()
    as_jpeg = save(tmp_path / "good.jpg", noise(40, 40)).read_bytes()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "short.png").write_bytes(good[:-500])
    (tmp_path / "short.jpg").write_bytes(as_jpeg[:-500])
    (tmp_path / "page.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    )
    save(tmp_path / "locked.png", noise(8, 8))
    # Pillow itself warns above its limit, and refuses above twice it.
    save(tmp_path / "large.png", noise(120, 100))
    save(tmp_path / "huge.png", noise(300, 100))
    opened = Image.open

    def guarded(path, **options):
        if path.endswith("locked.png"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, **options)

    monkeypatch.setattr(Image, "open", guarded)
    results = read(tmp_path)
    problems = {address: result.problem for address, result in results.items()}
    bomb = "decompression bomb: {} pixels, pictures.max_pixels is 10,000"
    assert "truncated" in problems.pop("short.png")
    assert "truncated" in problems.pop("short.jpg")
    assert problems == {
        "good.png": "",
        "good.jpg": "",
        "empty.png": "empty file",
        "text.png": "not a picture, or of a kind that is not read",
        "page.eps": "not a picture, or of a kind that is not read",
        "locked.png": "Permission denied",
        "large.png": bomb.format("12,000"),
        "huge.png": bomb.format("30,000"),
    }
    for address, result in results.items():
        assert (result.value is None) == bool(result.problem), address


def test_pillow_is_left_as_it_was(tmp_path, monkeypatch):
    save(tmp_path / "a.png", noise(8, 8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 123_456)
    filters, show = list(warnings.filters), warnings.showwarning
    read(tmp_path)

    def fail(image):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, fail)
    assert Image.MAX_IMAGE_PIXELS == 123_456
    assert (filters, show) == (list(warnings.filters), warnings.showwarning)


def test_warnings_are_told_of_their_picture_and_not_printed(tmp_path, capsys):
    palette = noise(8, 8).quantize(4)
    save(tmp_path / "b.png", palette, transparency=b"\x00\x80")
    for name in ("a.png", "c.png"):
        save(tmp_path / name, noise(8, 8))
    results = read(tmp_path, lambda image: image.convert("L"))
    assert results["a.png"].warnings == results["c.png"].warnings == ()
    assert len(results["b.png"].warnings) == 1
    assert "Transparency expressed in bytes" in results["b.png"].warnings[0]
    assert results["b.png"].problem == ""
    assert capsys.readouterr().err == ""


def test_no_more_is_decoded_at_a_time_than_the_budget_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_DECODING_BYTES", 3 * 8 * 20 * 20)
    for i in range(20):
        save(tmp_path / f"{i:02d}.png", noise(40 if i % 5 == 0 else 20, 20))
    lock, now, most = threading.Lock(), [], []

    def prepare(image):
        with lock:
            now.append(image.width)
            most.append(sum(now))
        time.sleep(0.005)
        with lock:
            now.remove(image.width)
        return image.width

    files = pictures.find(str(tmp_path))
    with pictures.reading(files, prepare, threads=8, max_pixels=10**6) as results:
        assert [result.value for result in results] == [40, 20, 20, 20, 20] * 4
    assert 40 < max(most) <= 60


def test_files_are_not_read_far_ahead(tmp_path):
    for i in range(40):
        save(tmp_path / f"{i:02d}.png", noise(8, 8))
    opened = []
    files = pictures.find(str(tmp_path))
    with pictures.reading(files, lambda i: opened.append(1), threads=2, max_pixels=100) as results:
        next(results)
        time.sleep(0.05)
        assert len(opened) <= 5
        assert len(list(results)) == 39
    assert len(opened) == 40
