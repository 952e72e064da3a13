"""Which fields of a config a job reads: others can be set without effect, and may differ."""

_DATA = ("data",)
_TEST_DATA = (
    *("data.name", "data.classes", "data.dir", "data.path"),
    *("data.image_size", "data.test_size", "data.seed"),
)
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
    # Devices of their own have only those of several processes.
    "catalog": (*_DATA, *_HASHES, "catalog", "train.cpu_devices"),
    "hash_images": (*_HASHES, "pictures", "train.cpu_devices"),
    "hash_study": (*_DATA, "hash_study"),
}
_ALWAYS = ("job", "name")

# Fields of ``data`` that only some of the sources read.
SOURCES_THAT_READ: dict[str, tuple[str, ...]] = {
    "data.dir": ("cifar10",),
    "data.path": ("file",),
    "data.image_size": ("synthetic", "file"),
    "data.train_size": ("synthetic",),
    "data.test_size": ("synthetic",),
    "data.seed": ("synthetic",),
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
