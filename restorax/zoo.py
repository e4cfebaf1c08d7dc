"""Published parameters: one folder per entry, with a model card."""

import dataclasses
import difflib
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from .card import Card, Result
from .files.atomic import AnyPath, is_remote, written_beside
from .models import MODELS, RestorationNetwork
from .models.create import build
from .types import Array, Condition, ConditionLike, DTypeLike, Image, Params

# An installed package carries the zoo inside; a checkout has it at the top level.
_PACKAGED = Path(__file__).parent / "zoo_data"
ZOO = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "zoo"
__all__ = [
    "Card",
    "Restorer",
    "Result",
    "check_params",
    "find",
    "gray_twin",
    "is_on_hub",
    "list_models",
    "load",
    "push",
    "save",
    "unknown_name",
    "verify",
]


class Restorer(flax.struct.PyTreeNode, eq=False, repr=False):
    """A network with its parameters: a function of images, and a pytree.

    As an argument of a transformed function it is traced like any parameters. As the function itself, in
    ``jax.jit(restorer)``, ``jax.vmap(restorer)`` or ``jax.checkpoint(restorer)``, its parameters are constants, and it
    is compared and hashed by identity.

    Use ``pmap`` or ``shard_map`` for a batch on several devices. Under plain ``jit``, XLA gathers a sharded batch on
    every device for Fourier transforms and grouped convolutions (openxla/xla#24, openxla/xla#47945).

    Attributes:
        params: parameters, float32.
        model: the Flax module.
        card: the model card.
        runtime: computes instead of JAX in :func:`restorax.restore`, as ``restorax.onnx_backend`` does:
            ``(restorer, image, condition, context) -> restored``, arrays of NumPy, clipped to [0, 1].
    """

    params: Params
    model: RestorationNetwork = flax.struct.field(pytree_node=False)
    card: Card = flax.struct.field(pytree_node=False)
    runtime: Callable[..., np.ndarray] | None = flax.struct.field(pytree_node=False, default=None)

    def __call__(self, image: Image, condition: ConditionLike | None = None) -> Array:
        """Restore images without clipping.

        Args:
            image: ``[*batch, height, width, channels]`` in [0, 1]; a multi-frame network takes
                ``[*batch, frames, height, width, channels]`` and restores one frame.
            condition: noise level, JPEG quality / 100 or mask of known pixels, in [0, 1]: a number such as
                ``25 / 255``, one number per image, or a map such as a boolean mask ``[height, width]``.

        Returns:
            Restored images, of the shape and type of ``image``.

        Raises:
            TypeError: if image or condition is not floating point.
            ValueError: if shapes do not match the network.
        """
        return self.model.run(self.params, image, condition)

    def __repr__(self) -> str:
        """Describe the restorer in one line."""
        card, model = self.card, self.model
        condition = "" if model.condition is Condition.NONE else f", condition={str(model.condition)!r}"
        return (
            f"Restorer({card.name!r}, {card.parameters:,} parameters, channels={model.channels}{condition}, "
            f"dtype={jnp.dtype(model.dtype).name})"
        )

    def _repr_html_(self) -> str:
        """Show the card in a notebook."""
        from .card_html import card_html

        return card_html(self.card, _published_preview(self.card))


def list_models(zoo: str | os.PathLike | None = None) -> list[str]:
    """List the names of the published entries.

    Args:
        zoo: a folder of entries; by default the zoo that comes with the package.

    Returns:
        Sorted names. :func:`load` accepts names from the default zoo; for any other zoo, pass the entry's folder.

    Example:
        >>> "resunet_s-gray-noise" in list_models()
        True
    """
    folder = Path(zoo or ZOO)
    return sorted(p.parent.name for p in folder.glob("*/card.json"))


def is_on_hub(name: str | os.PathLike) -> bool:
    """Return whether a name is that of a repository on the Hugging Face hub, ``hf:OWNER/NAME``."""
    return isinstance(name, str) and name.startswith("hf:")


