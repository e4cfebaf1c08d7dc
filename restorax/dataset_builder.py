"""A folder of pictures becomes a TFDS dataset with random access (array_record); TensorFlow is not needed."""

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

from . import image

_VERSION, _CARD = "1.0.0", "data_card.json"


@dataclass(frozen=True)
class _File:
    """A picture file that can be used: where it is, its side lengths, the SHA-256 of its bytes."""

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
    """Write the dataset ``NAME`` from the pictures in a folder.

    JPEG and PNG files are stored byte for byte, others as PNG, in the order of their names; damaged ones are left out
    and named in the card. ``data_card.json`` beside the records has splits, sizes, licence and SHA-256 sums.

    Args:
        folder: of pictures.
        name: of the dataset: a to z, digits and underscores, a letter first.
        data_dir: where datasets lie, by default where TFDS has them.
        validation: share of the pictures for the split ``validation``, chosen by the sums of their files.
        licence: terms of the pictures, for the card.

    Returns:
        The card.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there is no usable picture, or none left to train on, the name is not accepted, or the dataset
            exists already.
    """
    if not 0 <= validation < 1:
        raise ValueError(f"the share for validation is {validation}; at least 0 and below 1 is accepted")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name for a dataset; a to z, digits and _ are accepted, a letter first")
    files, skipped = _usable(folder)
    chosen = {f.sha256 for f in sorted(files, key=lambda f: f.sha256)[: round(validation * len(files))]}
    splits = {"train": [f for f in files if f.sha256 not in chosen]}
    if not splits["train"]:
        raise ValueError(
            f"the share for validation is {validation}; of {len(files)} pictures it leaves none to train on"
        )
    splits |= {"validation": [f for f in files if f.sha256 in chosen]} if chosen else {}
    tfds.disable_progress_bar()
    builder = _Builder(name, splits, data_dir=data_dir, file_format="array_record")
    if Path(builder.data_dir).exists():
        raise ValueError(f"{builder.data_dir} exists already; give another name, or remove it")
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS talks of downloads
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
        "sha256": _sums(Path(builder.data_dir)),
    }
    (Path(builder.data_dir) / _CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return card


def check(name: str, *, data_dir: str | os.PathLike | None = None) -> dict[str, Any]:
    """Compare the files of a dataset written by :func:`prepare` with its card.

    Args:
        name: of the dataset.
        data_dir: where datasets lie, by default where TFDS has them.

    Returns:
        The card.

    Raises:
        FileNotFoundError: if there is no such dataset, or it has no card.
        ValueError: if a file is missing or not what was written.
    """
    folder = Path(_Builder(name, {}, data_dir=data_dir).data_dir)
    if not (folder / _CARD).is_file():
        raise FileNotFoundError(f"{folder} has no {_CARD}")
    card = json.loads((folder / _CARD).read_text())
    found = _sums(folder)
    for file, wanted in card["sha256"].items():
        if found.get(file) != wanted:
            what = "is missing" if file not in found else "is not what was written (SHA-256 differs)"
            raise ValueError(f"{folder / file} {what}; prepare the dataset again")
    return card


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Stores pictures in the order given."""

    VERSION = tfds.core.Version(_VERSION)
    url_infos: ClassVar[dict] = {}  # nothing is downloaded; looking for a list of sums would need another package

    def __init__(self, name: str, splits: Mapping[str, Sequence[_File]], **options: Any):
        self.name = name  # pyright: ignore[reportAttributeAccessIssue]
        self._files = splits
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "file": tfds.features.Text()})
        description = "Clean pictures for training, prepared by restorax."
        return tfds.core.DatasetInfo(builder=self, description=description, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        return {split: self._generate_examples(files) for split, files in self._files.items()}

    def _generate_examples(self, files: Sequence[_File]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, file in enumerate(files):
            yield number, {"image": _stored(file.path), "file": file.path.name}


def _usable(folder: str | os.PathLike) -> tuple[list[_File], list[str]]:
    """The pictures of a folder that can be read, and why others cannot."""
    files, skipped = [], []
    for path in image.list_pictures(folder):
        try:
            height, width = image.read(path).pixels.shape[:2]
        except (ValueError, FileNotFoundError) as error:  # the latter for a link that leads nowhere
            skipped.append(str(error).replace(str(path), path.name))
            continue
        files.append(_File(path, height, width, _sum(path)))
    if not files:
        raise ValueError(f"no picture in {folder} can be used: {skipped[0]}")
    return files, skipped


def _stored(path: Path) -> bytes:
    """The bytes of a JPEG or PNG file; those of a PNG of anything else."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return content
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "picture.png"
        image.write(converted, image.read(path))
        return converted.read_bytes()


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.name != _CARD)
    return {path.name: _sum(path) for path in files}


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
