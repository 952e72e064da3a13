"""Programs compiled once, though each run traces its own."""

import contextlib
import tempfile
from collections.abc import Iterator

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache


@contextlib.contextmanager
def shared_programs() -> Iterator[None]:
    """Within it, a program that was compiled before is loaded instead of compiled again.

    Runs of one sweep that differ in a seed, in data of one shape or in how weights start have the
    same training program. JAX's compilation cache knows it by its content; it lies in a temporary
    folder, since programs for one CPU need not run on another, unless the user has named a folder
    (``JAX_COMPILATION_CACHE_DIR``).
    """
    if jax.config.jax_compilation_cache_dir:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="phash_jax-", ignore_cleanup_errors=True) as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", None)
            # Else JAX goes on looking into the folder that is no more.
            reset_cache()
