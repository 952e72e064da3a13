"""Training: it learns, and it is the same however it is laid out, interrupted or damaged."""

import dataclasses
import json
import os
import shutil
import signal
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import load_config, on_batch_devices
from jax.sharding import Mesh, PartitionSpec
from orbax.checkpoint import v1 as ocp

from phash_jax import checkpoint
from phash_jax import train as training
from phash_jax.augment import augment_names, make_mixup
from phash_jax.evaluate import accuracies
from phash_jax.experiment import evaluate, make_evaluate
from phash_jax.json_files import rewrite_lines
from phash_jax.keys import AUGMENT, step_key
from phash_jax.metrics import read_metrics
from phash_jax.model import make_model
from phash_jax.placement import BATCH, place
from phash_jax.preprocess import PREPROCESS
from phash_jax.stopping import StopRequestedError, stop_on_signals
from phash_jax.train import TrainingDivergedError, make_init, make_train_step, train

TOLERANCE = {"rtol": 2e-4, "atol": 2e-5}


@pytest.fixture
def gentle(config):
    """A learning rate at which float noise does not grow faster than the tolerance."""
    config.optimizer.learning_rate = 1e-3
    return config


def run(config, dataset, workdir, num_devices=1, **options):
    workdir.mkdir(exist_ok=True)
    return train(
        config,
        dataset.train,
        num_classes=2,
        workdir=workdir,
        devices=jax.devices()[:num_devices],
        **options,
    )


def of(records, field):
    return np.array([record[field] for record in records])


def assert_same_training(one, other, seeds=slice(None)):
    """Losses of every interval and final parameters agree to float tolerance."""
    np.testing.assert_allclose(
        of(one[2], "loss")[:, seeds], of(other[2], "loss"), err_msg="losses", **TOLERANCE
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(np.asarray(a)[seeds], b, rtol=2e-2, atol=2e-4),
        one[0].params,
        other[0].params,
    )


@pytest.mark.parametrize("preprocess", ["raw", "average_hash"])
def test_learns_and_tests_every_image(config, dataset, tmp_path, preprocess):
    config.preprocess = preprocess
    config.train.num_steps = 60
    config.train.num_seeds = 2
    state, placement, records = run(config, dataset, tmp_path, 2)
    assert of(records, "accuracy")[0].mean() < of(records, "accuracy")[-1].mean()
    logits = evaluate(config, state, dataset, placement)
    assert logits.keys() == {"clean", "contrast_200"}
    assert logits["clean"].shape == (2, 101, 2)
    correct = (logits["clean"].argmax(-1) == dataset.test.labels).sum(1)
    assert (correct > 0.9 * 101).all()


