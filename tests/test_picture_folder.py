"""The user's own folder of pictures: what is read, and what is refused."""

import io
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phash_jax.data import picture_folder
from phash_jax.data.dataset import validate


def save_picture(path: Path, colour, size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "RGB" if len(colour) == 3 else "RGBA"
    Image.new(mode, size, colour).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes of flat pictures; the red value counts them in the order wanted."""
    red = 0
    for split in ("train", "test"):
        for name in ("bee", "ant"):
            for file in ("b.PNG", "a.png", "c.png"):
                save_picture(tmp_path / split / name / file, (0, 0, 0))
        for name in ("ant", "bee"):
            for file in ("a.png", "b.PNG", "c.png"):
                red += 1
                save_picture(tmp_path / split / name / file, (red, 100, 200))
    return tmp_path


def read(folder, image_size=8):
    return picture_folder.load_folder(root=str(folder), image_size=image_size)


def test_folder_is_read_in_order(folder):
    dataset = read(folder)
    validate(dataset)
    assert dataset.class_names == ("ant", "bee")
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.train.images[:, 0, 0].tolist() == [[i, 100, 200] for i in range(1, 7)]
    assert dataset.test.images[:, 7, 7].tolist() == [[i, 100, 200] for i in range(7, 13)]
    assert dataset.train.ids[:4].tolist() == [
        "train/ant/a.png",
        "train/ant/b.PNG",
        "train/ant/c.png",
        "train/bee/a.png",
    ]


def test_folder_passes_over_what_is_no_picture(folder, caplog):
    (folder / "train" / "ant" / "notes.txt").write_text("not a picture")
    (folder / "train" / "ant" / "._a.png").write_bytes(b"what another system leaves behind")
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "list.csv").write_text("")
    (folder / "train" / "ant" / "folder.png").mkdir()
    dataset = read(folder)
    assert len(dataset.train) == 6
    assert not caplog.text


def test_pictures_are_resized_with_averaging(folder):
    stripes = np.zeros((64, 32, 3), np.uint8)
    stripes[::2] = 255  # Every second row: nearest or unfiltered bilinear would give 0 or 255.
    Image.fromarray(stripes).save(folder / "train" / "ant" / "a.png")
    images = read(folder, image_size=8).train.images
    assert images.shape == (6, 8, 8, 3)
    assert np.abs(images[0].astype(int) - 127.5).max() < 20
    assert read(folder, image_size=20).test.images.shape == (6, 20, 20, 3)


def test_pictures_of_the_right_size_keep_their_pixels(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "test" / "bee" / "c.png")
    np.testing.assert_array_equal(read(folder).test.images[-1], pixels)


def test_other_modes_become_rgb(folder, caplog):
    ant = folder / "train" / "ant"
    Image.new("L", (8, 8), 77).save(ant / "a.png")
    save_picture(ant / "b.PNG", (10, 20, 30, 0))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 40, 50, 60])
    palette.save(ant / "c.png", transparency=b"\x00\x80")
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(ant / "d.jpeg", quality=95)
    dataset = read(folder)
    assert not caplog.text
    assert dataset.train.images[:3, 0, 0].tolist() == [[77] * 3, [10, 20, 30], [40, 50, 60]]
    np.testing.assert_allclose(dataset.train.images[3, 4, 4], [255, 0, 0], atol=3)


def test_pictures_are_turned_as_their_exif_says(folder):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 240
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees clockwise: what is on top goes to the right.
    for name in ("a.png", "d.JPG"):
        Image.fromarray(pixels).save(folder / "test" / "ant" / name, exif=exif, format=None)
    images = read(folder).test.images
    for image in (images[0], images[3]):
        assert image[:, 5:].min() > 200
        assert image[:, :3].max() < 40


def noise(path: Path) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG" if path.suffix == ".jpg" else "PNG")
    return buffer.getvalue()


def as_gif(path: Path) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "GIF")
    return buffer.getvalue()


def deep_grey(path: Path) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("bad.png", lambda path: b"", "cannot identify"),
        ("bad.jpg", lambda path: b"<html>", "cannot identify"),
        ("bad.png", lambda path: noise(path)[:-500], "truncated"),
        ("bad.jpg", lambda path: noise(path)[:-500], "truncated"),
        ("bad.png", as_gif, "cannot identify"),
        ("bad.png", deep_grey, "gray of more than 8 bits"),
    ],
)
def test_unreadable_pictures_are_listed_and_left_out(folder, caplog, name, make, reason):
    path = folder / "train" / "ant" / name
    path.write_bytes(make(path))
    dataset = read(folder)
    _, *skipped = caplog.text.splitlines()
    assert len(skipped) == 1
    assert skipped[0].startswith(f"  train/ant/{name}: ")
    assert reason in skipped[0]
    assert f"train/ant/{name}" not in dataset.train.ids
    assert dataset.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert f"1 of 13 image files in {folder} cannot be read and are left out" in caplog.text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(folder, caplog):
    os.mkfifo(folder / "train" / "ant" / "pipe.png")
    assert len(read(folder).train) == 6
    assert "train/ant/pipe.png: not a regular file" in caplog.text


@pytest.mark.filterwarnings("default")  # As in a user's run, where this one is no error by itself.
def test_folders_read_at_the_same_time_leave_the_filters_of_warnings_as_they_are(
    folder, monkeypatch
):
    filters, decode = list(warnings.filters), picture_folder._decode
    first_began, second_began, first_ended = (threading.Event() for _ in range(3))

    def decode_slowly(path, image_size):
        # The second one begins before the first ends, and ends after it, if it may.
        if path.is_relative_to(folder / "second"):
            second_began.set()
            first_ended.wait(0.3)
        else:
            first_began.set()
            second_began.wait(0.3)
        return decode(path, image_size)

    def read_first():
        read(folder / "first")
        first_ended.set()

    def read_second():
        first_began.wait(10)
        read(folder / "second")

    monkeypatch.setattr(picture_folder, "_decode", decode_slowly)
    for name in ("first", "second"):
        for split in ("train", "test"):
            save_picture(folder / name / split / "ant" / "a.png", (1, 2, 3))
    threads = [threading.Thread(target=target) for target in (read_first, read_second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == filters


@pytest.mark.parametrize("side", [13, 20])  # Pillow warns above its limit, refuses above twice it.
def test_decompression_bombs_are_left_out(folder, caplog, monkeypatch, side):
    save_picture(folder / "test" / "bee" / "bomb.png", (0, 0, 0), size=(side, side))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    dataset = read(folder)
    assert len(dataset.test) == 6
    _, *skipped = caplog.text.splitlines()
    assert len(skipped) == 1
    assert skipped[0].startswith("  test/bee/bomb.png: ")
    assert "decompression bomb" in skipped[0]


def test_a_class_without_readable_images_is_named(folder):
    for path in (folder / "test" / "bee").iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        ValueError,
        match=r"class bee has no image in .*test/bee: none of its 3 files can be read \(test/bee/a",
    ):
        read(folder)
    for path in (folder / "test" / "bee").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"class bee has no image in .*: wanted files that end in"):
        read(folder)


def test_folders_that_do_not_match_are_named(folder, tmp_path):
    (folder / "train" / "cow").mkdir()
    with pytest.raises(ValueError, match=r"train has the classes cow, which .*test lacks: both"):
        read(folder)
    (folder / "train" / "cow").rename(folder / "test" / "dog")
    with pytest.raises(ValueError, match=r"test has the classes dog, which .*train lacks: both"):
        read(folder)
    (folder / "test").rename(folder / "val")
    with pytest.raises(FileNotFoundError, match=r"test is missing: .* must hold train/<class>/"):
        read(folder)
    (tmp_path / "flat" / "train").mkdir(parents=True)
    (tmp_path / "flat" / "test").mkdir()
    with pytest.raises(ValueError, match=r"train holds no folder: wanted one per class"):
        read(tmp_path / "flat")


def test_image_size_must_be_positive(folder):
    with pytest.raises(ValueError, match=r"data.image_size must be 1 pixel or more, got 0"):
        read(folder, image_size=0)
