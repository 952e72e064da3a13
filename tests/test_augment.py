"""Training on distorted images."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import on_batch_devices
from scipy import stats

from phash_jax import augment
from phash_jax.augment import (
    augment_names,
    batch_parts,
    cut_out,
    make_augment,
    make_mixup,
    make_move,
    mix,
    partners,
    random_move,
    random_zoom,
)
from phash_jax.batches import take_share
from phash_jax.distortions import DISTORTIONS, GROUPS
from phash_jax.placement import BATCH, place

NAMES = ["clean", "brightness", "gaussian_noise", "clean"]


def augmented(images, shards, *, batch_size=16):
    """The augmented batch, and the indices it was drawn from, in the order of the shards."""
    augment_share = make_augment(NAMES)

    def of_shard(key, images):
        indices = take_share(jnp.arange(batch_size, dtype=jnp.int32), parts=len(NAMES))
        return augment_share(key, images[indices]), indices

    of_all = on_batch_devices(of_shard, number=shards, split=True)
    distorted, indices = jax.jit(of_all)(jax.random.key(0), images)
    return np.asarray(distorted)[np.argsort(indices)]


def test_each_share_is_distorted_in_its_way_on_any_number_of_devices(dataset):
    images = jnp.asarray(dataset.train.images[:16])
    one = augmented(images, 1)
    np.testing.assert_array_equal(one[:4], images[:4])
    np.testing.assert_array_equal(one[12:], images[12:])
    assert (one[4:8] >= images[4:8]).all()
    changed = (one != images).mean((1, 2, 3))
    assert (changed[4:12] > 0.5).all()
    for i, name in ((5, "brightness"), (9, "gaussian_noise")):
        key = jax.random.fold_in(jax.random.key(0), i)
        severity_key, draw_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 2)
        severity = jax.random.randint(severity_key, (), 1, 6, jnp.int32)
        by_hand = jax.jit(DISTORTIONS[name])(draw_key, images[i], severity)
        np.testing.assert_array_equal(one[i], by_hand)
    for shards in (2, 4):
        np.testing.assert_array_equal(augmented(images, shards), one)


def test_float64_moves_as_float32():
    image = jnp.arange(8 * 8 * 3, dtype=jnp.uint8).reshape(8, 8, 3)
    moves = jax.vmap(lambda key: random_move(key, image, flip=True, max_shift=2))
    expected = moves(jax.random.split(jax.random.key(0), 12))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(moves(jax.random.split(jax.random.key(0), 12)), expected)


def test_moves_tell_nothing_of_what_a_distortion_draws(monkeypatch):
    def drawn(key, image, severity):
        """What the first key of a split decides, beside what moved the image."""
        decided = jax.random.bernoulli(jax.random.split(key)[0])
        return image.at[0].set(255 * decided.astype(jnp.uint8))

    monkeypatch.setitem(augment.DISTORTIONS, "drawn", drawn)
    shaded = np.zeros((400, 2, 2, 3), np.uint8)
    shaded[:, :, 1] = 100
    of = on_batch_devices(
        lambda key, images: make_augment(["drawn"])(key, make_move(flip=True)(key, images))
    )
    images = np.asarray(of(jax.random.key(0), shaded))
    mirrored, decided = images[:, 1, 0, 0] == 100, images[:, 0, 0, 0] == 255
    # Five standard deviations of 400 throws of a coin.
    assert abs(np.mean(mirrored == decided) - 0.5) < 5 * 0.5 / 20


def test_each_change_of_an_image_draws_its_own_numbers(monkeypatch):
    def noting(row):
        def change(key, image, **options):
            return image.at[row].set(jax.random.bits(key, image.shape[1:], jnp.uint8))

        return change

    for row, name in enumerate(("random_zoom", "random_move", "cut_out")):
        monkeypatch.setattr(augment, name, noting(row))
    of = on_batch_devices(make_move(flip=True, max_zoom=0.1, cutout=2))
    images = np.asarray(of(jax.random.key(0), np.zeros((4, 3, 8, 3), np.uint8)))
    assert len(np.unique(images.reshape(12, 24), axis=0)) == 12


def test_every_second_image_is_mirrored_and_every_one_moved(dataset):
    image = jnp.asarray(dataset.train.images[0])
    keys = jax.random.split(jax.random.key(0), 400)
    moved = np.asarray(jax.vmap(lambda key: random_move(key, image, flip=True, max_shift=2))(keys))
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    counts = {}
    for mirrored in (False, True):
        source = padded[:, ::-1] if mirrored else padded
        for top, left in np.ndindex(5, 5):
            window = source[top : top + 16, left : left + 16]
            counts[mirrored, top, left] = (moved == window).all((1, 2, 3)).sum()
    assert sum(counts.values()) == 400
    assert sum(n for (mirrored, *_), n in counts.items() if mirrored) == pytest.approx(200, abs=50)
    # 8 on average; a uniform draw has all 50 in the range with a probability of 0.98.
    assert min(counts.values()) >= 1
    assert max(counts.values()) <= 20


@pytest.mark.parametrize(
    "of_one",
    [
        partial(random_move.__wrapped__, flip=True, max_shift=1),
        partial(random_zoom.__wrapped__, max_zoom=0.2),
        partial(cut_out.__wrapped__, side=3),
        lambda key, image: mix.__wrapped__(image, image, 0.5),
    ],
)
def test_values_that_are_not_uint8_are_refused(of_one):
    with pytest.raises(TypeError, match="takes uint8 values from 0 to 255, got float32"):
        of_one(jax.random.key(0), np.zeros((8, 8, 3), np.float32))


def test_neither_flip_nor_shift_leaves_the_image(dataset):
    image = jnp.asarray(dataset.train.images[0])
    np.testing.assert_array_equal(
        random_move(jax.random.key(0), image, flip=False, max_shift=0), image
    )
    with pytest.raises(ValueError, match=r"train\.max_shift is 16 pixels, images are 16x16"):
        random_move(jax.random.key(0), image, flip=False, max_shift=16)


def test_a_zoom_keeps_the_middle_and_stretches_height_and_width_apart():
    # A ramp whose steps are the factors: value 10 y + 4 x about the middle.
    rows, columns = np.arange(12) - 5.5, np.arange(16) - 7.5
    ramp = 128 + 10 * rows[:, None] + 4 * columns
    image = jnp.asarray(np.repeat(np.round(ramp)[..., None], 3, -1).astype(np.uint8))
    zoom = jax.jit(jax.vmap(lambda key: random_zoom(key, image, max_zoom=0.25)))
    zoomed = np.asarray(zoom(jax.random.split(jax.random.key(0), 400))).astype(float)
    # Away from the border, where the ramp is reflected.
    inner = zoomed[:, 4:8, 5:11].mean(-1)
    np.testing.assert_allclose(inner.mean((1, 2)), 128, atol=1)
    factors = [
        10 / np.mean(np.diff(inner, axis=1), (1, 2)),
        4 / np.mean(np.diff(inner, axis=2), (1, 2)),
    ]
    for factor, precision in zip(factors, (0.02, 0.05), strict=True):
        logarithms = np.log(factor)
        assert np.abs(logarithms).max() < np.log(1.25) + precision
        # Uniform: each quarter has 100 of 400, with a standard deviation of 9.
        counts = np.histogram(logarithms, 4, (-np.log(1.25), np.log(1.25)))[0]
        assert counts.min() >= 60
    assert abs(np.corrcoef(*factors)[0, 1]) < 0.25


def test_a_zoom_of_one_leaves_the_image_and_any_size_can_be_zoomed():
    rng, zoom = np.random.default_rng(0), jax.jit(random_zoom, static_argnames="max_zoom")
    for shape in ((1, 1, 3), (7, 5, 1), (32, 32, 3)):
        image = jnp.asarray(rng.integers(0, 256, shape, np.uint8))
        np.testing.assert_array_equal(zoom(jax.random.key(0), image, max_zoom=0.0), image)
        flat = jnp.full(shape, 77, jnp.uint8)
        np.testing.assert_array_equal(zoom(jax.random.key(0), flat, max_zoom=1.0), flat)


def test_a_square_anywhere_is_covered_with_the_mean_colour():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image[..., 0] = image[..., 0] // 2 + 128
    keys = jax.random.split(jax.random.key(0), 700)
    covered = np.asarray(jax.vmap(lambda key: cut_out(key, jnp.asarray(image), side=3))(keys))
    mean = image.reshape(-1, 3).astype(int).sum(0) // 35
    counts = {}
    for y, x in np.ndindex(5, 7):
        expected = image.copy()
        expected[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = mean
        counts[y, x] = (covered == expected).all((1, 2, 3)).sum()
    assert sum(counts.values()) == 700
    # 20 on average; a uniform draw has all 35 in the range with a probability above 0.99.
    assert min(counts.values()) >= 5
    assert max(counts.values()) <= 42
    np.testing.assert_array_equal(cut_out(keys[0], jnp.asarray(image), side=0), image)


def test_a_large_image_is_covered_with_its_mean_too():
    # The sum of a colour is more than int32 holds.
    covered = cut_out(jax.random.key(0), jnp.full((2950, 2950, 3), 250, jnp.uint8), side=9)
    assert (np.asarray(covered) == 250).all()
    with pytest.raises(ValueError, match="an image of 5000x5000 pixels is too large"):
        jax.eval_shape(
            lambda image: cut_out(jax.random.key(0), image, side=9),
            jax.ShapeDtypeStruct((5000, 5000, 3), jnp.uint8),
        )


def test_every_image_of_a_batch_is_covered_somewhere_else(dataset):
    images = jnp.asarray(dataset.train.images[:8])
    of = on_batch_devices(make_move(cutout=6))
    changed = (np.asarray(of(jax.random.key(0), images)) != images).any(-1)
    assert (changed.sum((1, 2)) <= 36).all()
    assert (changed.sum((1, 2)) >= 4).all()
    # Two of eight are alike at times, by chance.
    assert len(np.unique(changed, axis=0)) >= 6


def mixed(images, shards, *, alpha=0.5):
    """The mixed batch, its shares and its partners' numbers, in the order of the batch."""
    mixup = make_mixup(alpha=alpha)

    def of_shard(key, images):
        indices = take_share(jnp.arange(len(images), dtype=jnp.int32), parts=1)
        return *mixup(key, images[indices]), partners(indices), indices

    of_all = on_batch_devices(of_shard, number=shards, split=True)
    *found, indices = jax.jit(of_all)(jax.random.key(0), images)
    return [np.asarray(array)[np.argsort(indices)] for array in found]


