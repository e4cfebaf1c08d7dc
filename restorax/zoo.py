"""Published parameters: one folder per entry, with a model card."""

import dataclasses
import difflib
import hashlib
import os
from pathlib import Path
from typing import Any, cast

import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from .card import Card, Result
from .files import AnyPath, is_remote, written_beside
from .models import MODELS, RestorationNetwork
from .models.create import build
from .types import Array, ConditionMap, DTypeLike, Image, Params

# An installed package carries the zoo inside; a checkout has it at the top level.
_PACKAGED = Path(__file__).parent / "zoo_data"
ZOO = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "zoo"
__all__ = [
    "Card",
    "Restorer",
    "Result",
    "check_params",
    "find",
    "list_models",
    "load",
    "save",
    "unknown_name",
    "verify",
]


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
        return self.model.run(self.params, image, condition)


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


def find(name: str | os.PathLike) -> AnyPath:
    """The folder of an entry: a published name, the path of a folder with a card, or a training directory.

    Of a folder in a bucket, ``gs://...``, the path is one of ``etils.epath``.

    Raises:
        FileNotFoundError: if there is neither; similar names are suggested.
    """
    given = Path(name)
    if is_remote(name):
        from etils import epath

        given = epath.Path(name)
    in_training = given.iterdir() if (given / "recipe.json").is_file() else ()
    for folder in (ZOO / name, given, *in_training):
        if (folder / "card.json").is_file():
            return folder
    if (given / "recipe.json").is_file():
        raise FileNotFoundError(f"{given} is a training directory without an entry; the first validation writes one")
    raise FileNotFoundError(unknown_name("model", str(name), list_models()))


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


def _read_params(folder: AnyPath, card: Card) -> Params:
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
    expected, stored = (_shapes(tree) for tree in (variables["params"], params))
    for name in sorted(expected.keys() | stored.keys()):
        there, here = stored.get(name, "nothing"), expected.get(name, "nothing")
        if there != here:
            raise ValueError(f"{folder}: parameter {name} has {there}; this architecture expects {here}")


def _shapes(params: Params) -> dict[str, Any]:
    flat = cast(dict[str, Any], flax.traverse_util.flatten_dict(params, sep="/"))
    return {name: leaf.shape for name, leaf in flat.items()}
