"""Which fields of a config a job reads: others can be set without effect, and may differ."""

_SOURCE = (
    *("data.name", "data.classes", "data.dir", "data.path"),
    *("data.image_size", "data.test_size", "data.seed"),
)
_DATA = (*_SOURCE, "data.train_size", "data.train_repeats", "data.scramble_train")
# Images that are held out are some of those to train with.
_TEST_DATA = (*_SOURCE, "data.train_size", "data.validation_share")
_DISTORTED = (*_TEST_DATA, "distortions", "test_batch_size")
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

# Fields that are read only where another one has one of these values; none: where it is not empty.
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


def is_read(field: str, *, job: str) -> bool:
    """Whether a job reads a field.

    Args:
        field: dotted name.
        job: a key of ``READ_BY``; one that is not reads everything.
    """
    if job not in READ_BY:
        return True
    return any(field == read or field.startswith(f"{read}.") for read in (*READ_BY[job], *_ALWAYS))
