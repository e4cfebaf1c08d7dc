"""Compiled programs that stay on disk for the next call of the command line, and the time that compilation takes."""

import os
from pathlib import Path
from typing import Any

_LARGEST = 2**30  # bytes; programs used longest ago are removed first
_SHORTEST = 0.1  # seconds of compilation


class CompilationTimer:
    """Counts the seconds that JAX spends on compilation, or on reading compiled programs from disk."""

    def __init__(self) -> None:
        import jax

        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._add)

    def _add(self, event: str, duration_secs: float, **_: Any) -> None:
        if event.endswith("backend_compile_duration"):
            self.seconds += duration_secs


def cache_folder() -> Path:
    """Return the folder of compiled programs: ``restorax`` in ``$XDG_CACHE_HOME``, which is ``~/.cache`` by default."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restorax"


def use_cache() -> Path | None:
    """Turn on JAX's compilation cache, unless ``JAX_COMPILATION_CACHE_DIR`` has done so.

    Returns:
        Folder of the cache; ``None`` if it cannot be created.
    """
    import jax

    configured = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if configured:
        return Path(configured)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home directory, or a full disk: nothing is kept
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _LARGEST)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST)
    return folder
