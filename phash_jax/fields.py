"""Which fields of a config a job reads: others can be set without effect, and may differ."""

# Sections and fields; name and train.cpu_devices are read with every job.
_DATA = ("data",)
_DISTORTED = ("data", "distortions", "test_batch_size")
READ_BY: dict[str, tuple[str, ...]] = {
    "train": (
        *("only", "runs", "published", "preprocess", "loss", "label_smoothing"),
        *("test_sets", "test_batch_size", "test_flip", "test_shift"),
        *("data", "model", "optimizer", "train"),
    ),
    "robustness": (*_DISTORTED, "robustness"),
    "hash_robustness": (*_DISTORTED, "hash"),
    "export_distorted": _DISTORTED,
    "arrays": _DATA,
    "catalog": (*_DATA, "hash.names", "hash.size", "hash.pillow", "catalog"),
    "hash_images": ("hash.names", "hash.size", "hash.pillow", "pictures"),
    "hash_study": (*_DATA, "hash_study"),
}
_ALWAYS = ("job", "name", "train.cpu_devices")

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
