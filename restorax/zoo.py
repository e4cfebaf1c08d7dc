"""Published parameters: one folder an entry, with a card that says what they are and what they are worth."""

import dataclasses
import difflib
import hashlib
import json
import os
from pathlib import Path, PurePath
from typing import Any

import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from .files import written_beside
from .models import MODELS, RestorationNetwork
from .models.create import build
from .types import Array, ConditionMap, DTypeLike, Image, Params

# An installed package carries the zoo inside; a checkout has it at the top level.
_PACKAGED = Path(__file__).parent / "zoo_data"
ZOO = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "zoo"


@dataclasses.dataclass(frozen=True)
class Result:
    """One measured number of a card, with the protocol that makes it comparable.

    Attributes:
        dataset: name of the test set.
        degradation: what was done to the images, in the language of ``restorax.degrade.parse``.
        images: how many.
        psnr: mean of the per-image PSNR in dB.
        ssim: mean of the per-image SSIM.
        input_psnr: the same of the degraded images.
        protocol: channels, border, rounding and seeds.
        psnr_b: mean of the per-image PSNR-B in dB, after JPEG.
    """

    dataset: str
    degradation: str
    images: int
    psnr: float
    ssim: float
    input_psnr: float
    protocol: str
    psnr_b: float | None = None


@dataclasses.dataclass(frozen=True)
class Card:
    """What an entry is, how it was made and how good it is (``card.json``).

    Attributes:
        name: ``<architecture>-<gray|color>-<degradation>[-direct]``.
        architecture: a key of ``restorax.models.MODELS``.
        config: fields of the module.
        channels: image channels, 1 or 3.
        condition: what the condition map must hold, or ``None`` for a blind restorer.
        degradation: what it was trained to undo, with ranges, in the language of ``restorax.degrade.parse``.
        evaluation: degradations under which its results are given.
        beyond: degradations that it was not trained on and is measured under all the same.
        data: what it was trained on.
        data_licence: licence of that data.
        weights_licence: licence of the parameters.
        steps: optimiser steps up to the published parameters, those that validated best.
        seconds: wall-clock time of the training.
        start: entry whose parameters the training began with; empty for fresh ones.
        hardware: on what it was trained.
        versions: versions of the libraries that matter.
        commit: of the code that trained it.
        parameters: number of parameters.
        parameter_dtype: how they are stored, ``"float32"`` or ``"float16"``.
        flops_per_megapixel: floating-point operations (two per multiply-add) for 2**20 pixels.
        receptive_field: side in pixels of what an output pixel sees; ``None`` means the whole image.
        limits: what it should not be expected to do.
        paper: what to cite.
        results: measured quality.
        elsewhere: the same for what it was not trained on: other degradations, and other kinds of picture.
        throughput: megapixels per second in images of 512 x 512, by device and type of the activations.
        halo: pixels of context that keep tiles within 0.05 dB of the whole image, where that has been measured.
        sha256: of ``params.safetensors``.
    """

    name: str
    architecture: str
    config: dict[str, Any]
    channels: int
    condition: str | None
    degradation: str
    evaluation: list[str]
    data: str
    data_licence: str
    weights_licence: str
    steps: int
    seconds: int
    hardware: str
    versions: dict[str, str]
    commit: str
    parameters: int
    parameter_dtype: str
    flops_per_megapixel: float
    receptive_field: int | None
    limits: str
    paper: str
    start: str = ""
    beyond: list[str] = dataclasses.field(default_factory=list)
    results: list[Result] = dataclasses.field(default_factory=list)
    elsewhere: list[Result] = dataclasses.field(default_factory=list)
    throughput: dict[str, float] = dataclasses.field(default_factory=dict)
    halo: int | None = None
    sha256: str = ""

    def __hash__(self) -> int:
        """Cards are static under ``jit``: equal ones share a compiled function."""
        return hash((self.name, self.sha256))

    @classmethod
    def read(cls, folder: PurePath) -> "Card":
        """Read ``folder/card.json``.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is not JSON, or a field is missing or unknown.
        """
        path = folder / "card.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no card.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            measured = {key: [Result(**r) for r in content.get(key, [])] for key in ("results", "elsewhere")}
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a valid card: {error}") from None
        fields = {f.name for f in dataclasses.fields(cls)}
        if missing := fields - {"start", "beyond", "elsewhere", "throughput", "halo"} - set(content):
            raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
        if unknown := set(content) - fields:
            raise ValueError(f"{path} has unknown fields: {', '.join(sorted(unknown))}")
        return cls(**{**content, **measured})

    def write(self, folder: PurePath) -> None:
        """Write ``folder/card.json``, beside and renamed."""
        content = dataclasses.asdict(self)
        for results in (content["results"], content["elsewhere"]):
            results[:] = ({key: value for key, value in r.items() if value is not None} for r in results)
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if _in_bucket(folder):  # where objects appear whole by themselves
            (folder / "card.json").write_text(text, encoding="utf-8")
            return
        with written_beside(folder / "card.json") as beside:
            beside.write_text(text, encoding="utf-8")


class Restorer(flax.struct.PyTreeNode):
    """A network with its parameters: a pure function that crosses ``jit``, ``vmap``, ``pmap`` and ``shard_map``.

    A batch on several devices is for the last two: where plain ``jit`` finds one spread over them, XLA gathers it on
    each for Fourier transforms and grouped convolutions (openxla/xla#24, openxla/xla#47945).

    Attributes:
        params: parameters, float32.
        model: the Flax module.
        card: what it is.
    """

    params: Params
    model: RestorationNetwork = flax.struct.field(pytree_node=False)
    card: Card = flax.struct.field(pytree_node=False)

    def __call__(self, image: Image, condition: ConditionMap | None = None) -> Array:
        """Restore ``[*batch, height, width, channels]`` in [0, 1]; the output is not clipped.

        A network of frames takes ``[*batch, frames, height, width, channels]`` and restores one frame.
        """
        return self.model.apply({"params": self.params}, image, condition)


