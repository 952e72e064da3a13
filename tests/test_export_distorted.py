"""A distorted test set in CIFAR-10-C's files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from phash_jax import export_distorted
from phash_jax.data.load import load_dataset
from phash_jax.distortions import DISTORTIONS
from phash_jax.distortions.draws import distortion_key
from phash_jax.hash_robustness import evaluate_hashes
from phash_jax.robustness import evaluate_networks


@pytest.fixture
def config():
    config = load_config("export_distorted")
    config.data.train_size, config.data.test_size = 4, 7
    config.test_batch_size = 3
    config.distortions.names = "gaussian_noise,contrast"
    config.distortions.severities = "2,4"
    return config


def test_files_are_severity_after_severity(config, tmp_path):
    said = export_distorted.run(config, tmp_path)
    assert "2 distortions of 7 images at 2 severities" in said
    test = load_dataset(config.data).test
    labels = np.load(tmp_path / "labels.npy")
    np.testing.assert_array_equal(labels, np.tile(test.labels, 2))
    images = np.load(tmp_path / "gaussian_noise.npy")
    assert images.dtype == np.uint8
    assert images.shape == (14, 32, 32, 3)
    # The last image at severity 4, as a network is tested with it.
    key = jax.random.fold_in(distortion_key(0, "gaussian_noise", 0), 6)
    expected = jax.jit(DISTORTIONS["gaussian_noise"])(key, test.images[6], jnp.int32(4))
    np.testing.assert_array_equal(images[13], expected)


def test_what_is_there_is_not_made_again(config, tmp_path):
    export_distorted.run(config, tmp_path)
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("*.npy")}
    assert whole.keys() == {"labels.npy", "gaussian_noise.npy", "contrast.npy"}
    # Killed while the second was written.
    (tmp_path / "contrast.npy").rename(tmp_path / "contrast.npy.partial")
    (tmp_path / "contrast.npy.partial").write_bytes(whole["contrast.npy"][:500])
    kept = (tmp_path / "gaussian_noise.npy").stat().st_mtime_ns
    export_distorted.run(config, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.npy")} == whole
    assert (tmp_path / "gaussian_noise.npy").stat().st_mtime_ns == kept
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("name", ["labels.npy", "contrast.npy"])
def test_files_of_others_are_neither_replaced_nor_trusted(config, tmp_path, name):
    (tmp_path / name).write_bytes(b"theirs")
    with pytest.raises(ValueError, match=f"{tmp_path} holds {name} of unknown origin"):
        export_distorted.run(config, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "run", [export_distorted.run, evaluate_hashes, evaluate_networks], ids=lambda run: run.__name__
)
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_other_seeds_are_too_are_refused(config, tmp_path, run, seed):
    config.distortions.seed = seed
    with pytest.raises(ValueError, match=rf"distortions.seed must be 0 to 4294967295, got {seed}"):
        run(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_draw_only(config, tmp_path):
    config.distortions.draws = 3
    with pytest.raises(ValueError, match=r"one draw: distortions\.draws must be 1, got 3"):
        export_distorted.run(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()