@pytest.mark.parametrize("num_seeds", [1, 4])
def test_eight_devices_train_as_one(gentle, dataset, tmp_path, num_seeds):
    config = gentle
    config.train.num_seeds = num_seeds
    config.train.batch_size = 128 // num_seeds
    config.train.num_steps = 10
    one = run(config, dataset, tmp_path / "one", 1)
    eight = run(config, dataset, tmp_path / "eight", 8)
    assert eight[1].mesh.size == 8
    assert dict(eight[1].mesh.shape) == {"seed": num_seeds, "batch": 8 // num_seeds}
    assert_same_training(one, eight)
    ours, theirs = (evaluate(config, run[0], dataset, run[1]) for run in (one, eight))
    for test_set in ("clean", "contrast_200"):
        np.testing.assert_allclose(ours[test_set], theirs[test_set], rtol=2e-2, atol=2e-3)
        np.testing.assert_array_equal(ours[test_set].argmax(-1), theirs[test_set].argmax(-1))


def test_the_modern_recipe_resumes_and_does_not_depend_on_the_layout(dataset, tmp_path):
    config = load_config("best_phash")
    config.model.conv_features = 8
    # Gentle, as above: at the recipe's own rate a weight of the two ended 9 % apart.
    config.optimizer.learning_rate = 1e-3
    config.train.update(
        {"num_steps": 20, "batch_size": 32, "num_seeds": 2, "log_every": 5, "checkpoint_every": 10}
    )
    # Dropout alone is drawn by each device for itself.
    config.model.dropout = 0.0
    config.train.mixup = 0.5
    config.model.conv_layers = 2
    config.test_sets = "clean"
    whole = run(config, dataset, tmp_path / "whole", 4)
    assert dict(whole[1].mesh.shape) == {"seed": 2, "batch": 2}
    one = run(config, dataset, tmp_path / "one", 1)
    assert_same_training(whole, one)
    # Batch norm averages over the devices.
    assert len(jax.tree.leaves(whole[0].batch_stats)) == 4
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        whole[0].batch_stats,
        one[0].batch_stats,
    )

    (tmp_path / "killed").mkdir()
    shutil.copytree(tmp_path / "whole" / "checkpoints", tmp_path / "killed" / "checkpoints")
    shutil.copy(tmp_path / "whole" / "metrics.jsonl", tmp_path / "killed")
    shutil.rmtree(tmp_path / "killed" / "checkpoints" / "20")
    resumed = run(config, dataset, tmp_path / "killed", 4)
    assert bytes_of(resumed[0]) == bytes_of(whole[0])

    logits = evaluate(config, whole[0], dataset, whole[1])["clean"]
    config.test_flip = False
    once = evaluate(config, whole[0], dataset, whole[1])["clean"]
    mirrored = dataclasses.replace(
        dataset, test=dataclasses.replace(dataset.test, images=dataset.test.images[:, :, ::-1])
    )
    twice = evaluate(config, whole[0], mirrored, whole[1])["clean"]
    np.testing.assert_allclose(logits, (once + twice) / 2, rtol=1e-4, atol=1e-5)
    # It is the average that is tested.
    plain = whole[0].replace(opt_state=())
    assert np.abs(evaluate(config, plain, dataset, whole[1])["clean"] - once).max() > 1e-3


def test_networks_are_tested_on_the_way_and_train_as_they_would_without(gentle, dataset, tmp_path):
    config = gentle
    config.train.num_seeds = 2
    config.train.num_steps = 15
    config.train.checkpoint_every = 5
    plain = run(config, dataset, tmp_path / "plain")
    config.train.test_every = 10

    def make_test(placement):
        logits_of = make_evaluate(config, dataset, placement)
        return lambda state: accuracies(logits_of(state), dataset.test.labels)

    state, placement, records = run(config, dataset, tmp_path / "tested", make_test=make_test)
    assert bytes_of(state) == bytes_of(plain[0])
    assert [r["step"] for r in records if "test_accuracy" in r] == [10, 15]
    assert records[-1]["test_accuracy"] == accuracies(
        evaluate(config, state, dataset, placement), dataset.test.labels
    )
    ours, theirs = records[1]["test_accuracy"], records[-1]["test_accuracy"]
    assert ours.keys() == theirs.keys() == {"clean", "contrast_200"}
    assert len(ours["clean"]) == 2
    assert ours != theirs
    (events,) = (tmp_path / "tested" / "tensorboard").iterdir()
    assert b"test_accuracy/contrast_200/seed_1" in events.read_bytes()


