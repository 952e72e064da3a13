"""Memory that one step frees is kept for the next, where the C library would give it back."""

import ctypes

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_KEPT = 1 << 30
_MOST = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Has glibc keep what is freed, up to 2 GiB at the end of the heap.

    Call it before there are threads: how many heaps there may be is settled by the first of them.

    XLA:CPU allocates its buffers anew in every step. Those of over 32 MiB glibc takes from the
    system and gives back each time, and every page of them is a fault when it is first written: in
    training some 20,000 a step of one network, a fifth of the time. Blocks of up to 1 GiB stay with
    this process now, as they would with other allocators.

    Returns:
        Whether it could be said: not where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    # Windows, macOS and musl.
    except (AttributeError, OSError, TypeError):
        return False
    # One heap for all threads: their own consist of pieces of 64 MiB, which are given back.
    options = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _MOST))
    told = [mallopt(option, value) for option, value in options]
    return all(told)
