"""Near-duplicates among hashed pictures: the pairs, the groups they form, and a contact sheet."""

import bisect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Integer, UInt32, UInt64
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from phash_jax import hamming
from phash_jax.figures import new_figure, save
from phash_jax.whole_files import write_rows

_COLUMNS, _MOST_LINES, _MOST_OF_GROUP = 8, 7, 6
# More do not fit, whatever their sizes.
_MOST_GROUPS = 21
_THUMBNAIL = 160
_MOST_LETTERS = 26


class NearDuplicates(NamedTuple):
    """Pairs of pictures, the closest first; pictures are numbered as their codes are.

    Attributes:
        left: first picture of each pair, smaller than ``right``.
        right: second picture.
        distance: differing bits.
        group: number of the group, from 0; pictures are in one group if pairs lead from one to the
            other, so the ends of a long chain may be far apart.
        total: how many pairs there are, those left out included.
        complete_to: all pairs up to this distance are listed; -1 if not even all of distance 0.
    """

    left: Integer[np.ndarray, " pairs"]
    right: Integer[np.ndarray, " pairs"]
    distance: Integer[np.ndarray, " pairs"]
    group: Integer[np.ndarray, " pairs"]
    total: int
    complete_to: int


def codes(columns: Mapping[str, UInt64[np.ndarray, " n"]]) -> UInt32[np.ndarray, "n words"]:
    """The columns of one hash in a catalog as packed words, most significant first."""
    halves = [half for c in columns.values() for half in (c >> np.uint64(32), c)]
    return np.stack([half.astype(np.uint32) for half in halves], axis=1)


def find(words: UInt32[np.ndarray, "n words"], *, radius: int, max_pairs: int) -> NearDuplicates:
    """All pairs of codes that differ in at most ``radius`` bits.

    Args:
        words: packed hashes, one a picture.
        radius: largest distance, bits.
        max_pairs: if there are more, only the closest are listed; all are counted.
    """
    found = hamming.pairs_within(words, radius=radius, max_pairs=max_pairs)
    total, complete_to = int(found.total), radius
    listed = _columns(found)
    if total > max_pairs:
        radii = range(min(radius, 32 * words.shape[1]))
        complete_to = bisect.bisect_right(
            radii, max_pairs, key=lambda radius: hamming.count_within(words, radius=radius)
        )
        complete_to -= 1
        # The first pairs of the next radius, with all that are nearer.
        found = hamming.pairs_within(words, radius=complete_to + 1, max_pairs=max_pairs)
        listed = _columns(found)
        if complete_to >= 0:
            found = hamming.pairs_within(words, radius=complete_to, max_pairs=max_pairs)
            listed = np.concatenate([_columns(found), listed[:, listed[2] > complete_to]], axis=1)
    listed = listed[:, np.lexsort((listed[1], listed[0], listed[2]))][:, :max_pairs]
    left, right, distance = listed
    group = _groups(left, right, len(words))
    return NearDuplicates(left, right, distance, group, total, complete_to)


def _columns(pairs: "hamming.Pairs") -> Integer[np.ndarray, "3 pairs"]:
    return np.stack([np.asarray(c, np.int64) for c in (pairs.left, pairs.right, pairs.distance)])


def _groups(left, right, num_codes: int) -> Integer[np.ndarray, " pairs"]:
    """Numbers the connected components in the order in which the sorted pairs first reach them."""
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(num_codes, num_codes))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component[left], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def rests_on_noise(
    pairs: NearDuplicates, fragile: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, " pairs"]:
    """In which pairs the hash of a picture is decided by a tie or by rounding.

    Such are flat pictures: their bits say nothing about what they show.

    Args:
        pairs: what ``find`` returned.
        fragile: whether that is so, for each picture.
    """
    return fragile[pairs.left] | fragile[pairs.right]


def write_csv(
    pairs: NearDuplicates,
    addresses: Sequence[str],
    fragile: Bool[np.ndarray, " n"],
    path: Path,
) -> None:
    """Lists the pairs: Group, Distance in bits, LeftAddr, RightAddr, and Fragile: yes or nothing.

    Args:
        pairs: what ``find`` returned.
        addresses: of each picture.
        fragile: see ``rests_on_noise``.
        path: a CSV file.
    """
    noisy = rests_on_noise(pairs, fragile)
    rows = [
        [group, distance, addresses[left], addresses[right], "yes" if by_noise else ""]
        for left, right, distance, group, by_noise in zip(*pairs[:4], noisy, strict=True)
    ]
    write_rows(path, [["Group", "Distance", "LeftAddr", "RightAddr", "Fragile"], *rows])