def test_a_mixed_image_answers_for_both_labels(config, dataset):
    model = make_model(config.model, num_classes=2, platform="cpu")
    optimizer, raw = optax.sgd(0.0), PREPROCESS["raw"]
    images, labels = dataset.train.images[:10], dataset.train.labels[:10]
    state = jax.tree.map(
        lambda leaf: leaf[0],
        make_init(model, optimizer, raw, image_shape=images.shape[1:])(jnp.array([3], jnp.int32)),
    )
    # Not the first, whose keys would also be those of a step that is forgotten.
    state = state.replace(step=jnp.int32(4))
    mixup = make_mixup(alpha=1.0)
    loss = optax.softmax_cross_entropy_with_integer_labels

    def teacher(images, step):
        """Probabilities that another image would not have."""
        of_first = images[:, 0, 0, 0] / 255
        return jnp.stack([of_first, 1 - of_first], -1)

    step = make_train_step(
        model,
        optimizer,
        loss,
        raw,
        batch_size=10,
        mixup=mixup,
        teacher=teacher,
        teacher_share=0.25,
        streamed=True,
    )

    _, metrics = jax.jit(on_batch_devices(step))(state, images, labels)
    key = step_key(state.seed, AUGMENT, state.step)
    mixed, shares = jax.jit(on_batch_devices(mixup))(key, images)
    logits = model.apply({"params": state.params}, jax.vmap(raw)(mixed), train=False)
    nats = -np.asarray(jax.nn.log_softmax(logits), np.float64)
    partners = np.roll(labels, 5)
    assert (partners != labels).any()
    by_hand = shares * nats[range(10), labels] + (1 - shares) * nats[range(10), partners]
    # The teacher sees the mixture too.
    by_hand = 0.75 * by_hand + 0.25 * (np.asarray(teacher(mixed, 0)) * nats).sum(-1)
    np.testing.assert_allclose(metrics["loss"], by_hand.mean(), rtol=1e-5)
    assert metrics["accuracy"] == np.float32((logits.argmax(-1) == labels).mean())


def test_every_field_reaches_what_it_is_for(monkeypatch):
    config, asked = load_config("best_phash"), {}
    config.train.update({"max_zoom": 0.25, "cutout": 3, "mixup": 0.5, "num_steps": 17})

    def note(name):
        def made(*given, **options):
            asked[name] = given, options
            return name

        return made

    makers = ("move", "mixup", "loss", "optimizer", "augment", "train_step", "init")
    for name in makers:
        monkeypatch.setattr(training, f"make_{name}", note(name))
    placement = training.place(num_seeds=1, batch_size=64, parts=4, devices=jax.devices()[:1])
    training.make_init_and_step.__wrapped__(
        config, placement, image_shape=(32, 32, 3), num_classes=2
    )
    moves = {"flip": True, "max_shift": config.train.max_shift, "max_zoom": 0.25, "cutout": 3}
    assert asked["move"] == ((), moves)
    assert asked["mixup"] == ((), {"alpha": 0.5})
    assert asked["loss"] == ((config.loss,), {"label_smoothing": config.label_smoothing})
    assert asked["optimizer"] == ((config.optimizer,), {"num_steps": 17})
    assert asked["augment"] == ((augment_names(config.train.augment),), {})
    given, options = asked["train_step"]
    assert given[1:] == ("optimizer", "loss", PREPROCESS[config.preprocess])
    made = {name: options[name] for name in ("move", "mixup", "augment")}
    assert made == {name: name for name in made}
    assert (options["batch_size"], options["parts"]) == (64, 4)


def test_a_record_has_the_means_and_the_last_batch():
    metrics = {name: np.array([[0.5, 1.0]]) for name in ("loss", "accuracy", "grad_norm")}
    record = training._record.__wrapped__(metrics, step=2, seconds=1.23456)
    assert record == {
        "step": 2,
        "seconds": 1.235,
        "loss": [0.75],
        "accuracy": [0.75],
        "batch_accuracy": [1.0],
        "grad_norm": [0.75],
    }


def test_dropout_is_for_training_only_and_the_same_in_the_same_step(config, dataset, tmp_path):
    config.model.dropout = 0.5
    one, other = (run(config, dataset, tmp_path / name) for name in ("one", "other"))
    assert bytes_of(one[0]) == bytes_of(other[0])
    tested = evaluate(config, one[0], dataset, one[1])["clean"]
    config.model.dropout = 0.0
    np.testing.assert_array_equal(evaluate(config, one[0], dataset, one[1])["clean"], tested)
    without = run(config, dataset, tmp_path / "without")
    assert without[2][0]["loss"] != one[2][0]["loss"]


