"""Trained networks, restored from the checkpoints of workdirs to be tested."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from absl import logging
from jaxtyping import Array, Float, PyTree, UInt8

from phash_jax import checkpoint, results
from phash_jax.checks import check_uint8, choose, names
from phash_jax.evaluate import predict
from phash_jax.model import ConvNet, make_model
from phash_jax.optimizers import averaged, make_optimizer
from phash_jax.preprocess import PREPROCESS
from phash_jax.train import make_init
from phash_jax.workdir import image_shape_of, stored_config


# Compared and hashed by identity: arrays have no single truth value.
@dataclasses.dataclass(frozen=True, eq=False)
class Networks:
    """The networks of one run, one per seed.

    Attributes:
        name: of the run, with its folder appended where two runs have the same name.
        folder: of the run.
        seeds: one per network.
        step: updates they were trained for.
        preprocess: key of ``PREPROCESS``, their input.
        data: what they were trained on, the fields of ``config.data``.
        sha256: of the checkpoint.
        model: the module.
        variables: its parameters (or their moving average) and running statistics, float32, seeds
            on the leading axis.
        test_flip: whether the mirrored image is tested too.
        test_shift: pixels by which shifted copies are tested too; 0: none.
        image_shape: height, width and channels of the images that they were restored for.
    """

    name: str
    folder: Path
    seeds: list[int]
    step: int
    preprocess: str
    data: dict[str, Any]
    sha256: str
    model: ConvNet
    variables: PyTree[Array]
    test_flip: bool
    test_shift: int
    image_shape: tuple[int, int, int]

    def logits(
        self, variables: PyTree[Array], images: UInt8[Array, "n h w c"], *, views: bool = True
    ) -> Float[Array, "n outputs"]:
        """Logits of one seed's network for uint8 images.

        Args:
            variables: one seed's part of ``self.variables``, without the axis of the seeds.
            images: 0 to 255, of ``image_shape``.
            views: whether to average over all views, as in testing, or to use the images alone.

        Raises:
            TypeError: images that are not uint8.
            ValueError: images of another shape, or one image alone.
        """
        check_uint8(images, "a network")
        if images.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise ValueError(
                f"the networks in {self.folder} take images [N, {height}, {width}, {channels}], "
                f"got {images.shape}"
            )
        return predict(
            self.model,
            PREPROCESS[self.preprocess],
            variables,
            images,
            test_flip=views and self.test_flip,
            test_shift=self.test_shift if views else 0,
        )


def restore_all(
    workdirs: Sequence[Path], *, class_names: Sequence[str], image_shape: tuple[int, int, int]
) -> list[Networks]:
    """The networks of all runs in some workdirs, each a run or a folder of runs.

    Args:
        workdirs: at least one.
        class_names: of the images they are to be tested with, in the order of the labels.
        image_shape: height, width and channels of those images.

    Raises:
        ValueError: no workdir is given, or one is given twice, has no checkpoints, or has networks
            that were trained for other classes or do not fit images of that size.
        CheckpointError: every checkpoint of a run is damaged.
    """
    found = [
        (folder, restore(folder, class_names=class_names, image_shape=image_shape))
        for workdir in workdirs
        for folder in _runs_in(workdir)
    ]
    if not found:
        raise ValueError("no networks to test: name their workdirs in robustness.networks")
    folders = [folder.resolve() for folder, _ in found]
    if twice := {str(folder) for folder in folders if folders.count(folder) > 1}:
        raise ValueError(f"robustness.networks names {', '.join(sorted(twice))} twice")
    called = [networks.name for _, networks in found]

    def renamed(folder: Path, networks: Networks) -> Networks:
        alike = [
            other for other, name in zip(folders, called, strict=True) if name == networks.name
        ]
        if len(alike) == 1:
            return networks
        # The same however the paths are spelt, since results are kept by name.
        where = folder.relative_to(os.path.commonpath(alike))
        return dataclasses.replace(networks, name=f"{networks.name} ({where})")

    return [renamed(folder, networks) for folder, (_, networks) in zip(folders, found, strict=True)]


def warn_of_other_pictures(networks: Networks, *, data: Mapping[str, Any]) -> None:
    """Logs a warning where networks were trained on pictures that are not those of ``data``."""
    theirs, ours = _pictures(networks.data), _pictures(data)
    if theirs != ours:
        logging.warning(
            "the networks in %s were trained on the images of %s, but are now given those of %s",
            networks.folder,
            theirs,
            ours,
        )


def check_unseen(networks: Networks, *, data: Mapping[str, Any]) -> None:
    """ValueError where networks were trained on images that are held out for validation here.

    Args:
        networks: of any run.
        data: fields of ``config.data``; of networks trained on other pictures nothing is known.
    """
    if not data["validation_share"] or _pictures(networks.data) != _pictures(data):
        return
    if _num_trained_on(networks.data) > _num_trained_on(data):
        sizes_differ = networks.data["train_size"] != data["train_size"]

        def split(of: Mapping[str, Any]) -> str:
            size = f" of data.train_size={of['train_size']}" if sizes_differ else ""
            return f"data.validation_share={of['validation_share']}{size}"

        raise ValueError(
            f"the networks in {networks.folder} were trained with {split(networks.data)}, on "
            f"images that {split(data)} holds out for testing: train them with that too"
        )


def _pictures(data: Mapping[str, Any]) -> str:
    """Which pictures a source holds, whatever is done with them."""
    if data["name"] == "file":
        return f"file {Path(data['path']).expanduser().resolve()}"
    if data["name"] == "synthetic":
        return f"synthetic (data.seed={data['seed']}, data.image_size={data['image_size']})"
    return data["name"]


def _num_trained_on(data: Mapping[str, Any]) -> float:
    """How many of a source's pictures are not held out, the last ones being; or their share."""
    size = data["train_size"] if data["name"] == "synthetic" else 1
    return size * (1 - data["validation_share"])