def test_images_are_mixed_in_the_same_pairs_on_any_number_of_devices(dataset):
    images = dataset.train.images[:16]
    one, shares, numbers = mixed(jnp.asarray(images), 1)
    np.testing.assert_array_equal(numbers, (np.arange(16) + 8) % 16)
    assert ((shares >= 0.5) & (shares <= 1)).all()
    assert len(np.unique(shares)) == 16
    by_hand = shares[:, None, None, None].astype(np.float64)
    by_hand = by_hand * images + (1 - by_hand) * images[numbers]
    # Rounded from float32: a half may fall to either side.
    assert np.abs(one - by_hand).max() <= 0.501
    assert (one != images).any((1, 2, 3)).sum() > 8
    for shards in (2, 4, 8):
        for ours, theirs in zip(
            mixed(jnp.asarray(images), shards), (one, shares, numbers), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="images are mixed in pairs, but there are 1"):
        mixed(jnp.asarray(images[:8]), 8)


@pytest.mark.parametrize("alpha", [0.01, 0.4, 1.0, 100.0])
def test_shares_are_drawn_as_asked(alpha):
    shares = mixed(jnp.zeros((4000, 1, 1, 1), jnp.uint8), 1, alpha=alpha)[1]
    # Of the larger of a number from the beta distribution and its rest.
    drawn = np.random.default_rng(0).beta(alpha, alpha, 4000)
    drawn = np.maximum(drawn, 1 - drawn).astype(np.float32)
    assert stats.ks_2samp(shares, drawn).pvalue > 1e-3
    assert shares.min() >= 0.5
    assert shares.max() <= 1


