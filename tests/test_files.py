"""The user's own images: what is read from an .npz and from a folder, and what is refused."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from phash_jax.data import files
from phash_jax.data.dataset import validate


def make_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (6, 8, 10, 3), np.uint8),
        "train_labels": np.array([0, 1, 2, 2, 1, 0], np.uint8),
        "test_images": rng.integers(0, 256, (3, 8, 10, 3), np.uint8),
        "test_labels": np.array([2, 0, 1]),
    }


@pytest.fixture
def npz(tmp_path):
    def save(**changes):
        arrays = {k: v for k, v in {**make_arrays(), **changes}.items() if v is not None}
        np.savez_compressed(tmp_path / "mine.npz", **arrays)
        return str(tmp_path / "mine.npz")

    return save


def test_npz_is_read_as_it_is(npz):
    dataset = validate(files.load(path=npz(), image_size=32, class_names=()))
    for split in ("train", "test"):
        read = getattr(dataset, split)
        np.testing.assert_array_equal(read.images, make_arrays()[f"{split}_images"])
        np.testing.assert_array_equal(read.labels, make_arrays()[f"{split}_labels"])
        assert read.labels.dtype == np.int32
    assert dataset.test.ids.tolist() == ["test_00000", "test_00001", "test_00002"]
    assert dataset.class_names == ("0", "1", "2")


def test_npz_names_come_from_the_argument_else_from_the_file(npz):
    path = npz(class_names=np.array(["ant", "bee", "cow"]))
    assert files.load_npz(path=path).class_names == ("ant", "bee", "cow")
    named = files.load(path=path, image_size=32, class_names=("x", "y", "z", "unused"))
    assert named.class_names == ("x", "y", "z", "unused")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train_labels": None, "test_images": None},
            r"mine.npz holds no train_labels, test_images: it must hold train_images, train_labels",
        ),
        (
            {"train_images": np.zeros((6, 8, 10, 3), np.float32)},
            r"train_images in .*mine.npz is float32 \[6, 8, 10, 3\], wanted uint8 \[N, H, W, 3\]: "
            "store the values 0 to 255 as uint8",
        ),
        (
            {"test_images": np.zeros((3, 8, 10), np.uint8)},
            r"test_images in .* is uint8 \[3, 8, 10\], .* repeat grey values for the three channel",
        ),
        (
            {"test_images": np.zeros((3, 8, 10, 1), np.uint8)},
            r"test_images in .* is uint8 \[3, 8, 10, 1\], .* repeat grey values",
        ),
        (
            {"train_images": np.zeros((6, 3, 8, 10), np.uint8)},
            r"is uint8 \[6, 3, 8, 10\], wanted .* put the channels last, with images.transpose",
        ),
        (
            {"train_images": np.zeros((6, 8, 10, 4), np.uint8)},
            r"is uint8 \[6, 8, 10, 4\], wanted uint8 \[N, H, W, 3\], RGB",
        ),
        (
            {"train_images": np.zeros((6, 240), np.uint8)},
            r"is uint8 \[6, 240\], wanted uint8 \[N, H, W, 3\], RGB",
        ),
        (
            {"test_images": np.zeros((0, 8, 10, 3), np.uint8)},
            r"test_images in .* is uint8 \[0, 8, 10, 3\]: it holds no image",
        ),
        (
            {"train_images": np.zeros((6, 0, 10, 3), np.uint8)},
            r"train_images in .* is uint8 \[6, 0, 10, 3\]: it holds no image",
        ),
        (
            {"train_labels": np.zeros(6)},
            r"train_labels in .* is float64 \[6\], wanted integers \[N\]",
        ),
        (
            {"train_labels": np.zeros((6, 1), int)},
            r"train_labels in .* is int64 \[6, 1\], wanted integers \[N\]",
        ),
        (
            {"test_labels": np.zeros(4, int)},
            r"mine.npz has 3 test_images and 4 test_labels: there must be one label per image",
        ),
        (
            {"test_images": np.zeros((3, 10, 8, 3), np.uint8)},
            r"train_images of 8 x 10 and test_images of 10 x 8 pixels: they must have one size",
        ),
        (
            {"test_labels": np.array([0, 3, -1])},
            r"test_labels in .* has -1, 3: labels must lie between 0 and 2, for the 3 classes 0, 1",
        ),
        (
            {"class_names": np.array(["ant", "bee"])},
            r"train_labels in .* has 2: .* between 0 and 1, for the 2 classes ant, bee",
        ),
        (
            {"class_names": np.array([1, 2, 3])},
            r"class_names in .* is int64 \[3\], wanted text \[K\]",
        ),
        ({"class_names": np.array(["ant", "bee", "ant"])}, "has ant more than once"),
        ({"train_labels": np.full(6, -2)}, r"has only negative values: count from 0"),
        (
            {"train_labels": np.array([0, 1, 2, 2, 1, 2**63], np.uint64)},
            r"train_labels in .* goes up to 9223372036854775808: .* store their names in class_nam",
        ),
        (
            {"train_labels": np.array([0, 1, "2", None, 1, 0], object)},
            r"train_labels in .* is an object array, which could run code when loaded, and is not",
        ),
    ],
)
def test_npz_problems_are_named(npz, change, message):
    with pytest.raises(ValueError, match=message):
        files.load_npz(path=npz(**change))


def test_npz_with_a_member_that_is_no_array(npz):
    path = npz(train_labels=None)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("train_labels", json.dumps([0, 1, 2, 2, 1, 0]))
    with pytest.raises(ValueError, match=r"train_labels in .*mine.npz is no array: save it with"):
        files.load_npz(path=path)


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x80\x04K\x01."])
def test_what_is_no_npz(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.npz is not an .npz file, or is cut short"):
        files.load_npz(path=str(tmp_path / "mine.npz"))


def test_damage_inside_an_npz_is_named(npz):
    path = Path(npz())
    content = bytearray(path.read_bytes())
    content[600] ^= 255  # Inside the pixels of the first array.
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.npz is damaged: train_images cannot be read \(.+"):
        files.load_npz(path=str(path))


@pytest.fixture(scope="module")
def npz_bytes():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, class_names=np.array(["ant", "bee", "cow"]), **make_arrays())
    return buffer.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_damage_to_an_npz_is_one_value_error(npz_bytes, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    damaged = bytearray(npz_bytes)
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged) - 1)))
    path.write_bytes(damaged[:cut])
    dataset, message = None, ""
    try:
        dataset = files.load_npz(path=str(path))
    except ValueError as error:
        message = str(error)
    if dataset is None:
        assert "damaged.npz" in message
    else:  # A byte was hit that does not matter, such as a date.
        assert cut == len(damaged)
        np.testing.assert_array_equal(dataset.train.images, make_arrays()["train_images"])


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


def read(folder, image_size=8, **options):
    return files.load_folder(root=str(folder), image_size=image_size, **options)


@pytest.mark.parametrize("num_threads", [1, 4])
def test_folder_is_read_in_order(folder, num_threads):
    dataset, skipped = read(folder, num_threads=num_threads)
    validate(dataset)
    assert skipped == ()
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


def test_folder_passes_over_what_is_no_picture(folder):
    (folder / "train" / "ant" / "notes.txt").write_text("not a picture")
    (folder / "train" / "ant" / "._a.png").write_bytes(b"what another system leaves behind")
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "list.csv").write_text("")
    (folder / "train" / "ant" / "folder.png").mkdir()
    dataset, skipped = read(folder)
    assert len(dataset.train) == 6
    assert skipped == ()


def test_pictures_are_resized_with_averaging(folder):
    stripes = np.zeros((64, 32, 3), np.uint8)
    stripes[::2] = 255  # Every second row: nearest or unfiltered bilinear would give 0 or 255.
    Image.fromarray(stripes).save(folder / "train" / "ant" / "a.png")
    images = read(folder, image_size=8)[0].train.images
    assert images.shape == (6, 8, 8, 3)
    assert np.abs(images[0].astype(int) - 127.5).max() < 20
    assert read(folder, image_size=20)[0].test.images.shape == (6, 20, 20, 3)


def test_pictures_of_the_right_size_keep_their_pixels(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "test" / "bee" / "c.png")
    np.testing.assert_array_equal(read(folder)[0].test.images[-1], pixels)


def test_other_modes_become_rgb(folder):
    ant = folder / "train" / "ant"
    Image.new("L", (8, 8), 77).save(ant / "a.png")
    save_picture(ant / "b.PNG", (10, 20, 30, 0))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 40, 50, 60])
    palette.save(ant / "c.png", transparency=b"\x00\x80")
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(ant / "d.jpeg", quality=95)
    dataset, skipped = read(folder)
    assert skipped == ()
    assert dataset.train.images[:3, 0, 0].tolist() == [[77] * 3, [10, 20, 30], [40, 50, 60]]
    np.testing.assert_allclose(dataset.train.images[3, 4, 4], [255, 0, 0], atol=3)


def test_pictures_are_turned_as_their_exif_says(folder):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 240
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees clockwise: what is on top goes to the right.
    for name in ("a.png", "d.JPG"):
        Image.fromarray(pixels).save(folder / "test" / "ant" / name, exif=exif, format=None)
    images = read(folder)[0].test.images
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
        ("bad.png", deep_grey, "grey of more than 8 bits"),
    ],
)
def test_unreadable_pictures_are_listed_and_left_out(folder, caplog, name, make, reason):
    path = folder / "train" / "ant" / name
    path.write_bytes(make(path))
    dataset, skipped = read(folder)
    assert len(skipped) == 1
    assert skipped[0].startswith(f"train/ant/{name}: ")
    assert reason in skipped[0]
    assert f"train/ant/{name}" not in dataset.train.ids
    assert dataset.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert f"1 of 13 image files in {folder} cannot be read and are left out" in caplog.text
    assert skipped[0] in caplog.text


@pytest.mark.filterwarnings("default")  # As in a user's run, where this one is no error by itself.
@pytest.mark.parametrize("side", [13, 20])  # Pillow warns above its limit, refuses above twice it.
def test_decompression_bombs_are_left_out(folder, monkeypatch, side):
    save_picture(folder / "test" / "bee" / "bomb.png", (0, 0, 0), size=(side, side))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    dataset, skipped = read(folder)
    assert len(dataset.test) == 6
    assert len(skipped) == 1
    assert skipped[0].startswith("test/bee/bomb.png: ")
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


def test_load_tells_files_from_folders(folder):
    dataset = files.load(path=str(folder), image_size=16, class_names=())
    assert dataset.train.images.shape == (6, 16, 16, 3)
    assert files.load(path=str(folder), image_size=8, class_names=("ant", "bee")).class_names
    with pytest.raises(ValueError, match=r"has the classes ant, bee, not cat, dog: a folder names"):
        files.load(path=str(folder), image_size=8, class_names=("cat", "dog"))


def test_load_refuses_other_paths(tmp_path):
    with pytest.raises(ValueError, match=r"data.path is empty: name an .npz file or a folder"):
        files.load(path="", image_size=32)
    with pytest.raises(FileNotFoundError, match=r"data.path .*gone.npz does not exist: name an"):
        files.load(path=str(tmp_path / "gone.npz"), image_size=32)
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"data.csv is neither a folder nor a file that ends in"):
        files.load(path=str(tmp_path / "data.csv"), image_size=32)