def test_every_step_and_every_device_drops_values_of_its_own(config, dataset):
    config.model.dropout = 0.5
    model, raw = make_model(config.model, num_classes=2, platform="cpu"), PREPROCESS["raw"]
    optimizer, loss = optax.sgd(0.0), optax.softmax_cross_entropy_with_integer_labels
    images, labels = np.repeat(dataset.train.images[:1], 8, 0), np.zeros(8, np.int32)
    init = make_init(model, optimizer, raw, image_shape=images.shape[1:])
    state = jax.tree.map(lambda leaf: leaf[0], init(jnp.array([3], jnp.int32)))
    step = make_train_step(model, optimizer, loss, raw, batch_size=8, streamed=True)
    whole, split = PartitionSpec(), PartitionSpec(BATCH)

    def loss_of(number, num_devices, num_images):
        mesh = Mesh(np.array(jax.devices()[:num_devices]), (BATCH,))
        of = jax.shard_map(
            step, mesh=mesh, in_specs=(whole, split, split), out_specs=whole, check_vma=False
        )
        at = state.replace(step=jnp.int32(number))
        return float(jax.jit(of)(at, images[:num_images], labels[:num_images])[1]["loss"])

    first = loss_of(0, 1, 4)
    assert loss_of(0, 1, 4) == first
    assert loss_of(1, 1, 4) != pytest.approx(first, rel=1e-4)
    # Two devices with the four images each.
    assert loss_of(0, 2, 8) != pytest.approx(first, rel=1e-4)


@pytest.mark.parametrize("num_steps", [2, 50, 101])
def test_metrics_are_those_of_all_steps_however_they_are_put_together(num_steps):
    placement = place(num_seeds=2, batch_size=4, devices=jax.devices()[:1])

    def step(state, images, labels):
        return state + 1.0, {"loss": 2 * state, "grad_norm": -state}

    interval = training.make_train_interval(step, placement, streamed=True)
    # Two groups of one seed.
    groups, no_batch = [jnp.array([0.0]), jnp.array([1000.0])], (jnp.zeros((1, 4)),) * 2
    _, metrics = interval(groups, lambda: no_batch, num_steps)
    expected = np.arange(num_steps) + np.array([[0.0], [1000.0]])
    np.testing.assert_array_equal(metrics["loss"], 2 * expected)
    np.testing.assert_array_equal(metrics["grad_norm"], -expected)


def test_the_time_before_a_stop_counts(config, dataset, tmp_path):
    config.train.num_steps = 5
    run(config, dataset, tmp_path)
    path = tmp_path / "metrics.jsonl"
    rewrite_lines(path, [{**record, "seconds": 1000.0} for record in read_metrics(path)])
    config.train.num_steps = 10
    assert run(config, dataset, tmp_path)[2][-1]["seconds"] >= 1000


def test_only_the_seed_that_diverged_is_named_and_its_first_step():
    metrics = {"loss": np.array([[1, 1, 1], [1, np.nan, 1]]), "grad_norm": np.ones((2, 3))}
    checkpoints = SimpleNamespace(wait=lambda: None, latest=None)
    with pytest.raises(TrainingDivergedError, match=r"at step 12 for seed 7; no checkpoint had"):
        training._check_finite(metrics, seeds=[6, 7], step=10, checkpoints=checkpoints)


def test_seeds_differ_and_each_equals_itself_trained_alone(gentle, dataset, tmp_path):
    config = gentle
    config.train.num_seeds = 2
    config.train.num_steps = 10
    config.train.loop = "scan"
    together = run(config, dataset, tmp_path / "together")
    assert together[1].seeds_per_device == 2
    assert together[1].scan
    losses = of(together[2], "loss")
    assert len(np.unique(losses[0])) == 2
    config.train.num_seeds = 1
    # Steps one after another are those of a scan, too.
    config.train.loop = "dispatch"
    for seed in range(2):
        config.train.seed = seed
        alone = run(config, dataset, tmp_path / f"alone_{seed}")
        assert not alone[1].scan
        assert_same_training(together, alone, slice(seed, seed + 1))