def _runs_in(workdir: Path) -> list[Path]:
    if (workdir / "checkpoints").is_dir():
        return [workdir]
    runs = sorted(path.parent for path in workdir.glob("*/checkpoints"))
    if not runs:
        raise ValueError(
            f"no checkpoints in {workdir} or one folder below it: train a network there first, or "
            "name another workdir in robustness.networks"
        )
    overrides = {}
    with contextlib.suppress(OSError, ValueError):
        overrides = stored_config(workdir).get("runs") or {}
    # What the others are compared with comes first: the run that overrides nothing.
    return sorted(runs, key=lambda run: bool(overrides.get(run.name, True)))


def restore(
    folder: str | Path, *, class_names: Sequence[str], image_shape: tuple[int, int, int]
) -> Networks:
    """The networks of one run, from its newest good checkpoint; see ``restore_all``."""
    folder = Path(folder)
    try:
        fields = stored_config(folder)
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no trained network in {folder}: train it first, or name another workdir"
        ) from error
    except (OSError, ValueError) as error:
        raise _not_a_config(folder, error) from error
    if fields.get("runs"):
        one = folder / next(iter(fields["runs"]))
        raise ValueError(f"{folder} is a folder of several runs: name one of them, such as {one}")
    try:
        # JSON knows no tuples, and a field that holds a list keeps no tuple either.
        fields["model"]["dense_features"] = tuple(fields["model"]["dense_features"])
        config = ml_collections.ConfigDict(fields)
        trained_for = _class_names(folder, config)
        if trained_for and list(trained_for) != list(class_names):
            raise ValueError(
                f"the networks in {folder} tell {', '.join(trained_for)} apart, the images to test "
                f"with are {', '.join(class_names)}: choose others with data.name and data.classes"
            )
        model = make_model(
            config.model,
            num_classes=len(class_names),
            platform=jax.devices()[0].platform,
        )
        optimizer = make_optimizer(config.optimizer, num_steps=config.train.num_steps)
        preprocess = choose(PREPROCESS, config.preprocess, "preprocess")
        first, count = config.train.seed, config.train.num_seeds
        name = config.name
    except (AttributeError, KeyError, TypeError) as error:
        raise _not_a_config(folder, error) from error
    trained_on = image_shape_of(folder)
    if trained_on and trained_on != tuple(image_shape):
        theirs, ours = ("x".join(map(str, shape[:2])) for shape in (trained_on, image_shape))
        raise ValueError(
            f"the networks in {folder} were trained on images of {theirs} pixels, those to test "
            f"with have {ours}: choose others with data.name or data.image_size"
        )
    seeds = list(range(first, first + count))
    init = make_init(model, optimizer, preprocess, image_shape=image_shape)
    expected = jax.eval_shape(init, jax.ShapeDtypeStruct((count,), jnp.int32))
    directory = folder / "checkpoints"
    found = checkpoint.parameter_shapes(directory)
    if found is not None:
        _check_shapes(folder, found, expected.params, image_shape)
    state, sha256 = checkpoint.read_newest(directory, expected)
    # In NumPy: the caller may be within a mesh that lacks the device it was put on.
    step = int(np.asarray(state.step)[0])
    if step != config.train.num_steps:
        logging.warning(
            "the networks in %s are at step %d of %d: their training was not finished",
            folder,
            step,
            config.train.num_steps,
        )
    return Networks(
        name=name,
        folder=folder,
        seeds=seeds,
        step=step,
        preprocess=config.preprocess,
        data=config.data.to_dict(),
        sha256=sha256,
        model=model,
        variables={
            "params": averaged(state.params, state.opt_state),
            "batch_stats": state.batch_stats,
        },
        test_flip=config.test_flip,
        test_shift=config.test_shift,
        image_shape=tuple(image_shape),
    )


def _not_a_config(folder: Path, error: Exception) -> ValueError:
    return ValueError(f"{folder / 'config.json'} is not the config of a training run ({error})")


def _class_names(folder: Path, config: ml_collections.ConfigDict) -> list[str]:
    """The classes a run was trained for; none where its config says all and it is not finished."""
    finished = results.read(folder).get(config.name, {})
    return finished.get("class_names") or names(config.data.classes)


def _check_shapes(folder, found: dict, expected, image_shape) -> None:
    wanted = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(expected)
    }
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            height, width, _ = image_shape
            raise ValueError(
                f"the networks in {folder} do not fit these images: {name} is "
                f"{found.get(name, 'missing')} in the checkpoint, and would be "
                f"{wanted.get(name, 'missing')} for {height}x{width} pixels and their classes"
            )
