"""Trained networks, restored to be tested."""

import contextlib
import json
import shutil

import jax
import numpy as np
import pytest
from conftest import make_small_config

from phash_jax import checkpoint
from phash_jax.checkpoint import CheckpointError
from phash_jax.networks import check_unseen, restore, restore_all, warn_of_other_pictures
from phash_jax.optimizers import averaged
from phash_jax.train import train
from phash_jax.workdir import claim, image_shape_of, keep_images

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def once(dataset, tmp_path_factory):
    """A run of two seeds with checkpoints of steps 10 and 20, and its final state."""
    config = make_small_config()
    config.name = "small"
    config.data.classes = "upper,left"
    config.train.num_seeds = 2
    config.optimizer.average_decay = 0.5
    config.test_flip, config.test_shift = True, 2
    folder = tmp_path_factory.mktemp("once")
    claim(folder, config)
    state, _, _ = train(config, dataset.train, num_classes=2, workdir=folder)
    return folder, state


@pytest.fixture
def trained(once, tmp_path):
    """A copy of that run, and its final state."""
    folder, state = once
    return shutil.copytree(folder, tmp_path / "runs" / "small"), state


def restored(*workdirs, class_names=("upper", "left"), image_shape=SHAPE):
    return restore_all(list(workdirs), class_names=class_names, image_shape=image_shape)


def test_networks_are_those_that_were_trained(trained):
    folder, state = trained
    for workdir in (folder, folder.parent):
        (networks,) = restored(workdir)
        assert (networks.name, networks.seeds, networks.step) == ("small", [0, 1], 20)
        assert networks.preprocess == "raw"
        found = networks.variables["params"]
        assert found["Dense_0"]["kernel"].shape == (2, 512, 16)
        newest = state.params["Dense_0"]["kernel"]
        expected = averaged(state.params, state.opt_state)["Dense_0"]["kernel"]
        assert (expected != newest).any()
        np.testing.assert_array_equal(found["Dense_0"]["kernel"], expected)
        assert (networks.test_flip, networks.test_shift) == (True, 2)
    variables = jax.tree.map(lambda leaf: leaf[0], networks.variables)
    assert networks.logits(variables, np.zeros((0, *SHAPE), np.uint8)).shape == (0, 2)


def test_networks_are_restored_within_a_mesh_of_the_callers(trained):
    mesh = jax.make_mesh((2,), ("batch",), devices=jax.devices()[1:3])
    with jax.set_mesh(mesh):
        (networks,) = restored(trained[0])
    (outside,) = restored(trained[0])
    assert networks.sha256 == outside.sha256
    # Each is itself alone, whatever its arrays hold.
    assert len({networks, outside, networks}) == 2


def test_runs_of_one_name_are_told_apart(trained):
    folder, _ = trained
    shutil.copytree(folder, folder.parent / "copy")
    assert [n.name for n in restored(folder.parent)] == [
        f"small ({name})" for name in ("copy", "small")
    ]


def test_networks_that_do_not_fit_the_images_are_refused_by_name(trained):
    folder, _ = trained
    with pytest.raises(
        ValueError, match=r"small tell upper, left apart, the images .* upper, down"
    ):
        restored(folder, class_names=("upper", "down"))
    with pytest.raises(
        ValueError, match=r"Dense_0/kernel is \(2, 512, 16\) .*\(2, 2048, 16\) for 32x"
    ):
        restored(folder, image_shape=(32, 32, 3))
    config = json.loads((folder / "config.json").read_text())
    # All classes of a source, and no result that says which.
    config["data"]["classes"] = ""
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"Dense_1/bias is \(2, 2\) .* \(2, 3\) for 16x16"):
        restored(folder, class_names=("a", "b", "c"))


