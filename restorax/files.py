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
    AnyPath = PurePath  # etils is imported where a bucket is meant

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


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path is in a bucket, such as ``gs://...``."""
    return "://" in str(path)


def absolute(path: str | os.PathLike) -> Any:
    """A path of ``etils.epath`` that does not depend on the working directory, ``gs://...`` included."""
    from etils import epath

    path = epath.Path(path)
    return path if path.is_absolute() else path.resolve()  # resolving a bucket would lead into the directory


def write_atomically(path: AnyPath, content: bytes | str) -> None:
    """Write a file beside its name and rename it; in a bucket, objects appear whole anyway.

    Args:
        path: a local path, or one of ``etils.epath`` in a bucket.
        content: bytes, or text that is written as UTF-8.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """
    content = content.encode() if isinstance(content, str) else content
    if is_remote(path):
        path.write_bytes(content)
        return
    with written_beside(path) as beside:
        beside.write_bytes(content)
