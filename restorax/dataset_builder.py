"""Build a random-access TFDS dataset (array_record) from a folder of images, without TensorFlow."""

import contextlib
import datetime
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from .files import image

_VERSION, _CARD = "1.0.0", "data_card.json"


@dataclass(frozen=True)
class _File:
    """A usable image file: path, height, width and SHA-256."""

    path: Path
    height: int
    width: int
    sha256: str


def prepare(
    folder: str | os.PathLike,
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    validation: float = 0.0,
    licence: str = "not stated",
) -> dict[str, Any]:
    """Write the dataset ``name`` from the images in a folder.

    JPEG and PNG files are stored byte for byte, others as PNG, in order of file name. Damaged files are skipped and
    listed in the data card: ``data_card.json`` beside the records, with splits, sizes, licence and SHA-256 checksums.

    Args:
        folder: folder of images.
        name: name of the dataset: a to z, digits and underscores, starting with a letter.
        data_dir: folder of TFDS datasets; by default that of TFDS.
        validation: fraction of the images in the split ``validation``, in [0, 1), chosen by checksum.
        licence: licence of the images, for the data card.

    Returns:
        The data card.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there is no usable image, none is left for training, the name is invalid, or the dataset exists
            already.
    """
    if not 0 <= validation < 1:
        raise ValueError(f"`validation` must be in [0, 1), got {validation}")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not a valid dataset name; use a to z, digits and _, starting with a letter")
    files, skipped = _usable(folder)
    chosen = {f.sha256 for f in sorted(files, key=lambda f: f.sha256)[: round(validation * len(files))]}
    splits = {"train": [f for f in files if f.sha256 not in chosen]}
    if not splits["train"]:
        raise ValueError(
            f"`validation` is {validation}, which leaves none of {len(files)} images to train on; lower it"
        )
    splits |= {"validation": [f for f in files if f.sha256 in chosen]} if chosen else {}
    tfds.disable_progress_bar()
    builder = _Builder(name, splits, data_dir=data_dir, file_format="array_record")
    if Path(builder.data_dir).exists():
        raise ValueError(f"{builder.data_dir} exists already; choose another name or remove it")
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints messages about downloads
        builder.download_and_prepare()
    card = {
        "name": name,
        "version": _VERSION,
        "source": Path(folder).resolve().name,
        "licence": licence,
        "splits": {split: len(part) for split, part in splits.items()},
        "smallest_side": min(min(f.height, f.width) for f in files),
        "largest_side": max(max(f.height, f.width) for f in files),
        "megapixels": round(sum(f.height * f.width for f in files) / 1e6, 3),
        "skipped": skipped,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {package: version(package) for package in ("tensorflow-datasets", "numpy", "Pillow")},
        "sha256": _checksums(Path(builder.data_dir)),
    }
    (Path(builder.data_dir) / _CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return card


def check(name: str, *, data_dir: str | os.PathLike | None = None) -> dict[str, Any]:
    """Verify the files of a dataset written by :func:`prepare` against the checksums in its data card.

    Args:
        name: name of the dataset.
        data_dir: folder of TFDS datasets; by default that of TFDS.

    Returns:
        The data card.

    Raises:
        FileNotFoundError: if there is no such dataset, or it has no data card.
        ValueError: if a file is missing or differs from its checksum.
    """
    folder = Path(_Builder(name, {}, data_dir=data_dir).data_dir)
    if not (folder / _CARD).is_file():
        raise FileNotFoundError(f"{folder} has no {_CARD}")
    card = json.loads((folder / _CARD).read_text())
    found = _checksums(folder)
    for file, expected in card["sha256"].items():
        if found.get(file) != expected:
            problem = "is missing" if file not in found else "has changed (SHA-256 differs)"
            raise ValueError(f"{folder / file} {problem}; prepare the dataset again")
    return card


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Store images in the given order."""

    VERSION = tfds.core.Version(_VERSION)
    url_infos: ClassVar[dict] = {}  # looking up checksums of downloads would require another package

    def __init__(self, name: str, splits: Mapping[str, Sequence[_File]], **options: Any):
        self.name = name  # pyright: ignore[reportAttributeAccessIssue]
        self._files = splits
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "file": tfds.features.Text()})
        description = "Clean images for training, prepared by restorax."
        return tfds.core.DatasetInfo(builder=self, description=description, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        return {split: self._generate_examples(files) for split, files in self._files.items()}

    def _generate_examples(self, files: Sequence[_File]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, file in enumerate(files):
            yield number, {"image": _stored(file.path), "file": file.path.name}


def _usable(folder: str | os.PathLike) -> tuple[list[_File], list[str]]:
    """Return the readable images of a folder, and one line for each other with the reason."""
    files, skipped = [], []
    for path in image.list_pictures(folder):
        try:
            height, width = image.read(path).pixels.shape[:2]
        except (ValueError, FileNotFoundError) as error:  # FileNotFoundError: a broken link
            skipped.append(str(error).replace(str(path), path.name))
            continue
        files.append(_File(path, height, width, _checksum(path)))
    if not files:
        raise ValueError(f"{folder} contains no usable image; the first: {skipped[0]}")
    return files, skipped


def _stored(path: Path) -> bytes:
    """Return the bytes of a JPEG or PNG file; convert any other format to PNG."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return content
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "picture.png"
        image.write(converted, image.read(path))
        return converted.read_bytes()


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.name != _CARD)
    return {path.name: _checksum(path) for path in files}


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
