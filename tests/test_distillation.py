"""Learning from a trained network's answers."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import make_small_config

from phash_jax import experiment
from phash_jax.augment import DISTORTIONS
from phash_jax.distillation import keep_teacher, make_teacher
from phash_jax.losses import with_teacher
from phash_jax.metrics import read_metrics
from phash_jax.networks import restore
from phash_jax.train import train
from phash_jax.workdir import claim

CLASSES = ("upper", "left")
SHAPE = (16, 16, 3)


def small_config(**fields):
    config = make_small_config()
    config.update_from_flattened_dict({"data.classes": ",".join(CLASSES), **fields})
    return config


@pytest.fixture(scope="module")
def teacher_workdir(dataset, tmp_path_factory):
    """Two networks, trained with the images moved when they are tested."""
    folder = tmp_path_factory.mktemp("teacher")
    config = small_config(**{"train.num_seeds": 2, "train.num_steps": 40, "test_shift": 1})
    claim(folder, config)
    train(config, dataset.train, num_classes=2, workdir=folder)
    return folder


@pytest.fixture
def networks(teacher_workdir):
    return restore(teacher_workdir, class_names=CLASSES, image_shape=SHAPE)


def trained(workdir, dataset, teacher=None, **fields):
    config = small_config(**{"preprocess": "average_hash", **fields})
    state, _, records = train(
        config, dataset.train, num_classes=2, workdir=workdir, teacher=teacher
    )
    return jax.device_get(state.params), [record["loss"][0] for record in records]


def test_the_loss_is_shared_between_labels_and_teacher():
    logits = jnp.log(jnp.array([[0.75, 0.25], [0.5, 0.5]]))
    taught = jnp.array([[1.0, 0.0], [0.25, 0.75]])
    labels = jnp.array([1.0, 2.0])
    from_teacher = np.log([4 / 3, 2])
    for share in (0.0, 0.25, 1.0):
        np.testing.assert_allclose(
            with_teacher(labels, logits, taught, share=share),
            (1 - share) * labels + share * from_teacher,
            rtol=1e-6,
        )


def test_the_first_network_teaches_as_it_is_and_not_as_it_is_tested(networks, dataset):
    images = jnp.asarray(dataset.test.images[:10])
    first = jax.tree.map(lambda leaf: leaf[0], networks.variables)
    inputs = images.astype(jnp.float32) / 255
    taught = make_teacher(networks, count=1)(images, jnp.array(3))
    np.testing.assert_allclose(
        taught, jax.nn.softmax(networks.model.apply(first, inputs, train=False)), rtol=1e-5
    )
    as_tested = jax.nn.softmax(networks.logits(first, images))
    assert not np.allclose(np.log(taught), np.log(as_tested), atol=0.1)


def test_networks_teach_in_turn(networks, dataset):
    images = jnp.asarray(dataset.test.images[:10])
    alone = [make_teacher(networks, count=1)(images, jnp.array(step)) for step in (0, 7)]
    np.testing.assert_array_equal(*alone)
    together = jax.jit(make_teacher(networks, count=2))
    first, second, third = (np.asarray(together(images, jnp.array(step))) for step in (4, 5, 6))
    np.testing.assert_allclose(first, alone[0], rtol=1e-5)
    np.testing.assert_array_equal(first, third)
    variables = jax.tree.map(lambda leaf: leaf[1], networks.variables)
    answers = jax.nn.softmax(networks.logits(variables, images, views=False))
    np.testing.assert_allclose(second, answers, rtol=1e-5)
    assert not np.allclose(first, second, rtol=0.1, atol=0)


def test_what_is_taught_is_learned(networks, dataset, tmp_path):
    teacher = make_teacher(networks, count=1)

    def contrary(images, step):
        return jnp.flip(teacher(images, step), -1)

    _, losses = trained(tmp_path / "contrary", dataset, contrary, **{"train.teacher_share": 1.0})
    records = read_metrics(tmp_path / "contrary" / "metrics.jsonl")
    assert losses[-1] < losses[0]
    assert records[-1]["accuracy"][0] < 0.2


def test_a_teacher_without_a_share_changes_nothing(networks, dataset, tmp_path):
    alone, _ = trained(tmp_path / "alone", dataset)
    ignored, _ = trained(
        tmp_path / "ignored",
        dataset,
        make_teacher(networks, count=2),
        **{"train.teacher_share": 0.0},
    )
    jax.tree.map(np.testing.assert_array_equal, alone, ignored)


def test_the_teacher_sees_images_moved_but_not_distorted(dataset, tmp_path, monkeypatch):
    seen, steps = [], []

    def blacken(key, image, severity):
        return jnp.zeros_like(image)

    def teacher(images, step):
        jax.debug.callback(lambda images: seen.append(np.asarray(images)), images)
        jax.debug.callback(lambda step: steps.append(int(step)), step)
        return jnp.full((len(images), 2), 0.5)

    monkeypatch.setitem(DISTORTIONS, "brightness", blacken)
    trained(
        tmp_path,
        dataset,
        teacher,
        **{"train.augment": "brightness", "train.flip": True, "train.num_steps": 5},
    )
    jax.effects_barrier()
    seen = np.concatenate(seen)
    assert len(seen) == 5 * 32
    assert set(steps) == set(range(5))
    plain = {image.tobytes() for image in dataset.train.images}
    mirrored = {image[:, ::-1].tobytes() for image in dataset.train.images}
    found = [(image.tobytes() in plain, image.tobytes() in mirrored) for image in seen]
    assert set(found) == {(True, False), (False, True)}


def test_a_run_keeps_the_teacher_it_was_begun_with(teacher_workdir, dataset, tmp_path):
    fields = {
        "train.teacher": str(teacher_workdir),
        "train.teachers": 2,
        "preprocess": "average_hash",
    }
    config, workdir = small_config(**fields), tmp_path / "run"
    claim(workdir, config)
    at_once = experiment._run_one(config, dataset, workdir)
    kept = json.loads((workdir / "teacher.json").read_text())
    assert (kept["preprocess"], kept["seeds"], kept["step"]) == ("raw", [0, 1], 40)
    # Killed after ten of its steps, as if.
    shutil.rmtree(workdir / "checkpoints" / "20")
    resumed = experiment._run_one(config, dataset, workdir)
    for field in ("train_loss", "test_accuracy", "test_correct"):
        assert at_once[field] == resumed[field]

    other = tmp_path / "other"
    claim(other, small_config())
    train(small_config(), dataset.train, num_classes=2, workdir=other)
    networks = restore(other, class_names=CLASSES, image_shape=SHAPE)
    with pytest.raises(ValueError, match=r"\(train.teacher\) are not those .* begun with"):
        keep_teacher(workdir, networks, count=1)


def test_what_cannot_teach_is_refused(teacher_workdir, tmp_path, dataset):
    for fields, message in (
        ({"train.teacher": str(tmp_path)}, "train.teacher: there is no trained network in"),
        (
            {"train.teacher": str(tmp_path / "nowhere")},
            "train.teacher: .*nowhere: train it first",
        ),
        (
            {"train.teacher": str(teacher_workdir), "train.teachers": 3},
            "train.teachers is 3, but there are only 2 networks in .*teacher",
        ),
        (
            {"train.teacher": str(teacher_workdir), "model.num_outputs": 10},
            "train.teacher has 2 outputs, .* taught 10: set model.num_outputs",
        ),
        (
            {"train.teacher": str(teacher_workdir), "data.validation_share": 0.2},
            "on images that data.validation_share=0.2 holds out for testing",
        ),
    ):
        config, workdir = small_config(**fields), tmp_path / "run"
        # What was refused leaves the workdir free for the next.
        claim(workdir, config)
        with pytest.raises(ValueError, match=message):
            experiment._run_one(config, dataset, workdir)


def test_a_teacher_of_other_pictures_teaches_with_a_warning(
    teacher_workdir, tmp_path, dataset, caplog
):
    config = small_config(**{"train.teacher": str(teacher_workdir)})
    claim(tmp_path, config)
    experiment._restore_teacher(config, dataset, tmp_path)
    assert "were trained on" not in caplog.text
    config.data.name = "cifar10"
    experiment._restore_teacher(config, dataset, tmp_path)
    assert (
        "were trained on the images of synthetic (data.seed=0, data.image_size=32), but are now "
        "given those of cifar10" in caplog.text
    )


def test_a_workdir_in_which_nothing_was_learned_forgets_its_teacher(networks, tmp_path):
    claim(tmp_path, small_config())
    keep_teacher(tmp_path, networks, count=1)
    claim(tmp_path, small_config(**{"train.teacher_share": 0.5}))
    assert not (tmp_path / "teacher.json").exists()
