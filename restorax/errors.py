"""Errors in one sentence."""

import os
import sys


def one_sentence(error: BaseException) -> str | None:
    """Describe an error that a user can mend in one line; ``None`` for any other.

    Example:
        >>> one_sentence(ValueError("`tile` must be an integer"))
        '`tile` must be an integer'
        >>> one_sentence(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes."))
        'out of memory; give a smaller --tile, such as 256, or run on the CPU with JAX_PLATFORMS=cpu'
        >>> one_sentence(KeyError("x")) is None
        True
    """
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in text):
        return "out of memory; give a smaller --tile, such as 256, or run on the CPU with JAX_PLATFORMS=cpu"
    if isinstance(error, ValueError | TypeError | OSError | FloatingPointError | ImportError):
        return text
    if isinstance(error, RuntimeError | AssertionError) and _platform_is_missing():
        platforms = os.environ["JAX_PLATFORMS"]
        return f"JAX_PLATFORMS={platforms}: JAX finds no such device here; unset the variable, or set it to cpu"
    return None


def _platform_is_missing() -> bool:
    """Return whether JAX cannot start on the platform of the environment, which it reports in several ways."""
    if not os.environ.get("JAX_PLATFORMS") or "jax" not in sys.modules:
        return False
    try:
        sys.modules["jax"].devices()
    except Exception:
        return True
    return False
