"""Which command, code, libraries and machine a workdir was made with."""

import os
import subprocess
import sys

import jax
import pytest

from phash_jax import provenance


def test_every_different_start_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--config=configs/original.py", "--workdir=a b"])
    assert provenance.read(tmp_path) == []
    provenance.record(tmp_path)
    provenance.record(tmp_path)
    (start,) = provenance.read(tmp_path)
    assert start["command"] == "python main.py --config=configs/original.py '--workdir=a b'"
    assert start["versions"]["jax"] == jax.__version__
    assert "core" in start["hardware"]
    monkeypatch.setattr(sys, "argv", ["main.py", "--workdir=a b"])
    provenance.record(tmp_path)
    first, second = provenance.read(tmp_path)
    assert first == start
    assert second["command"] == "python main.py '--workdir=a b'"


def test_damaged_file_is_named(tmp_path):
    (tmp_path / "provenance.json").write_text("[{")
    with pytest.raises(ValueError, match=r"provenance.json is damaged .*delete it"):
        provenance.read(tmp_path)


def test_commit_says_whether_files_differ_from_it(tmp_path, monkeypatch):
    # Neither another repository, as within a hook, nor what the user has configured.
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    own_environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
            env=own_environment,
        )
        return done.stdout.strip()

    monkeypatch.setattr(provenance, "_SOURCE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance._commit() == ""
    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    assert provenance._commit() == git("rev-parse", "--short=10", "HEAD")
    (tmp_path / "file").write_text("2")
    assert provenance._commit() == git("rev-parse", "--short=10", "HEAD") + "+"
    # As installed into an environment within another's repository.
    (tmp_path / ".gitignore").write_text("installed\n")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "file").touch()
    monkeypatch.setattr(provenance, "_SOURCE", tmp_path / "installed")
    assert provenance._commit() == ""
