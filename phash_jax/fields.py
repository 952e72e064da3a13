"""Facts about the fields of a config, besides what ``configs/default.py`` says of each.

Which job reads them (others have no effect and may differ), which may change when a run is resumed,
and which make it another run. A new field is entered in ``LATER_FIELDS``, so that older runs can be
resumed, and in the other tables where it belongs.
"""

_SOURCE = (
    *("data.name", "data.classes", "data.dir", "data.path"),
    *("data.image_size", "data.test_size", "data.seed"),
)
_DATA = (*_SOURCE, "data.train_size", "data.train_repeats", "data.scramble_train")
# They decide which images a network is tested with; those held out are training images.
TEST_DATA = (*_SOURCE, "data.train_size", "data.validation_share")
_DISTORTED = (*TEST_DATA, "distortions", "test_batch_size")
_HASHES = ("hash.names", "hash.size", "hash.pillow")
# Sections and fields.
READ_BY: dict[str, tuple[str, ...]] = {
    "train": (
        *("only", "runs", "published", "preprocess", "loss", "label_smoothing"),
        *("test_sets", "test_batch_size", "test_flip", "test_shift"),
        *("data", "model", "optimizer", "train"),
    ),
    "robustness": (*_DISTORTED, "robustness", "train.cpu_devices"),
    "hash_robustness": (*_DISTORTED, "hash", "train.cpu_devices"),
    "export_distorted": _DISTORTED,
    "arrays": _DATA,
    "catalog": (*_DATA, *_HASHES, "catalog"),
    "hash_images": (*_HASHES, "pictures"),
    "hash_study": (*_DATA, "hash_study"),
}
_ALWAYS = ("job", "name")

# Fields that are read only where another has one of these values; no values: where it is not empty.
READ_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "data.dir": ("data.name", ("cifar10",)),
    "data.path": ("data.name", ("file",)),
    "data.image_size": ("data.name", ("synthetic", "file")),
    "data.train_size": ("data.name", ("synthetic",)),
    "data.test_size": ("data.name", ("synthetic",)),
    "data.seed": ("data.name", ("synthetic",)),
    "model.kernel_stddev": ("model.kernel_init", ("truncated_normal",)),
    "published": ("data.name", ("cifar10",)),
    "train.loop": ("train.stream", ("never", "auto")),
    "train.prefetch": ("train.stream", ("always", "auto")),
    "train.teachers": ("train.teacher", ()),
    "train.teacher_share": ("train.teacher", ()),
}

# Where the data are, which runs to train, how often they are saved and tested meanwhile, how much
# memory that takes, and what is listed of a finished catalog do not change what a run is. Nor do
# fields that its job does not read.
FREE_FIELDS = (
    "only",
    "test_batch_size",
    "data.dir",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.prefetch",
    "train.test_every",
    "pictures.near_hash",
    "pictures.near_radius",
    "pictures.near_max_pairs",
    "pictures.threads",
)

# Paths, which may be written in several ways; what lies there is checked where it is read.
PATHS = (
    *("catalog.image_dir", "data.path", "pictures.path"),
    *("robustness.networks", "train.teacher"),
)

# What does not change what is learned or how it is tested: names, and how the work is done and
# logged.
NO_PART_OF_A_RECIPE = {
    "job",
    "name",
    "published",
    "runs",
    "train.cpu_devices",
    "train.log_every",
    "train.loop",
    "train.stream",
    *FREE_FIELDS,
}

# Fields that were added later, and the values that earlier runs were made with.
LATER_FIELDS = {
    "data.validation_share": 0.0,
    "label_smoothing": 0.0,
    "test_flip": False,
    "test_shift": 0,
    "model.compute_dtype": "float32",
    "model.dropout": 0.0,
    "model.group_norm": "none",
    "optimizer.average_decay": 0.0,
    "optimizer.schedule": "constant",
    "optimizer.warmup": 0.0,
    "optimizer.weight_decay": 0.0,
    "train.augment": "",
    "train.cutout": 0,
    "train.flip": False,
    "train.max_shift": 0,
    "train.max_zoom": 0.0,
    "train.mixup": 0.0,
    "train.prefetch": 16,
    "train.stream": "auto",
    "train.teacher": "",
    "train.teacher_share": 0.9,
    "train.teachers": 1,
    "train.test_every": 0,
}


def is_read(field: str, *, job: str) -> bool:
    """Whether a job reads a field.

    Args:
        field: dotted name.
        job: a key of ``READ_BY``; any other job is taken to read everything.
    """
    if job not in READ_BY:
        return True
    return any(field == read or field.startswith(f"{read}.") for read in (*READ_BY[job], *_ALWAYS))
