"""Programs compiled once for several runs."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from phash_jax.compilation import shared_programs


@pytest.fixture(autouse=True)
def no_folder():
    """As for a user who has named no folder; the tests themselves have one."""
    folder = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", folder)
    reset_cache()


@pytest.fixture
def hits():
    """Programs loaded from the cache, while even the smallest are kept."""
    found = []

    def listen(event, **_):
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    before = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.monitoring.register_event_listener(listen)
    yield found
    jax.monitoring.unregister_event_listener(listen)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before)


def _run_anew(scale):
    # A new function each time, as every run makes its own.
    return jax.jit(lambda x: jnp.sin(x) * scale)(jnp.ones(3))


def test_the_same_program_of_another_run_is_loaded(hits):
    with shared_programs():
        folder = Path(jax.config.jax_compilation_cache_dir)
        first = _run_anew(2.0)
        before = len(hits)
        second = _run_anew(2.0)
        assert len(hits) > before
        before = len(hits)
        _run_anew(3.0)
        assert len(hits) == before
    assert (first == second).all()
    assert not folder.exists()
    assert jax.config.jax_compilation_cache_dir is None
    before = len(hits)
    _run_anew(2.0)
    assert len(hits) == before


def test_the_users_own_folder_stays(hits, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        with shared_programs():
            assert jax.config.jax_compilation_cache_dir == str(tmp_path)
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
