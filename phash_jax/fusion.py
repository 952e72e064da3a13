"""What XLA:CPU computes faster apart than fused with what it is needed for."""

import functools
from collections.abc import Callable, Iterable

import jax
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata


def apart(function: Callable, *, static_argnames: str | Iterable[str] = ()) -> Callable:
    """The same function, of which a program on CPU makes loops of its own.

    XLA:CPU fuses as much as it can into one loop over the elements of a result. Over pixels of
    three channels, or with much to compute for each, that loop may have no vector instructions, and
    what several elements share is computed for each of them. On other platforms nothing changes.

    Args:
        function: of arrays, in positional arguments.
        static_argnames: keyword arguments that are no arrays, as for ``jax.jit``.
    """
    compiled = jax.jit(function, static_argnames=static_argnames)

    @functools.wraps(function)
    def called(*arrays, **static):
        def on_cpu(*arrays):
            # XLA:CPU fuses no call, and keeps those that it is told to.
            return set_xla_metadata(compiled(*arrays, **static), inlineable="false")

        return lax.platform_dependent(
            *arrays, cpu=on_cpu, default=functools.partial(function, **static)
        )

    return called