def list_models(zoo: str | os.PathLike | None = None) -> list[str]:
    """Names of the published entries.

    Args:
        zoo: a folder of entries; by default the zoo that comes with the package.

    Returns:
        Sorted names; :func:`load` takes those of the default zoo, of others the folder.

    Example:
        >>> "resunet_s-gray-noise" in list_models()
        True
    """
    folder = Path(zoo or ZOO)
    return sorted(p.parent.name for p in folder.glob("*/card.json"))


def find(name: str | os.PathLike) -> PurePath:
    """The folder of an entry: a published name, the path of a folder with a card, or a training directory.

    Of a folder in a bucket, ``gs://...``, the path is one of ``etils.epath``.

    Raises:
        FileNotFoundError: if there is neither; similar names are suggested.
    """
    given = Path(name)
    if _in_bucket(name):
        from etils import epath

        given = epath.Path(name)
    in_training = given.iterdir() if (given / "recipe.json").is_file() else ()
    for folder in (ZOO / name, given, *in_training):
        if (folder / "card.json").is_file():
            return folder
    if (given / "recipe.json").is_file():
        raise FileNotFoundError(f"{given} is a training directory without an entry; the first validation writes one")
    raise FileNotFoundError(unknown_name("model", str(name), list_models()))


def _in_bucket(name: str | os.PathLike) -> bool:
    return "://" in str(name)


def unknown_name(kind: str, name: str, known: list[str]) -> str:
    """A sentence that says that there is no such name, and which ones come near."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"no {kind} named {name!r}; {hint}"


def load(name: str | os.PathLike, *, dtype: DTypeLike = jnp.float32) -> Restorer:
    """Load a published restorer; no internet is needed.

    Args:
        name: name of an entry, the path of a folder with ``card.json`` and ``params.safetensors``, or a training
            directory (its parameters at the best validation); ``gs://...`` included.
        dtype: type in which the network computes; its parameters stay float32.

    Returns:
        The restorer.

    Raises:
        FileNotFoundError: if there is no such entry.
        ValueError: if the card is incomplete, or the parameters are not the ones that the card describes.

    Example:
        >>> restorer = load("resunet_s-gray-noise")
        >>> restorer(jnp.zeros((16, 16, 1))).shape
        (16, 16, 1)
    """
    folder = find(name)
    card = Card.read(folder)
    params = _read_params(folder, card)
    if card.architecture not in MODELS:
        raise ValueError(f"{folder}: unknown architecture {card.architecture!r}; there are {', '.join(MODELS)}")
    model = build(card.architecture, card.config, dtype=jnp.dtype(dtype))
    check_params(model, params, folder)
    return Restorer(params, model, card)


def verify(name: str | os.PathLike) -> Card:
    """Check that the parameters of an entry are the ones its card describes; return the card.

    Raises:
        FileNotFoundError: if there is no such entry.
        ValueError: if the card is incomplete, or hash, number, type or shapes of the parameters differ.
    """
    return load(name).card


def save(folder: str | os.PathLike, card: Card, params: Params) -> Card:
    """Write an entry: ``params.safetensors`` in the card's type, and the card with their hash and number.

    Args:
        folder: the entry's folder, created if needed.
        card: its ``sha256`` and ``parameters`` are filled in.
        params: nested parameters.

    Returns:
        The card as written.

    Raises:
        OSError: if the folder cannot be written.
    """
    import safetensors.numpy

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    stored = {name: np.asarray(value, card.parameter_dtype) for name, value in sorted(flat.items())}
    content = safetensors.numpy.save(stored)
    card = dataclasses.replace(
        card, sha256=hashlib.sha256(content).hexdigest(), parameters=sum(v.size for v in stored.values())
    )
    with written_beside(folder / "params.safetensors") as beside:
        beside.write_bytes(content)
    card.write(folder)
    return card


def _read_params(folder: PurePath, card: Card) -> Params:
    import safetensors.numpy

    path = folder / "params.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no params.safetensors")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ValueError(f"{path} is not the file that its card describes (SHA-256 differs); fetch the entry again")
    stored = safetensors.numpy.load(content)
    number, types = sum(value.size for value in stored.values()), {value.dtype.name for value in stored.values()}
    if (number, types) != (card.parameters, {card.parameter_dtype}):
        raise ValueError(
            f"{path} holds {number} parameters in {' and '.join(sorted(types))}; its card says {card.parameters} in "
            f"{card.parameter_dtype}"
        )
    flat = {name: jnp.asarray(value, jnp.float32) for name, value in stored.items()}
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def check_params(model: RestorationNetwork, params: Params, folder: str | os.PathLike) -> None:
    """Check that the parameters found in a folder are those of a network.

    Raises:
        ValueError: if one of them has another shape, is missing or has no place.
    """
    image = jax.ShapeDtypeStruct((1, 8, 8, model.channels), jnp.float32)
    condition = jax.ShapeDtypeStruct((1, 8, 8, model.condition.channels), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image, condition if model.condition.channels else None)
    expected = flax.traverse_util.flatten_dict(variables["params"], sep="/")
    stored = flax.traverse_util.flatten_dict(params, sep="/")
    for name in sorted(expected.keys() | stored.keys()):
        wanted, given = (tree[name].shape if name in tree else "nothing" for tree in (expected, stored))
        if wanted != given:
            raise ValueError(f"{folder}: parameter {name} has {given}; this architecture expects {wanted}")
