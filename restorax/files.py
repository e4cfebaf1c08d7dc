"""Files appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# It can only be read by setting it, for all threads: once, before there are any.
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def written_beside(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` that takes its place only if nothing fails."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder to write {path.name} in")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