def find(name: str | os.PathLike) -> AnyPath:
    """Find the folder of an entry; one on the Hugging Face hub is downloaded to the hub's cache first.

    Args:
        name: a published name, a folder with a card, a training directory, or ``hf:OWNER/NAME``.

    Returns:
        The folder, as an ``etils.epath`` path if it is in a bucket (``gs://...``).

    Raises:
        FileNotFoundError: if there is no such entry; the message suggests similar names.
        ConnectionError, ImportError, PermissionError, ValueError: as :func:`load`.
    """
    if is_on_hub(name):
        from . import hub

        return hub.download(str(name))
    path = Path(name)
    if is_remote(name):
        from etils import epath

        path = epath.Path(name)
    in_training = path.iterdir() if (path / "recipe.json").is_file() else ()
    for folder in (ZOO / name, path, *in_training):
        if (folder / "card.json").is_file():
            return folder
    if (path / "recipe.json").is_file():
        raise FileNotFoundError(f"{path} is a training directory without an entry; the first validation writes one")
    raise FileNotFoundError(unknown_name("model", str(name), list_models()))


def unknown_name(kind: str, name: str, names: list[str]) -> str:
    """Return the error message for an unknown name, with close matches or all valid names."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"available: {', '.join(names)}"
    return f"no {kind} named {name!r}; {hint}"


def load(name: str | os.PathLike, *, dtype: DTypeLike = jnp.float32) -> Restorer:
    """Load a restorer from disk, or from the Hugging Face hub; only names that start with ``hf:`` are downloaded.

    Of a repository, ``card.json`` and ``params.safetensors`` are fetched into the cache of ``huggingface_hub``, and no
    code is run.

    Args:
        name: name of an entry, the path of a folder with ``card.json`` and ``params.safetensors``, or a training
            directory (its parameters at the best validation). ``gs://...`` paths are accepted, and with the extra
            ``hub`` also ``hf:OWNER/NAME`` and ``hf:OWNER/NAME@REVISION``.
        dtype: type of the activations; parameters stay float32.

    Returns:
        The restorer.

    Raises:
        ConnectionError: if the hub cannot be reached and the entry is not in the cache.
        FileNotFoundError: if there is no such entry.
        ImportError: if the extra ``hub`` is needed and not installed.
        PermissionError: if the hub refuses access.
        ValueError: if the card is incomplete, or the parameters do not match it.

    Example:
        >>> restorer = load("resunet_s-gray-noise")
        >>> restorer(jnp.zeros((16, 16, 1))).shape
        (16, 16, 1)
    """
    folder = find(name)
    card = Card.read(folder)
    params = _read_params(folder, card)
    if card.architecture not in MODELS:
        raise ValueError(f"{folder}: unknown architecture {card.architecture!r}; available: {', '.join(MODELS)}")
    model = build(card.architecture, card.config, dtype=jnp.dtype(dtype))
    check_params(model, params, folder)
    return Restorer(params, model, card)


def gray_twin(restorer: Restorer) -> Restorer | None:
    """Return the published gray entry of the same architecture and task as a colour entry, or ``None``.

    Example:
        >>> twin = gray_twin(load("resunet_s-color-noise"))
        >>> twin.card.name, gray_twin(twin)
        ('resunet_s-gray-noise', None)
    """
    name = restorer.card.name
    twin = name.replace("-color-", "-gray-", 1)
    if twin == name or not (ZOO / twin / "card.json").is_file():
        return None
    return _load_once(twin, jnp.dtype(restorer.model.dtype).name)


@functools.cache
def _load_once(name: str, dtype: str) -> Restorer:
    return load(name, dtype=jnp.dtype(dtype))


def verify(name: str | os.PathLike) -> Card:
    """Check that the parameters of an entry match its card; return the card.

    Raises:
        FileNotFoundError: if there is no such entry.
        ValueError: if the card is incomplete, or the hash, count, type or shapes of the parameters do not match it.
    """
    return load(name).card


def save(folder: str | os.PathLike, card: Card, params: Params) -> Card:
    """Write an entry: ``params.safetensors`` in the card's type, and the card with its hash and parameter count.

    Args:
        folder: the entry's folder, created if needed.
        card: its ``sha256`` and ``parameters`` are filled in.
        params: nested dictionary of parameters.

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


