"""The user's own images: arrays or a folder of pictures, whichever lies at a path."""

from pathlib import Path

from phash_jax.data.arrays import WANTED, load_npy, load_npz
from phash_jax.data.dataset import Dataset
from phash_jax.data.picture_folder import load_folder


def load(*, path: str, image_size: int) -> Dataset:
    """Reads ``path``: an .npz file by ``load_npz``, a folder by ``load_npy`` or ``load_folder``.

    Args:
        path: the file or folder.
        image_size: side in pixels that pictures of a folder are resized to; the images of arrays
            keep their size.

    Raises:
        FileNotFoundError: there is nothing at ``path``, or a folder without its splits.
        ValueError: neither an .npz nor a folder, or something that the three functions refuse.
    """
    if not path:
        raise ValueError(
            "data.path is empty: name an .npz file or a folder with <split>/<class>/*.png or *.jpg"
        )
    place = Path(path).expanduser()
    if _has_npy(place):
        return load_npy(root=str(place))
    if place.is_dir():
        return load_folder(root=str(place), image_size=image_size)
    if not place.exists():
        raise FileNotFoundError(
            f"data.path {path} does not exist: name an .npz file or a folder with "
            "<split>/<class>/*.png or *.jpg"
        )
    if place.suffix.lower() == ".npz":
        return load_npz(path=str(place))
    raise ValueError(
        f"data.path {path} is neither a folder nor a file that ends in .npz: save the arrays with "
        "numpy.savez, or put the pictures into <split>/<class>/"
    )


def holds_arrays(path: str) -> bool:
    """Whether ``path`` holds arrays, whose images keep their size, and not pictures."""
    place = Path(path).expanduser()
    return place.suffix.lower() == ".npz" or _has_npy(place)


def _has_npy(folder: Path) -> bool:
    return any((folder / f"{name}.npy").exists() for name in WANTED)
