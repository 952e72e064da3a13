"""What the processor of this machine says about itself."""

import functools
import platform
from pathlib import Path


@functools.cache
def _described() -> dict[str, str]:
    """The first core's lines of Linux's /proc/cpuinfo; none elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def name() -> str:
    """Its model; Python's own function is empty on many Linux machines."""
    return _described().get("model name") or platform.processor() or platform.machine()


def features() -> str:
    """What it can do, as words in one line; its kind where the system does not say."""
    # x86 names them "flags", ARM "Features".
    described = _described()
    return described.get("flags") or described.get("Features") or platform.processor()