def push(
    name: str,
    restorer: Restorer | str | os.PathLike,
    *,
    private: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a restorer to the Hugging Face hub in one commit; :func:`load` takes it from there.

    The repository gets ``card.json``, ``params.safetensors``, the preview if there is one, and a ``README.md`` in the
    hub's format that is made from the card; older versions of these files remain in its history.

    Args:
        name: ``hf:OWNER/NAME``; the repository is created if needed.
        restorer: from :func:`load`, or what :func:`load` accepts, such as the folder of a training or of
            ``restorax adapt``.
        private: make a new repository private; an existing one must be private.
        message: of the commit.
        token: access token; by default ``HF_TOKEN``, or that of ``hf auth login``.

    Returns:
        URL of the commit.

    Raises:
        ConnectionError: if the hub cannot be reached.
        FileNotFoundError: if there is no such entry, or the hub shows no such repository.
        ImportError: if the extra ``hub`` is not installed.
        PermissionError: if the hub refuses access.
        ValueError: if the name has another form, the parameters do not match the card, or an existing repository is
            public and ``private`` is set.
    """
    from . import hub

    with tempfile.TemporaryDirectory() as temporary:
        if isinstance(restorer, Restorer):
            folder, card = Path(temporary), save(temporary, restorer.card, restorer.params)
            if restorer.card.sha256 not in ("", card.sha256):
                raise ValueError(
                    f"the parameters are not those of the card of {card.name} (SHA-256 differs); write them with a "
                    "card of their own by `restorax.save` or `save_adaptation`, and push that folder"
                )
            if preview := _published_preview(card):
                (folder / "preview.png").write_bytes(preview)
        else:
            folder = find(restorer)
            card = verify(folder)
        return hub.upload(name, card, folder, private=private, message=message, token=token)


def _published_preview(card: Card) -> bytes | None:
    """Return the preview of a published entry, if the card is that entry's."""
    published = ZOO / card.name
    if not (published / "preview.png").is_file() or Card.read(published).sha256 != card.sha256:
        return None
    return (published / "preview.png").read_bytes()


def _read_params(folder: AnyPath, card: Card) -> Params:
    import safetensors.numpy

    path = folder / "params.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no params.safetensors")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ValueError(f"{path} does not match its card (SHA-256 differs); download the entry again")
    stored = safetensors.numpy.load(content)
    number, types = sum(value.size for value in stored.values()), {value.dtype.name for value in stored.values()}
    if (number, types) != (card.parameters, {card.parameter_dtype}):
        raise ValueError(
            f"{path} holds {number} parameters in {' and '.join(sorted(types))}; its card says {card.parameters} in "
            f"{card.parameter_dtype}"
        )
    # Converted by NumPy and sent at once: JAX would compile a conversion for every shape.
    flat = jax.device_put({name: np.asarray(value, np.float32) for name, value in stored.items()})
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def check_params(model: RestorationNetwork, params: Params, folder: str | os.PathLike) -> None:
    """Check that the parameters from a folder match a network.

    Raises:
        ValueError: if a parameter is missing, unexpected or of the wrong shape.
    """
    expected, stored = model.param_shapes(), _shapes(params)
    for name in sorted(expected.keys() | stored.keys()):
        there, here = stored.get(name, "nothing"), expected.get(name, "nothing")
        if there != here:
            raise ValueError(f"{folder}: parameter {name} has {there}; this architecture expects {here}")


def _shapes(params: Params) -> dict[str, Any]:
    flat = cast(dict[str, Any], flax.traverse_util.flatten_dict(params, sep="/"))
    return {name: leaf.shape for name, leaf in flat.items()}
