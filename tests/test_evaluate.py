"""What a network is shown of a test image."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from phash_jax.evaluate import predict, views

IMAGES = np.asarray(random.randint(random.key(0), (3, 5, 7, 3), 0, 256), np.uint8)


class Brightest:
    """In place of a network: logits that tell images and their views apart."""

    def apply(self, variables, inputs, *, train):
        assert not train
        position = jnp.arange(inputs[0].size).reshape(inputs[0].shape)
        return variables["scale"] * jnp.stack(
            [inputs.sum((1, 2, 3)), (inputs * position).sum((1, 2, 3))], -1
        )


def test_an_image_is_itself_without_views():
    np.testing.assert_array_equal(views(IMAGES, flip=False, shift=0), IMAGES[None])


def test_mirrored_twice_is_the_image():
    plain, mirrored = views(IMAGES, flip=True, shift=0)
    np.testing.assert_array_equal(plain, IMAGES)
    np.testing.assert_array_equal(mirrored[:, :, ::-1], IMAGES)


def test_moved_views_are_the_four_diagonals_and_reflect_at_the_border():
    plain, *moved = views(IMAGES, flip=False, shift=2)
    np.testing.assert_array_equal(plain, IMAGES)
    for view, (down, right) in zip(moved, [(2, 2), (2, -2), (-2, 2), (-2, -2)], strict=True):
        for y in range(5):
            for x in range(7):
                # Reflected about the outermost row and column, which are not repeated.
                from_y, from_x = y - down, x - right
                from_y = -from_y if from_y < 0 else 8 - from_y if from_y > 4 else from_y
                from_x = -from_x if from_x < 0 else 12 - from_x if from_x > 6 else from_x
                np.testing.assert_array_equal(view[:, y, x], IMAGES[:, from_y, from_x])


def test_every_view_is_mirrored_too():
    seen = views(IMAGES, flip=True, shift=1)
    assert len(seen) == 10
    np.testing.assert_array_equal(seen[5:], seen[:5, :, :, ::-1])


def test_logits_are_the_mean_over_the_views():
    def predicted(images, flip, shift):
        return predict(
            Brightest(),
            lambda image: image / 255,
            {"scale": 2.0},
            images,
            test_flip=flip,
            test_shift=shift,
        )

    seen = views(IMAGES, flip=True, shift=1)
    expected = np.mean([predicted(view, False, 0) for view in seen], 0)
    np.testing.assert_allclose(predicted(IMAGES, True, 1), expected, rtol=1e-6)


def test_a_move_past_the_border_is_refused():
    with pytest.raises(ValueError, match="test_shift is 5 pixels, images are 5x7: it must be"):
        views(IMAGES, flip=False, shift=5)