def draw(
    pairs: NearDuplicates,
    words: UInt32[np.ndarray, "n words"],
    fragile: Bool[np.ndarray, " n"],
    captions: Callable[[int], str],
    thumbnail: Callable[[int], Image.Image | None],
    path: Path,
) -> None:
    """Draws a contact sheet: the pictures of a group side by side, the closest groups first.

    Under each picture are its caption, its distance from the first of its group, and a note if its
    hash is decided by noise.

    Args:
        pairs: what ``find`` returned, with at least one pair.
        words: the codes it was found in.
        fragile: see ``rests_on_noise``.
        captions: from a picture's number to its name.
        thumbnail: from a picture's number to a picture of any size, or None if it cannot be read.
        path: a PNG file.
    """
    num_groups = int(pairs.group.max()) + 1
    lines = _lay_out([_members(pairs, group) for group in range(min(_MOST_GROUPS, num_groups))])
    num_shown = sum(len(line) for line in lines)
    height = 0.35 + 1.95 * len(lines)
    figure = new_figure(1.6 * _COLUMNS, height, layout=None)
    shown = f"the {num_shown} closest" if num_shown < num_groups else "all"
    figure.suptitle(
        f"Near-duplicates: {shown} of {num_groups:,} groups", fontsize=10, y=1 - 0.1 / height
    )
    grid = figure.subplots(len(lines), _COLUMNS, squeeze=False)
    for panel in grid.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    numbered = enumerate(group for line in lines for group in line)
    for panels, line in zip(grid, lines, strict=True):
        free = iter(panels)
        for _ in line:
            group, members = next(numbered)
            for place, number in enumerate(members[:_MOST_OF_GROUP]):
                panel = next(free)
                _draw_one(panel, thumbnail(number))
                bits = int(np.bitwise_count(words[number] ^ words[members[0]]).sum())
                note = "" if not place else "same bits" if not bits else f"{bits} bits apart"
                if fragile[number]:
                    note += f"{', ' * bool(note)}by noise"
                panel.set_xlabel(f"{_shortened(captions(number))}\n{note}", fontsize=7)
                if not place:
                    more = len(members) - _MOST_OF_GROUP
                    title = f"group {group}" + (f", {more:,} more" if more > 0 else "")
                    panel.set_title(title, fontsize=8, loc="left", fontweight="bold")
            next(free, None)
    figure.subplots_adjust(
        left=0.01, right=0.99, top=1 - 0.5 / height, bottom=0.4 / height, hspace=0.45, wspace=0.08
    )
    save(figure, path, dpi=100)


def _members(pairs: NearDuplicates, group: int) -> list[int]:
    chosen = pairs.group == group
    # Each pair in turn, so that the closest come first.
    ends = np.stack([pairs.left[chosen], pairs.right[chosen]], axis=1).ravel()
    return list(dict.fromkeys(ends.tolist()))


def _lay_out(groups: Sequence[list[int]]) -> list[list[list[int]]]:
    """Groups in lines, in order, one column free between two, as many as fit on the sheet."""
    lines, used = [], _COLUMNS + 1
    for members in groups:
        width = min(len(members), _MOST_OF_GROUP)
        if used + 1 + width > _COLUMNS:
            if len(lines) == _MOST_LINES:
                break
            lines.append([])
            used = -1
        lines[-1].append(members)
        used += 1 + width
    return lines


def _draw_one(panel, image: Image.Image | None) -> None:
    if image is None:
        panel.text(0.5, 0.5, "cannot be read now", ha="center", va="center", fontsize=7)
    else:
        panel.imshow(np.asarray(image), interpolation="nearest")


def _shortened(text: str) -> str:
    """The end of a long name, where pictures of one folder differ."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_LETTERS else "…" + text[1 - _MOST_LETTERS :]


def small(image: Image.Image) -> Image.Image:
    """A copy for the contact sheet, RGB, at most 160 pixels a side."""
    # First to 8 bits per channel, as ImageHash sees it, so that 16-bit pictures are not all white.
    deep = image.mode.startswith(("I", "F"))
    image = image.convert("L").convert("RGB") if deep else image.convert("RGB")
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return image
