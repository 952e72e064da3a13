"""What lies at a path is told apart, or refused."""

import pytest
from test_picture_folder import save_picture

from phash_jax.data import files


def test_load_tells_files_from_folders(tmp_path):
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            save_picture(tmp_path / split / name / "a.png", (1, 2, 3))
    dataset = files.load(path=str(tmp_path), image_size=16)
    assert dataset.train.images.shape == (2, 16, 16, 3)
    assert dataset.class_names == ("ant", "bee")


def test_load_refuses_other_paths(tmp_path):
    with pytest.raises(ValueError, match=r"data.path is empty: name an .npz file or a folder"):
        files.load(path="", image_size=32)
    with pytest.raises(FileNotFoundError, match=r"data.path .*gone.npz does not exist: name an"):
        files.load(path=str(tmp_path / "gone.npz"), image_size=32)
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"data.csv is neither a folder nor a file that ends in"):
        files.load(path=str(tmp_path / "data.csv"), image_size=32)
