"""What the processor of this machine says about itself."""

import functools
import platform
import subprocess
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
    """Its model; Python's own function is empty on many Linux machines, and "arm" on every Mac."""
    return _described().get("model name") or _of_mac() or platform.processor() or platform.machine()


@functools.cache
def _of_mac() -> str:
    """Such as "Apple M2"; empty elsewhere."""
    if platform.system() != "Darwin":
        return ""
    try:
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()


def features() -> str:
    """What it can do, as words in one line; its kind where the system does not say."""
    # x86 names them "flags", ARM "Features".
    described = _described()
    return described.get("flags") or described.get("Features") or name()