def bytes_of(state):
    return checkpoint.digest(jax.tree.map(np.asarray, state))


def without_time(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def newest_array_file(workdir):
    newest = max((workdir / "checkpoints").iterdir(), key=lambda p: int(p.name))
    return newest, max((p for p in newest.rglob("d/*")), key=lambda p: p.stat().st_size)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove_folder_contents"])
def test_damaged_newest_checkpoint_is_reported_and_the_one_before_used(
    config, dataset, tmp_path, caplog, damage
):
    config.train.num_seeds = 2
    whole = run(config, dataset, tmp_path)
    newest, array_file = newest_array_file(tmp_path)
    assert newest.name == "20"
    content = bytearray(array_file.read_bytes())
    if damage == "truncate":
        array_file.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[len(content) // 2] ^= 0x10
        array_file.write_bytes(content)
    else:
        array_file.unlink()
    again = run(config, dataset, tmp_path)
    assert "checkpoint of step 20" in caplog.text
    assert "damaged" in caplog.text
    assert bytes_of(again[0]) == bytes_of(whole[0])
    assert without_time(again[2]) == without_time(whole[2])
    assert checkpoint.restore_newest(tmp_path / "checkpoints", whole[0]).step[0] == 20
    # Perhaps it was the disk that could not be read for a while.
    assert (tmp_path / "checkpoints" / "20.passed_over").is_dir()


def test_of_a_checkpoint_damaged_again_the_newer_one_is_kept(config, dataset, tmp_path):
    for number in range(2):
        run(config, dataset, tmp_path)
        newest = tmp_path / "checkpoints" / "20"
        shutil.rmtree(newest / "state")
        (newest / f"{number}.txt").touch()
    assert int(run(config, dataset, tmp_path)[0].step[0]) == 20
    assert (tmp_path / "checkpoints" / "20.passed_over" / "1.txt").exists()
    assert not (tmp_path / "checkpoints" / "20.passed_over" / "0.txt").exists()


def test_want_of_memory_is_no_damage(config, dataset, tmp_path, monkeypatch):
    run(config, dataset, tmp_path)

    def load(path, abstract):
        raise MemoryError

    monkeypatch.setattr(checkpoint.ocp, "load", load)
    with pytest.raises(MemoryError):
        run(config, dataset, tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"10", "20"}


def test_all_checkpoints_damaged_is_an_error(config, dataset, tmp_path):
    run(config, dataset, tmp_path)
    for array_file in (tmp_path / "checkpoints").rglob("d/*"):
        array_file.write_bytes(b"")
    with pytest.raises(checkpoint.CheckpointError, match=r"all 2 checkpoints in .* are damaged"):
        run(config, dataset, tmp_path)


def test_divergence_names_step_and_seed_and_keeps_the_last_good_checkpoint(
    config, dataset, tmp_path
):
    config.train.num_seeds = 2
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 1e-3
    config.train.num_steps = 10
    run(config, dataset, tmp_path)
    config.train.num_steps = 30
    config.optimizer.learning_rate = 1e15
    with pytest.raises(
        TrainingDivergedError,
        match=r"not finite at step 1\d for seed 0, 1; the last good checkpoint is of step 10 in ",
    ):
        run(config, dataset, tmp_path)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == 10
    config.train.num_steps = 10
    assert int(run(config, dataset, tmp_path)[0].step[0]) == 10


def test_best_checkpoint_is_kept_beside_the_last(config, dataset, tmp_path):
    config.train.keep_checkpoints = 1
    config.train.log_every = 5
    config.train.checkpoint_every = 5
    config.train.num_steps = 20
    config.optimizer.learning_rate = 0.0
    *_, records = run(config, dataset, tmp_path)
    losses = {record["step"]: np.mean(record["loss"]) for record in records}
    best = min(losses, key=losses.get)
    kept = {int(p.name) for p in (tmp_path / "checkpoints").iterdir()}
    assert kept == {best, 20}


def test_a_signal_waits_for_the_last_checkpoint(config, dataset, tmp_path, monkeypatch):
    close = ocp.training.Checkpointer.close

    def asked_to_stop(self):
        os.kill(os.getpid(), signal.SIGTERM)
        close(self)

    monkeypatch.setattr(ocp.training.Checkpointer, "close", asked_to_stop)
    with pytest.raises(StopRequestedError, match="SIGTERM"), stop_on_signals():
        run(config, dataset, tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"10", "20"}
    monkeypatch.undo()
    assert int(run(config, dataset, tmp_path)[0].step[0]) == 20


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_the_options_of_a_step_are_ones_that_xla_has(platform):
    options = dataclasses.replace(place(num_seeds=1, batch_size=16), platform=platform)
    assert options.compiler_options
    double = jax.jit(lambda x: 2 * x, compiler_options=options.compiler_options)
    assert double(3) == 6
    with pytest.raises(jax.errors.JaxRuntimeError, match="No such compile option"):
        jax.jit(lambda x: 2 * x, compiler_options={"xla_gpu_exclude_everything": True})(3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("preprocess", "sharpen", "unknown preprocess 'sharpen'; choose one of raw, average_hash"),
        ("loss", "mse", "unknown loss 'mse'; choose one of softmax_cross_entropy"),
        (
            "optimizer.name",
            "adamm",
            "unknown optimizer.name 'adamm'; choose one of adam, adamw, muon, sgd",
        ),
        ("model.activation", "swish", "unknown model.activation 'swish'; choose one of relu, elu"),
        ("model.kernel_init", "zeros", "unknown model.kernel_init 'zeros'; choose one of "),
        ("model.batch_norm", "last", "unknown model.batch_norm 'last'; choose one of none, first"),
        ("model.group_norm", "last", "unknown model.group_norm 'last'; choose one of none, first"),
        ("model.num_outputs", 1, "model.num_outputs is 1, but there are 2 classes"),
        ("model.conv_layers", 5, "too small for 5 conv layers"),
        ("model.dense_features", (8.5,), "model.dense_features must be whole numbers, got 8.5"),
        ("train.max_shift", 16, "train.max_shift is 16 pixels, images are 16x16"),
        ("train.cutout", 16, "train.cutout is 16 pixels, images are 16x16"),
        ("train.checkpoint_every", 7, r"checkpoint_every \(7\) must be a multiple of"),
        ("train.test_every", 7, r"train.test_every \(7\) must be 0 or a multiple of"),
        ("train.num_seeds", 0, "train.num_seeds must be 1 or more, got 0"),
        ("train.batch_size", 0, "train.batch_size must be 1 or more, got 0"),
        ("train.num_steps", 0, "train.num_steps must be 1 or more, got 0"),
        ("train.log_every", 0, "train.log_every must be 1 or more, got 0"),
        ("train.keep_checkpoints", 0, "train.keep_checkpoints must be 1 or more, got 0"),
    ],
)
def test_bad_fields_are_named(config, dataset, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=message):
        run(config, dataset, tmp_path)
    # So that the corrected config may have the workdir.
    assert list(tmp_path.iterdir()) == []


def test_drawn_network_trains_on_ten_outputs(dataset, tmp_path):
    config = load_config("as_drawn")
    config.model.conv_features = 8
    config.train.num_steps = 2
    config.train.log_every = 1
    config.train.checkpoint_every = 2
    state, *_ = run(config, dataset, tmp_path)
    kernels = {
        name: leaf["kernel"].shape[1:] for name, leaf in state.params.items() if "kernel" in leaf
    }
    assert kernels == {
        "Conv_0": (5, 5, 3, 8),
        "Conv_1": (5, 5, 8, 8),
        "Dense_0": (4 * 4 * 8, 256),
        "Dense_1": (256, 128),
        "Dense_2": (128, 10),
    }
    assert "BatchNorm_0" in state.params
    assert "BatchNorm_1" not in state.params
