"""The drawn pictures: reproducible, balanced, and told apart by shape alone."""

import jax
import numpy as np
import pytest

from phash_jax.data import synthetic


def generate(**changes) -> tuple[np.ndarray, np.ndarray]:
    arguments = {"seed": 3, "split": "train", "num_images": 9, "image_size": 16, **changes}
    return synthetic.generate(**arguments)


@pytest.fixture(scope="module")
def thousands() -> tuple[np.ndarray, np.ndarray]:
    return generate(num_images=4500, image_size=32)


def held_out_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of a linear classifier, fitted by ridge regression, on the third it did not see."""
    features = (features - features.mean(0)) / features.std(0)
    features = np.column_stack([features, np.ones(len(features))])
    seen = len(labels) * 2 // 3
    x, y = features[:seen], np.eye(labels.max() + 1)[labels[:seen]]
    weights = np.linalg.solve(x.T @ x + len(x) * np.eye(x.shape[1]), x.T @ y)
    return float(np.mean((features[seen:] @ weights).argmax(1) == labels[seen:]))


@pytest.mark.parametrize("image_size", [16, 32, 96])
def test_shape_dtype_and_range(image_size):
    images, labels = generate(image_size=image_size)
    assert images.shape == (9, image_size, image_size, 3)
    assert images.dtype == np.uint8
    assert labels.shape == (9,)
    assert labels.dtype == np.int32
    assert (images.reshape(9, -1).std(1) > 5).all()


def test_draw_takes_a_traced_label():
    image = jax.eval_shape(
        lambda key, label: synthetic.draw(key, label, image_size=40),
        jax.random.key(0),
        jax.ShapeDtypeStruct((), np.int32),
    )
    assert image.shape == (40, 40, 3)
    assert image.dtype == np.uint8


def test_same_arguments_same_pictures():
    for one, two in zip(generate(), generate(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("num_images", [1, 8, 256, 300])
def test_a_larger_set_begins_with_the_smaller_one(num_images):
    images, labels = generate(num_images=num_images)
    more_images, more_labels = generate(num_images=520)
    np.testing.assert_array_equal(images, more_images[:num_images])
    np.testing.assert_array_equal(labels, more_labels[:num_images])


@pytest.mark.parametrize("change", [{"seed": 4}, {"split": "test"}])
def test_seeds_and_splits_share_no_picture(change):
    images, labels = generate(num_images=300)
    other_images, other_labels = generate(num_images=300, **change)
    both = np.concatenate([images, other_images]).reshape(600, -1)
    assert len(np.unique(both, axis=0)) == 600
    assert (labels != other_labels).any()


@pytest.mark.parametrize("class_names", [("truck", "cat"), synthetic.CLASS_NAMES])
def test_classes_are_balanced_and_shuffled(class_names):
    _, labels = generate(num_images=301, class_names=class_names)
    counts = np.bincount(labels, minlength=len(class_names))
    assert counts.max() - counts.min() <= 1
    runs = labels[: 100 * len(class_names)].reshape(100, -1)
    assert (np.sort(runs, axis=1) == np.arange(len(class_names))).all()
    assert len(np.unique(runs, axis=0)) == len(class_names) * (len(class_names) - 1)


def test_labels_index_the_classes_asked_for():
    everything, labels = generate(num_images=300)
    trucks, truck_labels = generate(num_images=300, class_names=("truck",))
    assert not truck_labels.any()
    # Image i has the same random numbers whatever its class, so a truck is the same truck.
    same = (everything == trucks).all((1, 2, 3))
    np.testing.assert_array_equal(same, labels == synthetic.CLASS_NAMES.index("truck"))


def test_colour_and_contrast_do_not_tell_the_classes_apart(thousands):
    images, labels = thousands
    moments = np.concatenate([images.mean((1, 2)), images.std((1, 2))], axis=1) / 255
    moments = np.concatenate([moments, moments**2], axis=1)
    animals = labels < 2
    assert held_out_accuracy(moments[animals], labels[animals]) < 0.57
    assert held_out_accuracy(moments, labels) < 0.45


def test_shape_tells_cats_from_dogs_raw_and_hashed(thousands):
    images, labels = thousands
    images, labels = images[labels < 2].mean(-1), labels[labels < 2]
    raw = images - images.mean((1, 2), keepdims=True)
    for picture in (raw, np.sign(raw)):
        # A linear classifier cannot see past light on dark or dark on light: make all light.
        figure_is_light = np.sign(picture[:, 8:28, 8:24].mean((1, 2)))
        light = picture * figure_is_light[:, None, None]
        coarse = light.reshape(-1, 16, 2, 16, 2).mean((2, 4)).reshape(len(labels), -1)
        assert held_out_accuracy(coarse, labels) > 0.58


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ("cat", "horse")}, r"\['horse'\]; choose from cat, dog, truck"),
        ({"class_names": ("cat", "cat")}, r"\['cat', 'cat'\]; choose from cat, dog, truck"),
        ({"class_names": ()}, r"no classes \[\]; choose from cat, dog, truck"),
        ({"split": "validation"}, "unknown split 'validation'; choose one of train, test"),
        ({"num_images": 0}, "number of generated images must be 1 or more, got 0"),
        ({"image_size": 7}, "generated images must be 8 pixels wide or more, got 7"),
        ({"seed": -1}, "seed of generated images must be 0 to 4294967295, got -1"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        generate(**change)
