"""Batches sharded over a mesh whose axes JAX has in the types, as those of ``jax.make_mesh``."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from phash_jax import hamming
from phash_jax.distortions import DISTORTIONS, TEST_SETS
from phash_jax.model import ConvNet
from phash_jax.preprocess import PREPROCESS

KEYS = jax.random.split(jax.random.key(0), 8)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
CODES = np.random.default_rng(0).integers(0, 2**32, (8, 2), np.uint32)


def logits(images, *, platform):
    # As many channels as Winograd's convolution takes.
    model = ConvNet(2, conv_layers=2, conv_features=16, dense_features=(8,), platform=platform)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=False)
    return model.apply(variables, images.astype(jnp.float32) / 255, train=False)


FUNCTIONS = {
    **{
        name: (jax.vmap(functools.partial(distort, severity=3)), (KEYS, IMAGES))
        for name, distort in DISTORTIONS.items()
    },
    **{name: (jax.vmap(of), (IMAGES,)) for name, of in (PREPROCESS | TEST_SETS).items()},
    "all_distances": (hamming.all_distances, (CODES,)),
    **{
        f"logits_{platform}": (functools.partial(logits, platform=platform), (IMAGES,))
        for platform in ("cpu", "gpu")
    },
}


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh(
        (4,), ("images",), axis_types=(AxisType.Explicit,), devices=jax.devices()[:4]
    )


def split(batch, mesh):
    return jax.device_put(batch, NamedSharding(mesh, PartitionSpec("images")))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batches_sharded_over_an_explicit_mesh_are_taken(name, mesh):
    """Without compiling, which takes most of the time: it is in tracing that JAX refuses."""
    function, batch = FUNCTIONS[name]
    sharded = split(batch, mesh)
    with jax.set_mesh(mesh):
        of_sharded = jax.jit(function).trace(*sharded).out_info
    assert of_sharded.sharding.spec[0] == "images"
    # Without the mesh around it JAX knows the sharding of the batch alone.
    assert jax.jit(function).trace(*sharded).out_info.shape == of_sharded.shape


# Each looks its parameters up in tables of another shape.
@pytest.mark.parametrize(
    "name", ["shot_noise", "frost", "raised_contrast", "zoom_blur", "pixelate", "jpeg_compression"]
)
def test_severities_of_each_image_are_taken_with_it(name, mesh):
    of_images, severities = jax.vmap(DISTORTIONS[name]), np.arange(8, dtype=np.int32) % 6
    with jax.set_mesh(mesh):
        traced = jax.jit(of_images).trace(*split((KEYS, IMAGES, severities), mesh))
    assert traced.out_info.sharding.spec[0] == "images"


def test_severities_of_each_image_have_the_same_results(mesh):
    of_images, severities = jax.vmap(DISTORTIONS["saturate"]), np.arange(8, dtype=np.int32) % 6
    with jax.set_mesh(mesh):
        of_sharded = jax.jit(of_images)(*split((KEYS, IMAGES, severities), mesh))
    of_batch = jax.jit(of_images)(KEYS, IMAGES, severities)
    np.testing.assert_array_equal(of_sharded, of_batch)


@pytest.mark.parametrize(
    "name", ["fog", "brightness", "shot_noise", "median_hash", "all_distances", "logits_cpu"]
)
def test_batches_sharded_over_an_explicit_mesh_have_the_same_results(name, mesh):
    function, batch = FUNCTIONS[name]
    with jax.set_mesh(mesh):
        of_sharded = jax.jit(function)(*split(batch, mesh))
    of_batch = jax.jit(function)(*batch)
    if name.startswith("logits"):
        np.testing.assert_allclose(of_sharded, of_batch, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(of_sharded, of_batch)
