"""Keeps memory that a step frees for the next, in large pages, where glibc and Linux allow it."""

import ctypes

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_KEPT = 1 << 30
_MOST = (1 << 31) - 1
# Of Linux's mman.h; and the size that large pages of x86 and most ARM are multiples of, bytes.
_MADV_HUGEPAGE = 14
_LARGE_PAGE = 1 << 21


def keep_freed_memory() -> bool:
    """Makes glibc keep freed memory, up to 2 GiB at the end of the heap.

    Call it before there are threads: the first of them fixes how many heaps there may be.

    XLA:CPU allocates its buffers anew in every step. Those over 32 MiB glibc takes from the system
    and gives back each time, and the first write to each of their pages is a page fault: in
    training some 20,000 a step of one network, a fifth of the time. With this, blocks of up to
    1 GiB stay with the process, as they would with other allocators.

    Returns:
        Whether it worked: not where the C library is another one, or a glibc that refuses so high
        a threshold.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    # Windows, macOS and musl.
    except (AttributeError, OSError, TypeError):
        return False
    # First what older versions refuse, so that these stay as they are. One heap for all threads:
    # heaps of their own would consist of pieces of 64 MiB, which are given back.
    options = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_ARENA_MAX, 1), (_TRIM_THRESHOLD, _MOST))
    told = all(mallopt(option, value) for option, value in options)
    if told:
        _ask_for_large_pages()
    return told


def _ask_for_large_pages() -> None:
    """Asks Linux for large pages in the first GiB of the heap, where it grants them on request.

    XLA:CPU writes and reads hundreds of MiB in a step, and the processor has to look up each page.
    The heap is grown to that length once; nothing is written, so it takes no memory yet.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    # Just less than a block that would be taken from the system by itself and given back.
    size = _LARGEST_KEPT - _LARGE_PAGE
    block = libc.malloc(size)
    # None where so much address space is not available.
    if block:
        first = -(-block // _LARGE_PAGE) * _LARGE_PAGE
        last = (block + size) // _LARGE_PAGE * _LARGE_PAGE
        libc.madvise(first, last - first, _MADV_HUGEPAGE)
        libc.free(block)
