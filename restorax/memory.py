"""How this process gets its memory from the operating system."""

import ctypes
import sys

# Numbers of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, instead of returning large blocks to the system and asking for them again.

    A compiled JAX function on CPU takes its temporary memory in one block and frees it at its end; getting fresh pages
    for it at every call can take as long as the arithmetic. The process then keeps the most it ever needed. The same
    as the environment variables ``MALLOC_MMAP_MAX_=0``, ``MALLOC_TRIM_THRESHOLD_`` and ``MALLOC_TOP_PAD_``, without a
    new process.

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
    return all([tune(_MMAP_MAX, 0), tune(_TRIM_THRESHOLD, 2**31 - 1), tune(_TOP_PAD, 2**28)])
