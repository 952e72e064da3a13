"""What a figure was measured with, for the JSON files in results/."""

import platform
from importlib.metadata import PackageNotFoundError, version

from phash_jax import processor


def environment(*packages: str) -> dict[str, object]:
    """Processor and versions: Python's and those of packages, None where one is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {"processor": processor.name(), "versions": versions}