def test_a_gpu_is_given_no_loop_to_draw_shares():
    draw = jax.jit(on_batch_devices(make_mixup(alpha=0.4)))
    traced = draw.trace(jax.random.key(0), jnp.zeros((4, 8, 8, 3), jnp.uint8))
    assert "stablehlo.while" not in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_a_mixture_may_be_all_of_one_image():
    one, other = (jnp.asarray(np.full((2, 2, 3), value, np.uint8)) for value in (250, 10))
    for share, value in ((1.0, 250), (0.75, 190), (0.5, 130)):
        np.testing.assert_array_equal(mix(one, other, jnp.float32(share)), value)


def test_batches_that_cannot_be_shared_out_are_refused(dataset):
    with pytest.raises(ValueError, match=r"4 equal parts .* 2 devices, .* multiple of 8, not 12"):
        augmented(jnp.asarray(dataset.train.images[:16]), 2, batch_size=12)


def test_a_batch_is_split_so_that_each_device_has_some_of_every_part():
    # 30 images of each of 8 ways: four devices would leave one with 7 and another with 8.
    placed = place(num_seeds=1, batch_size=240, parts=8, devices=jax.devices()[:4])
    assert placed.mesh.shape[BATCH] == 2
    assert place(num_seeds=1, batch_size=240, devices=jax.devices()[:4]).mesh.shape[BATCH] == 4
    # 25 images cannot be mixed in pairs, 50 can.
    parts = batch_parts("", mixup=0.4)
    placed = place(num_seeds=1, batch_size=100, parts=parts, devices=jax.devices()[:4])
    assert placed.mesh.shape[BATCH] == 2


