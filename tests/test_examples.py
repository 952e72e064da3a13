"""Pictures of what the networks see and mistake."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest

from phash_jax import examples
from phash_jax.preprocess import PREPROCESS


def test_surest_mistakes_are_those_of_the_mean_probability():
    labels = np.array([0, 1, 2, 0], np.int32)
    probabilities = np.array(
        [
            # Image 0: right. 1: taken for 0 with 0.7. 2: for 1 with 0.5. 3: for 2 with 0.8.
            [[0.8, 0.1, 0.1], [0.9, 0.1, 0.0], [0.1, 0.6, 0.3], [0.1, 0.1, 0.8]],
            [[0.6, 0.2, 0.2], [0.5, 0.4, 0.1], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]],
        ],
        np.float32,
    )
    logits = np.log(probabilities + 1e-9)
    chosen, taken_for, sure = examples._surest_mistakes(logits, labels, 12)
    assert chosen.tolist() == [3, 1, 2]
    assert taken_for.tolist() == [2, 0, 1]
    np.testing.assert_allclose(sure, [0.8, 0.7, 0.5], rtol=1e-5)
    assert examples._surest_mistakes(logits, labels, 1)[0].tolist() == [3]


def test_mistakes_are_drawn_also_where_there_are_none(dataset, tmp_path):
    # The last output is no class.
    wrong = np.zeros((2, 101, 3), np.float32)
    wrong[:, :, 2] = 1.0
    right = np.zeros((2, 101, 3), np.float32)
    right[:, np.arange(101), dataset.test.labels] = 1.0
    examples.plot_mistakes(dataset, wrong, tmp_path / "wrong.png", preprocess="average_hash")
    examples.plot_mistakes(dataset, right, tmp_path / "right.png", preprocess="raw")
    two_rows = matplotlib.image.imread(tmp_path / "wrong.png")
    assert two_rows.shape[1] > 1000
    # Ink beyond black and white: the mistaken pictures themselves.
    assert np.unique(two_rows).size > 50
    assert matplotlib.image.imread(tmp_path / "right.png").shape[0] < two_rows.shape[0]


def test_examples_show_a_row_per_test_set(dataset, tmp_path):
    shown = {"preprocess": "raw", "num_images": 4}
    examples.plot_examples(dataset, tmp_path / "1.png", test_sets=["clean"], **shown)
    examples.plot_examples(
        dataset, tmp_path / "2.png", test_sets=["clean", "contrast_200"], **shown
    )
    one, two = (matplotlib.image.imread(tmp_path / name) for name in ("1.png", "2.png"))
    assert two.shape[1] == one.shape[1]
    assert 1.3 < two.shape[0] / one.shape[0] < 1.6
    with pytest.raises(ValueError, match="unknown test_sets 'sunny'"):
        examples.plot_examples(dataset, tmp_path / "3.png", test_sets=["sunny"], **shown)


@pytest.mark.parametrize("preprocess", PREPROCESS)
def test_every_way_of_feeding_a_network_is_drawn(dataset, tmp_path, preprocess):
    path = tmp_path / "examples.png"
    shown = {"preprocess": preprocess, "test_sets": ["clean"], "num_images": 2}
    examples.plot_examples(dataset, path, **shown)
    drawn = matplotlib.image.imread(path)
    image = jnp.asarray(dataset.train.images[0])
    channels = jax.eval_shape(PREPROCESS[preprocess], image).shape[-1]
    # Of 95 pixels each, and 25 for the titles.
    assert round((len(drawn) - 25) / 95) == 2 * max(1, channels // 3)
    is_gray = (drawn[..., :3] == drawn[..., :1]).all()
    assert is_gray == (channels == 1)


def test_mistakes_show_all_that_the_network_sees(dataset, tmp_path):
    wrong = np.zeros((1, 101, 3), np.float32)
    wrong[:, :, 2] = 1.0
    for preprocess, rows in (("raw", 1), ("average_hash", 2), ("gradient_hash", 3)):
        path = tmp_path / f"{preprocess}.png"
        examples.plot_mistakes(dataset, wrong, path, preprocess=preprocess, num_images=2)
        # Titles of three lines.
        assert round((len(matplotlib.image.imread(path)) - 59) / 95) == rows


@pytest.mark.parametrize(
    "class_names", [("automobile", "airplane"), ("$0_$10", "$20_$50"), ("a" * 30, "M" * 30)]
)
def test_titles_are_as_they_are_written_and_beside_one_another(
    dataset, tmp_path, monkeypatch, class_names
):
    named, figures = dataclasses.replace(dataset, class_names=class_names), []

    def save(figure, path, *, dpi):
        save_figure(figure, path, dpi=dpi)
        figures.append(figure)

    save_figure = examples.save
    monkeypatch.setattr(examples, "save", save)
    wrong = np.zeros((1, 101, 2), np.float32)
    wrong[:, np.arange(101), 1 - dataset.test.labels] = 1.0
    examples.plot_mistakes(named, wrong, tmp_path / "mistakes.png", preprocess="raw")
    (panel,) = figures[0].axes
    titles = panel.texts
    assert len(titles) == 12
    assert titles[0].get_text().split("\n")[0] in (class_names[0], class_names[0][:19] + "…")
    assert not titles[0].get_parse_math()
    boxes = [title.get_window_extent() for title in titles]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
