"""Programs compiled once for several runs and starts."""

import errno
import logging
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from phash_jax import compilation
from phash_jax.compilation import kept_programs, programs_folder
from phash_jax.errors import is_disk_full


@pytest.fixture(autouse=True)
def caches(monkeypatch, tmp_path):
    """As for a user who has named no folder; the tests themselves have one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    folder = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    reset_cache()
    yield tmp_path / "caches"
    jax.config.update("jax_compilation_cache_dir", folder)
    reset_cache()


@pytest.fixture
def hits(monkeypatch):
    """Programs loaded from the cache, while even the smallest are kept."""
    found = []

    def listen(event, **_):
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    monkeypatch.setattr(compilation, "_MIN_SECONDS", 0)
    jax.monitoring.register_event_listener(listen)
    yield found
    jax.monitoring.unregister_event_listener(listen)


def _run_anew(scale):
    # A new function each time, as every run makes its own.
    return jax.jit(lambda x: jnp.sin(x) * scale)(jnp.ones(3))


def test_the_same_program_of_another_run_is_loaded(hits):
    with kept_programs():
        first = _run_anew(2.0)
        before = len(hits)
        second = _run_anew(2.0)
        assert len(hits) > before
        before = len(hits)
        _run_anew(3.0)
        assert len(hits) == before
    assert (first == second).all()
    assert jax.config.jax_compilation_cache_dir is None
    before = len(hits)
    _run_anew(2.0)
    assert len(hits) == before


def test_the_same_program_of_another_start_is_loaded(hits, caches):
    with kept_programs():
        first = _run_anew(2.0)
    assert programs_folder().parent == caches / "phash_jax"
    assert list(programs_folder().glob("*-cache"))
    with kept_programs():
        before = len(hits)
        assert (_run_anew(2.0) == first).all()
        assert len(hits) > before


def test_what_was_used_longest_ago_is_removed(hits, monkeypatch):
    with kept_programs():
        _run_anew(2.0)
    one = sum(path.stat().st_size for path in programs_folder().glob("*-cache"))
    monkeypatch.setattr(compilation, "_MAX_BYTES", 3 * one)
    with kept_programs():
        for scale in range(10, 20):
            _run_anew(scale)
    files = list(programs_folder().glob("*-cache"))
    assert 0 < sum(path.stat().st_size for path in files) <= 3 * one


def test_a_damaged_program_is_compiled_anew(hits):
    with kept_programs():
        first = _run_anew(2.0)
        for path in programs_folder().glob("*-cache"):
            path.write_bytes(path.read_bytes()[:100])
        with pytest.warns(UserWarning, match="Error reading persistent compilation cache entry"):
            assert (_run_anew(2.0) == first).all()


def test_where_nothing_can_be_kept_runs_still_share_programs(hits, caches, caplog):
    caches.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING), kept_programs():
        folder = Path(jax.config.jax_compilation_cache_dir)
        _run_anew(2.0)
        before = len(hits)
        _run_anew(2.0)
        assert len(hits) > before
    assert not folder.exists()
    assert "compiled programs are not kept for the next start" in caplog.text


def test_a_folder_that_cannot_be_written_is_no_reason_for_what_fails_in_the_job(caches):
    caches.write_text("a file where the folder should be")
    with pytest.raises(ValueError, match="in the job") as error, kept_programs():
        raise ValueError("in the job")
    assert error.value.__context__ is None


def test_a_full_disk_is_known_however_it_is_wrapped():
    full = OSError(errno.ENOSPC, "full")
    wrapped, hidden = ValueError(), ValueError()
    wrapped.__context__ = hidden.__context__ = full
    assert is_disk_full(full)
    assert is_disk_full(wrapped)
    assert not is_disk_full(None)
    assert not is_disk_full(OSError(errno.EACCES, "denied"))
    # As raised "from None", by whom has said already what to do.
    hidden.__suppress_context__ = True
    assert not is_disk_full(hidden)


def test_the_users_own_folder_stays(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        with kept_programs():
            assert jax.config.jax_compilation_cache_dir == str(tmp_path)
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