def test_a_device_has_equal_parts_for_every_way_and_pairs():
    assert batch_parts("", mixup=0.0) == 1
    assert batch_parts("clean,fog,frost", mixup=0.0) == 3
    assert batch_parts("clean,fog,frost", mixup=0.4) == 6
    assert batch_parts("clean,fog", mixup=0.4) == 2
    of = on_batch_devices(make_augment(["clean", "fog"]))
    with pytest.raises(ValueError, match="7 images cannot be split into 2 equal parts"):
        of(jax.random.key(0), jnp.zeros((7, 8, 8, 3), jnp.uint8))


def test_names():
    assert augment_names("") == []
    assert augment_names("clean, study") == ["clean", *GROUPS["study"]]
    with pytest.raises(ValueError, match=r"unknown train.augment 'blurr'; choose one of clean, "):
        augment_names("clean,blurr")


def test_uses_of_a_key_are_those_of_runs_begun_before():
    uses = augment._SEVERITY, augment._MOVE, augment._DISTORTION
    assert (*uses, augment._CUTOUT, augment._ZOOM, augment._MIXUP) == (0, 1, 2, 3, 4, 5)


def test_an_image_is_zoomed_then_moved_then_covered(monkeypatch):
    order = []

    def note(name):
        return lambda key, image, **_: order.append(name) or image

    for name in ("random_zoom", "random_move", "cut_out"):
        monkeypatch.setattr(augment, name, note(name))
    of = on_batch_devices(make_move(flip=True, max_shift=0, max_zoom=0.1, cutout=2))
    of(jax.random.key(0), np.zeros((2, 4, 4, 3), np.uint8))
    assert order == ["random_zoom", "random_move", "cut_out"]
