"""The user's own arrays: what is read from an .npz, and what is refused."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phash_jax.data import files
from phash_jax.data.arrays import load_npy, load_npz
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
    dataset = validate(files.load(path=npz(), image_size=32))
    for split in ("train", "test"):
        read = getattr(dataset, split)
        np.testing.assert_array_equal(read.images, make_arrays()[f"{split}_images"])
        np.testing.assert_array_equal(read.labels, make_arrays()[f"{split}_labels"])
        assert read.labels.dtype == np.int32
    assert dataset.test.ids.tolist() == ["test_00000", "test_00001", "test_00002"]
    assert dataset.class_names == ("0", "1", "2")


def test_npz_names_come_from_the_file(npz):
    path = npz(class_names=np.array(["ant", "bee", "cow", "unused"]))
    assert load_npz(path=path).class_names == ("ant", "bee", "cow", "unused")


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
            r"test_images in .* is uint8 \[3, 8, 10\], .* repeat gray values for the three channel",
        ),
        (
            {"test_images": np.zeros((3, 8, 10, 1), np.uint8)},
            r"test_images in .* is uint8 \[3, 8, 10, 1\], .* repeat gray values",
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
            r"train_images of 8 x 10 and test_images of 10 x 8 pixels: they must have the same siz",
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
        load_npz(path=npz(**change))


def test_npz_with_a_member_that_is_no_array(npz):
    path = npz(train_labels=None)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("train_labels", json.dumps([0, 1, 2, 2, 1, 0]))
    with pytest.raises(
        ValueError, match=r"train_labels in .*mine.npz is not an array: save it with"
    ):
        load_npz(path=path)


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x80\x04K\x01."])
def test_what_is_no_npz(tmp_path, content):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.npz is not an .npz file, or is cut short"):
        load_npz(path=str(tmp_path / "mine.npz"))


def test_damage_inside_an_npz_is_named(npz):
    path = Path(npz())
    content = bytearray(path.read_bytes())
    content[600] ^= 255  # Inside the pixels of the first array.
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine.npz is damaged: train_images cannot be read \(.+"):
        load_npz(path=str(path))


def test_labels_that_claim_to_be_more_than_memory_holds(tmp_path):
    for name, array in make_arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    header = {"descr": "<i8", "fortran_order": False, "shape": (10**16,)}
    with (tmp_path / "train_labels.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match=r"train_labels.npy is missing or damaged \("):
        load_npy(root=str(tmp_path))


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
        dataset = load_npz(path=str(path))
    except ValueError as error:
        message = str(error)
    if dataset is None:
        assert "damaged.npz" in message
    else:  # A byte was hit that does not matter, such as a date.
        assert cut == len(damaged)
        np.testing.assert_array_equal(dataset.train.images, make_arrays()["train_images"])
