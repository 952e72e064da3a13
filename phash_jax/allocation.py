"""Memory that a step frees is kept for the next, in large pages, where glibc and Linux do that."""

import ctypes

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_KEPT = 1 << 30
_MOST = (1 << 31) - 1
# Of Linux's mman.h; and what the large pages of x86 and most ARM are multiples of, bytes.
_MADV_HUGEPAGE = 14
_LARGE_PAGE = 1 << 21


def keep_freed_memory() -> bool:
    """Has glibc keep what is freed, up to 2 GiB at the end of the heap.

    Call it before there are threads: how many heaps there may be is settled by the first of them.

    XLA:CPU allocates its buffers anew in every step. Those of over 32 MiB glibc takes from the
    system and gives back each time, and every page of them is a fault when it is first written: in
    training some 20,000 a step of one network, a fifth of the time. Blocks of up to 1 GiB stay with
    this process now, as they would with other allocators.

    Returns:
        Whether it could be said: not where the C library is another one, or a glibc that refuses
        so high a threshold.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    # Windows, macOS and musl.
    except (AttributeError, OSError, TypeError):
        return False
    # First what older versions refuse, which then stay as they are. One heap for all threads: their
    # own consist of pieces of 64 MiB, which are given back.
    options = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_ARENA_MAX, 1), (_TRIM_THRESHOLD, _MOST))
    told = all(mallopt(option, value) for option, value in options)
    if told:
        _ask_for_large_pages()
    return told


def _ask_for_large_pages() -> None:
    """Has Linux take large pages for the first GiB of the heap, where it does so when asked.

    XLA:CPU writes and reads hundreds of MiB in a step, of which the processor looks up every page.
    The heap is made as long as that once; nothing is written, so it takes no memory yet.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    # Just less than what would be taken from the system as a block of its own and given back.
    size = _LARGEST_KEPT - _LARGE_PAGE
    block = libc.malloc(size)
    # None where so much address space is not to be had.
    if block:
        first = -(-block // _LARGE_PAGE) * _LARGE_PAGE
        last = (block + size) // _LARGE_PAGE * _LARGE_PAGE
        libc.madvise(first, last - first, _MADV_HUGEPAGE)
        libc.free(block)
