"""Atomic file writes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etils import epath

    AnyPath = Path | epath.Path
else:
    AnyPath = PurePath  # etils is imported only for bucket paths

# Reading the umask requires setting it for all threads, so read it once at import.
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def written_beside(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` that replaces it only on success."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder; cannot write {path.name}")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def is_remote(path: str | os.PathLike) -> bool:
    """Return whether a path is in a bucket, such as ``gs://...``."""
    return "://" in str(path)


def absolute(path: str | os.PathLike) -> Any:
    """Return an absolute ``etils.epath`` path; ``gs://...`` paths are unchanged."""
    from etils import epath

    path = epath.Path(path)
    return (
        path if path.is_absolute() else path.resolve()
    )  # resolve() would place a bucket path under the working directory


def write_atomically(path: AnyPath, content: bytes | str) -> None:
    """Write a file atomically, by renaming a temporary one; writes to buckets are atomic already.

    Args:
        path: a local path, or an ``etils.epath`` path in a bucket.
        content: bytes, or text to encode as UTF-8.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """
    content = content.encode() if isinstance(content, str) else content
    if is_remote(path):
        path.write_bytes(content)
        return
    with written_beside(path) as beside:
        beside.write_bytes(content)
