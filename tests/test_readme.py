"""README.md: what it names is there, and its code runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import load_config, make_small_config

from phash_jax.distortions import GROUPS
from phash_jax.train import train
from phash_jax.workdir import claim, flatten

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
MODULES = (ROOT / "phash_jax" / "README.md").read_text()
FIELDS = flatten(load_config("default").to_dict())


def test_every_module_and_config_is_named():
    modules = [path.name for path in (ROOT / "phash_jax").glob("[!_]*.py")]
    folders = [f"{path.parent.name}/" for path in (ROOT / "phash_jax").glob("*/__init__.py")]
    configs = [path.stem for path in (ROOT / "configs").glob("[!_]*.py") if path.stem != "default"]
    assert len(modules) > 30
    assert len(configs) > 15
    assert [name for name in configs if f"`{name}`" not in TEXT] == []
    assert [name for name in (*modules, *folders) if f"`{name}`" not in MODULES] == []
    mentioned = set(re.findall(r"`(\w+\.py)`", TEXT + MODULES)) - {"main.py"}
    everywhere = {path.name for path in (ROOT / "phash_jax").rglob("*.py")}
    assert mentioned - everywhere == set()


def test_every_field_and_file_is_there():
    named = set(re.findall(r"--config\.([a-z_.]+)=", TEXT)) - {"section.field"}
    assert len(named) > 10
    assert sorted(named - FIELDS.keys()) == []
    links = re.findall(r"\]\((?!http|#)([^)#]+)", TEXT)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
    links = re.findall(r"\]\((?!http|#)([^)#]+)", MODULES)
    assert [link for link in links if not (ROOT / "phash_jax" / link).exists()] == []
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in _titles()}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def test_every_distortion_is_named():
    for group, distortions in GROUPS.items():
        assert f"| `{group}` | {', '.join(f'`{name}`' for name in distortions)} |" in TEXT


def _titles():
    return re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("about", ["hashing", "DISTORTIONS", "get_config", "restore"])
def test_its_code_runs(about, dataset, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 4
    [code] = [block for block in blocks if about in block]
    names = {}
    if about == "restore":
        # As a minute of training would leave it, for smaller pictures.
        config = make_small_config()
        config.data.classes = "cat,dog"
        config.train.update({"num_seeds": 2, "num_steps": 5, "checkpoint_every": 5})
        workdir = tmp_path / "runs" / "quickstart" / "phash"
        claim(workdir, config)
        train(config, dataset.train, num_classes=2, workdir=workdir)
        code = code.replace("32, 32", "16, 16")
        monkeypatch.chdir(tmp_path)
    exec(compile(code, f"README.md, block on {about}", "exec"), names)
    if about == "get_config":
        assert names["get_config"]().preprocess == "median_hash"
    if about == "restore":
        assert names["logits"].shape == (2, 10, 2)


ALONE = """
import importlib.metadata, sys
from phash_jax import binarize, codes, distortions, hamming, hashing, preprocess
of_module = importlib.metadata.packages_distributions()
loaded = {name.partition(".")[0] for name in sys.modules}
print(*sorted({package for name in loaded for package in of_module.get(name, [])}))
"""


def test_what_other_projects_import_needs_little_more_than_jax():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.lower() for name in done.stdout.split()}
    assert {"jax", "numpy", "jaxtyping"} < loaded
    # What the environment loads by itself, such as setuptools, or JAX where it finds it is no need.
    declared = {
        re.match("[A-Za-z_-]+", line)[0].lower().replace("_", "-")
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    assert loaded & declared <= {"jax", "numpy", "jaxtyping", "filelock", "etils"}
