"""What holds for every distortion by severity."""

import contextlib
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from phash_jax.data import synthetic
from phash_jax.distortions import DISTORTIONS, GROUPS, TEST_SETS, distortion_names, spatter
from phash_jax.distortions.contrast import contrast_level
from phash_jax.distortions.crystallize import crystallize
from phash_jax.distortions.high_frequency import add_noise
from phash_jax.distortions.severity import at_severity
from phash_jax.distortions.swirl import swirl

RANDOM = {
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "frost",
    "fog",
    "elastic_transform",
    "speckle_noise",
    "spatter",
    "crystallize",
    "contrast_and_noise",
}


@contextlib.contextmanager
def unoptimized():
    """Programs that run once on one image: compiling them well would take most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


@functools.cache
def compiled(name):
    return jax.jit(DISTORTIONS[name])


@functools.cache
@unoptimized()
def at_every_severity(name):
    """Two images at severities 0 to 5, uint8 [6, 2, 32, 32, 3], by one program."""
    images, _ = synthetic.generate(
        seed=2, split="test", num_images=2, image_size=32, class_names=("dog", "truck")
    )
    of_images = jax.vmap(DISTORTIONS[name], in_axes=(0, 0, None))
    of_severities = jax.jit(jax.vmap(of_images, in_axes=(None, None, 0)))
    of = of_severities(keys(2), jnp.asarray(images), jnp.arange(6, dtype=jnp.int32))
    return images, np.asarray(of)


def keys(number, seed=3):
    return jax.random.split(jax.random.key(seed), number)


def assert_same_but_for_rounding(ours, theirs):
    """Compilers fuse a sum with a product, and add in another order, as suits each program.

    Where a result is a whole number but for rounding, it may be cut down to the one below.
    """
    away = np.abs(np.asarray(ours).astype(int) - np.asarray(theirs))
    assert away.max() <= 1
    assert np.mean(away > 0) < 0.01


def test_there_are_cifar10cs_19_and_the_studys_four():
    assert [len(GROUPS[name]) for name in ("cifar10c", "extra", "study")] == [15, 4, 4]
    assert len(DISTORTIONS) == 23
    assert distortion_names("fog, study,fog") == ["fog", *GROUPS["study"]]


@pytest.mark.parametrize("name", DISTORTIONS)
def test_every_severity_is_another(name):
    images, of = at_every_severity(name)
    assert of.dtype == np.uint8
    np.testing.assert_array_equal(of[0], images)
    # Motion blur's severities 3 and 4 differ by shifts that weigh less than 1e-8.
    different = len({distorted.tobytes() for distorted in of})
    assert different == (5 if name == "motion_blur" else 6)


@pytest.mark.parametrize("name", GROUPS["study"])
def test_the_studys_distortions_grow(name):
    images, of = at_every_severity(name)
    away = np.abs(of.astype(int) - images).mean((1, 2, 3, 4))
    assert (np.diff(away) > 0).all()


@pytest.mark.parametrize(
    ("name", "by_strength", "strengths"),
    [
        ("raised_contrast", lambda *a: contrast_level(a[1], level=a[2]), (50, 100, 150, 200, 230)),
        ("swirl", lambda *a: swirl(a[1], strength=a[2]), (1.0, 2.0, 3.0, 4.5, 6.0)),
        ("crystallize", lambda *a: crystallize(*a[:2], cell_size=a[2]), (2, 3, 4, 5, 6)),
        (
            "contrast_and_noise",
            lambda *a: add_noise(a[0], contrast_level(a[1], level=a[2][0]), amplitude=a[2][1]),
            ((25, 5.0), (50, 10.0), (100, 15.0), (150, 20.0), (200, 30.0)),
        ),
    ],
    ids=GROUPS["study"],
)
def test_the_strengths_of_the_studys_distortions(name, by_strength, strengths):
    images, of = at_every_severity(name)
    for severity, strength in enumerate(strengths, 1):
        expected = np.asarray(by_strength(keys(2)[0], jnp.asarray(images[0]), strength))
        assert_same_but_for_rounding(of[severity, 0], expected)


def test_severity_4_of_raised_contrast_is_the_studys_test_set():
    images, of = at_every_severity("raised_contrast")
    np.testing.assert_array_equal(of[4], jax.vmap(TEST_SETS["contrast_200"])(images))
    np.testing.assert_array_equal(jax.vmap(TEST_SETS["clean"])(images), images)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_mapped_as_one_by_one_and_decided_by_the_key(name):
    images, of = at_every_severity(name)
    one = compiled(name)
    for severity, i in ((0, 0), (2, 1), (5, 0)):
        key = keys(2)[i]
        distorted = np.asarray(one(key, images[i], jnp.int32(severity)))
        assert_same_but_for_rounding(distorted, of[severity, i])
        again = np.asarray(one(key, images[i], jnp.int32(severity)))
        np.testing.assert_array_equal(again, distorted)
    other = np.asarray(one(keys(2, seed=4)[0], images[0], jnp.int32(5)))
    assert (other != distorted).any() == (name in RANDOM)


# Those of whose floats compilers make other sums, and those with loops.
@pytest.mark.parametrize(
    "name",
    [
        *("gaussian_noise", "defocus_blur", "glass_blur", "zoom_blur", "snow", "fog", "saturate"),
        *("elastic_transform", "spatter", "swirl", "crystallize"),
    ],
)
def test_compiled_as_step_by_step(name):
    image = at_every_severity(name)[0][0]
    as_one = compiled(name)(keys(1)[0], image, jnp.int32(3))
    with unoptimized():
        step_by_step = DISTORTIONS[name](keys(1)[0], jnp.asarray(image), 3)
    assert_same_but_for_rounding(step_by_step, as_one)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3)])
@pytest.mark.parametrize("name", DISTORTIONS)
@unoptimized()
def test_small_images_are_distorted_or_refused(name, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    distort = jax.jit(DISTORTIONS[name])
    if name == "elastic_transform" and min(shape[:2]) < 3:
        with pytest.raises(ValueError, match="needs images of 3x3 pixels or more"):
            distort(keys(1)[0], image, 1)
        return
    for severity in (0, 1, 5):
        distorted = np.asarray(distort(keys(1)[0], image, severity))
        assert distorted.shape == shape
        if severity == 0:
            np.testing.assert_array_equal(distorted, image)


@pytest.mark.parametrize("name", DISTORTIONS)
@unoptimized()
def test_a_large_image_is_distorted(name):
    image = np.random.default_rng(0).integers(60, 200, (224, 224, 3), np.uint8)
    distorted = np.asarray(jax.jit(DISTORTIONS[name])(keys(1)[0], image, jnp.int32(5)))
    assert distorted.shape == image.shape
    assert np.mean(distorted != image) > 0.01


@pytest.mark.parametrize("name", sorted(RANDOM))
@unoptimized()
def test_float64_changes_nothing_but_rounding(name):
    images, of = at_every_severity(name)
    with jax.enable_x64(True):
        distorted = jax.jit(DISTORTIONS[name])(keys(2)[0], images[0], jnp.int32(3))
    assert_same_but_for_rounding(distorted, of[3, 0])


@unoptimized()
def test_loops_and_choices_in_eager_code_are_compiled_once(caplog):
    rng = np.random.default_rng(0)
    for of_one, values in (
        (lambda image: DISTORTIONS["crystallize"](keys(1)[0], image, 3), np.uint8),
        (spatter._edges, np.int32),
        (spatter._distance, bool),
    ):
        shape = (16, 16, 3) if values is np.uint8 else (16, 16)
        first, second = (jnp.asarray(rng.integers(0, 2, shape), values) for _ in range(2))
        of_one(first)
        with jax.log_compiles(True):
            of_one(second)
        assert not [record for record in caplog.records if "Compiling" in record.message]


@pytest.mark.parametrize("name", ["spatter", "crystallize"])
@unoptimized()
def test_a_loop_runs_on_devices_of_the_users_own_mesh(name):
    images = np.stack([*at_every_severity(name)[0]] * 4)
    of_images = jax.vmap(DISTORTIONS[name], in_axes=(0, 0, None))
    split, whole = PartitionSpec("images"), PartitionSpec()
    sharded = jax.shard_map(
        of_images,
        mesh=Mesh(np.array(jax.devices()[:2]), ("images",)),
        in_specs=(split, split, whole),
        out_specs=split,
    )
    distorted = jax.jit(sharded)(keys(8), images, jnp.int32(4))
    assert_same_but_for_rounding(distorted, jax.jit(of_images)(keys(8), images, jnp.int32(4)))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_what_is_no_image_is_refused(name):
    distort, key = DISTORTIONS[name], keys(1)[0]
    for image, error, message in (
        (np.zeros((8, 8, 3), np.float32), TypeError, "uint8 values from 0 to 255, got float32"),
        ([[[0, 0, 0]]], TypeError, "got list"),
        (np.zeros((2, 8, 8, 3), np.uint8), ValueError, r"image \[H, W, 3\] \(jax.vmap for more\)"),
        (np.zeros((8, 8, 1), np.uint8), ValueError, r"got \(8, 8, 1\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, r"got \(0, 8, 3\)"),
    ):
        with pytest.raises(error, match=f"{name} takes .*{message}"):
            distort(key, image, 1)
    image = np.zeros((8, 8, 3), np.uint8)
    for severity in (-1, 6, np.int64(6), np.array(7)):
        with pytest.raises(ValueError, match=f"severity must be 0 to 5, got {severity}"):
            distort(key, image, severity)
    for severity in (3.0, None, jnp.float32(3), jnp.arange(5)):
        with pytest.raises(TypeError, match=r"severity must be (a|one) whole number"):
            distort(key, image, severity)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions_can_be_sent_to_other_processes(name):
    sent, own = pickle.loads(pickle.dumps(DISTORTIONS[name])), DISTORTIONS[name]
    assert (sent.func, sent.args, sent.keywords) == (own.func, own.args, own.keywords)
    assert sent.__doc__ == own.__doc__ == own.__wrapped__.__doc__


def test_a_large_image_has_crystals_no_larger_than_can_be():
    image = jax.ShapeDtypeStruct((9000, 9000, 3), jnp.uint8)
    of = jax.eval_shape(DISTORTIONS["crystallize"], keys(1)[0], image, jnp.int32(5))
    assert of.shape == image.shape


def test_frost_covers_as_much_as_cifar10cs():
    key = jax.random.key(0)
    # CIFAR-10-C's shares of the image and of the frost.
    shares = {1: (1, 0.2), 2: (1, 0.3), 3: (0.9, 0.4), 4: (0.85, 0.4), 5: (0.75, 0.45)}
    # Frost is at most white, so nothing is clipped.
    black, gray = (jnp.full((32, 32, 3), value, jnp.uint8) for value in (0, 50))
    freeze = jax.jit(jax.vmap(DISTORTIONS["frost"], (None, None, 0)))
    with unoptimized():
        on_black, on_gray = (
            np.asarray(freeze(key, image, jnp.arange(1, 6)), int) for image in (black, gray)
        )
    for severity, (of_image, of_frost) in shares.items():
        difference = on_gray[severity - 1] - on_black[severity - 1]
        np.testing.assert_allclose(difference, 50 * of_image, atol=1)
        expected = on_black[4] * of_frost / 0.45
        np.testing.assert_allclose(on_black[severity - 1], expected, atol=2)


def test_parameters_are_of_five_severities():
    assert [float(at_severity((1, 2, 3, 4, 5), s)) for s in range(6)] == [1, 1, 2, 3, 4, 5]
    far = jnp.array([-(2**31), 2**31 - 1], jnp.int32)
    assert [float(at_severity((1, 2, 3, 4, 5), s)) for s in far] == [1, 5]
    with pytest.raises(ValueError, match="parameters of 5 severities are needed, got 2"):
        at_severity((1, 2), 1)