def test_folders_without_networks_are_refused(trained, tmp_path):
    folder, _ = trained
    with pytest.raises(ValueError, match=f"robustness.networks names {folder} twice"):
        restored(folder, folder.parent)
    with pytest.raises(ValueError, match="no networks to test: name their workdirs"):
        restored()
    with pytest.raises(ValueError, match=r"no checkpoints in .*nowhere"):
        restored(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text('{"runs": {"one": {}, "two": {}}}')
    with pytest.raises(ValueError, match=r"is a folder of several runs: name one .*/one"):
        restore(tmp_path, class_names=("a", "b"), image_shape=(16, 16, 3))
    (folder / "config.json").write_text('{"name": "other"}')
    with pytest.raises(ValueError, match=r"config.json is not the config of a training run"):
        restored(folder)
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").mkdir()
    with pytest.raises(ValueError, match=r"no checkpoint in .*stopped before its first one"):
        checkpoint.parameter_shapes(folder / "checkpoints")


def test_a_damaged_checkpoint_is_passed_over_and_left_alone(trained):
    folder, _ = trained
    newest = folder / "checkpoints" / "20"
    for path in newest.rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(path.read_bytes()[:-200])
    (networks,) = restored(folder)
    assert networks.step == 10
    assert newest.exists()
    shutil.rmtree(newest)
    shutil.rmtree(folder / "checkpoints" / "10" / "state")
    with pytest.raises(CheckpointError, match=r"all 1 checkpoints in .* are damaged"):
        restored(folder)


def test_restored_networks_have_the_seeds_of_their_config(trained):
    folder, _ = trained
    config = json.loads((folder / "config.json").read_text())
    config["train"]["seed"] = 5
    (folder / "config.json").write_text(json.dumps(config))
    assert restored(folder)[0].seeds == [5, 6]


def test_of_other_pictures_nothing_is_known(trained):
    (networks,) = restored(trained[0])
    held_out = {**networks.data, "validation_share": 0.5}
    for other in ({"name": "cifar10"}, {"seed": 1}, {"name": "file", "path": "images.npz"}):
        check_unseen(networks, data={**held_out, **other})
    with pytest.raises(ValueError, match="holds out for testing"):
        check_unseen(networks, data=held_out)


@pytest.mark.parametrize(
    ("theirs", "ours", "is_seen"),
    [
        ((1000, 0.5), (1000, 0.5), False),
        ((1000, 0.5), (500, 0.5), True),
        ((500, 0.5), (1000, 0.5), False),
        ((500, 0.5), (400, 0.2), False),
    ],
)
def test_of_drawn_pictures_it_counts_how_many_there_are(trained, theirs, ours, is_seen):
    (networks,) = restored(trained[0])
    sizes = ("train_size", "validation_share")
    networks.data.update(zip(sizes, theirs, strict=True))
    raises = pytest.raises(ValueError, match=r"of data\.train_size=500 holds out for testing")
    with raises if is_seen else contextlib.nullcontext():
        check_unseen(networks, data={**networks.data, **dict(zip(sizes, ours, strict=True))})


def test_files_are_the_same_however_they_are_named(trained, tmp_path, monkeypatch, caplog):
    (networks,) = restored(trained[0])
    monkeypatch.chdir(tmp_path)
    networks.data.update(name="file", path="images.npz")
    same = {**networks.data, "path": str(tmp_path / "images.npz"), "validation_share": 0.5}
    with pytest.raises(ValueError, match=r"were trained with data\.validation_share=0\.0, on"):
        check_unseen(networks, data=same)
    warn_of_other_pictures(networks, data=same)
    assert not caplog.text
    warn_of_other_pictures(networks, data={**same, "path": "others.npz"})
    said = f"of file {tmp_path}/images.npz, but are now given those of file {tmp_path}/others.npz"
    assert said in caplog.text


def test_a_network_takes_uint8_images(trained):
    (networks,) = restored(trained[0])
    one = jax.tree.map(lambda leaf: leaf[0], networks.variables)
    with pytest.raises(TypeError, match="a network takes uint8 values from 0 to 255, got float32"):
        networks.logits(one, np.zeros((1, *SHAPE), np.float32))


def test_a_network_takes_images_of_the_size_it_was_trained_on(trained, dataset):
    folder, _ = trained
    (networks,) = restored(folder)
    one = jax.tree.map(lambda leaf: leaf[0], networks.variables)
    # As many values after pooling as an image of 16x16.
    for shape in ((1, 17, 17, 3), SHAPE):
        with pytest.raises(ValueError, match=r"small take images \[N, 16, 16, 3\], got \("):
            networks.logits(one, np.zeros(shape, np.uint8))
    assert restored(folder, image_shape=(17, 17, 3))
    keep_images(folder, dataset, source="file")
    with pytest.raises(ValueError, match=r"on images of 16x16 pixels, those .* have 17x17: choose"):
        restored(folder, image_shape=(17, 17, 3))
    (folder / "images.json").write_text("{")
    assert image_shape_of(folder) is None


def test_a_folder_may_be_named_by_text(trained):
    folder, _ = trained
    named = restore(str(folder), class_names=("upper", "left"), image_shape=SHAPE)
    assert named.folder == folder


def test_the_run_that_overrides_nothing_comes_first(trained, tmp_path):
    folder, _ = trained
    for name in ("a", "usual", "z"):
        shutil.copytree(folder, tmp_path / "sweep" / name)
    found = [networks.folder.name for networks in restored(tmp_path / "sweep")]
    assert found == ["a", "usual", "z"]
    overrides = {"a": {"test_flip": False}, "usual": {}, "z": {"test_flip": True}}
    (tmp_path / "sweep" / "config.json").write_text(json.dumps({"runs": overrides}))
    found = [networks.folder.name for networks in restored(tmp_path / "sweep")]
    assert found == ["usual", "a", "z"]
