"""How this process gets its memory from the operating system."""

import ctypes
import sys

# Numbers of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, instead of returning large blocks to the system and asking for them again.

    A compiled JAX function on CPU takes its temporary memory in one block and frees it at its end; getting fresh pages
    for it at every call can take as long as the arithmetic (a training step of a NAFNet block: 73 ms, and 40 without).
    The process then keeps the most it ever needed. To be called before JAX starts its threads, which would otherwise
    have arenas of their own; like the environment variables ``MALLOC_ARENA_MAX=1``, ``MALLOC_MMAP_MAX_=0``,
    ``MALLOC_TRIM_THRESHOLD_`` and ``MALLOC_TOP_PAD_``.

    Returns:
        Whether it worked; ``False`` where there is no glibc.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if sys.platform != "linux":
        return False
    try:
        tune = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**28))
    return all([tune(number, value) for number, value in settings])
