"""The network that turns the statistics of a crop into damages, strengths and their uncertainty."""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from ..files.atomic import AnyPath, write_atomically, written_beside
from ..layers.parameters import param
from ..types import Array, Params
from .statistics import ANGLES

BLURS = ("none", "gaussian", "defocus", "motion")
FLAGS = ("noise", "correlated", "impulses", "random_impulses", "jpeg")
STRENGTHS = ("noise", "impulses", "jpeg", "blur")
FOLDER = Path(__file__).parent / "parameters"
"""The folder of the published parameters. It is no entry of :func:`restorax.list_models`, which lists restorers."""
CARD = "card.json"


class Outputs(NamedTuple):
    """Outputs of the network for a batch of crops.

    Attributes:
        flags: logits of :data:`FLAGS`, ``[batch, 5]``; ``correlated`` and ``random_impulses`` are conditional on noise
            and impulses.
        blurs: logits of :data:`BLURS`, ``[batch, 4]``.
        strengths: means of :data:`STRENGTHS` on the scales of ``samples.Labels``, ``[batch, 4]``.
        deviations: logarithms of their standard deviations, ``[batch, 4]``.
        angles: logits of the angle of motion, in steps of ``180 / ANGLES`` degrees, ``[batch, ANGLES]``.
    """

    flags: Array
    blurs: Array
    strengths: Array
    deviations: Array
    angles: Array


class DiagnosisNetwork(nn.Module):
    """Circular convolutions over the angles of the spectrum, and dense layers over all statistics.

    Attributes:
        width: features of the dense layers.
        angle_width: features of the layers over angles.
        jitter: standard deviation of noise on the statistics, with which dropout goes too; for training.
    """

    width: int = 256
    angle_width: int = 32
    jitter: float = 0.0

    @nn.compact
    def __call__(self, vector: Array, spectrum: Array) -> Outputs:
        """Read damages from statistics.

        Args:
            vector: ``[batch, n]`` of :func:`restorax.diagnosis.statistics.read_statistics`.
            spectrum: ``[batch, ANGLES, RADII]``.

        Returns:
            The outputs.
        """
        normalised = [self._normalised(name, value) for name, value in (("vector", vector), ("spectrum", spectrum))]
        vector, spectrum = normalised[0], normalised[1]
        # The direction of motion shows in the deviation from the mean over angles; that mean is in the vector.
        x = spectrum - spectrum.mean(1, keepdims=True)
        for _ in range(2):
            x = nn.relu(nn.Dense(self.angle_width)(_with_neighbours(x, 3)))
        around = [x.max(1), x.mean(1)]
        angles = nn.Dense(1)(_with_neighbours(x, 1))[..., 0]
        y = jnp.concatenate([vector, *around], -1)
        y = y + self.jitter * jax.random.normal(self.make_rng("jitter"), y.shape) if self.jitter else y
        for _ in range(2):
            y = nn.relu(nn.Dense(self.width)(y))
            y = nn.Dropout(0.1, deterministic=not self.jitter)(y)
        flags, blurs, strengths, deviations = (
            nn.Dense(n)(y) for n in (len(FLAGS), len(BLURS), len(STRENGTHS), len(STRENGTHS))
        )
        return Outputs(flags, blurs, strengths, jnp.clip(deviations, -4, 2), angles)

    def _normalised(self, name: str, value: Array) -> Array:
        """Standardise with the mean and the deviation of the training data, which are stored with the parameters."""
        shape = value.shape[1:] if name == "vector" else value.shape[2:]
        mean = param(self, f"{name}_mean", nn.initializers.zeros, shape)
        deviation = param(self, f"{name}_deviation", nn.initializers.ones, shape)
        axes = (1,) * (value.ndim - len(shape))
        standard = (value - mean.reshape(axes + shape)) / deviation.reshape(axes + shape)
        return jnp.clip(standard, -6, 6)


def _with_neighbours(x: Array, reach: int) -> Array:
    """Concatenate the features of neighbouring angles, which are circular: ``[batch, ANGLES, features]``."""
    return jnp.concatenate([jnp.roll(x, shift, 1) for shift in range(-reach, reach + 1)], -1)


def save_network(params: Params, facts: dict[str, Any], folder: AnyPath = FOLDER) -> None:
    """Write parameters in float16 beside a card of facts, with their number and SHA-256.

    Args:
        params: of :class:`DiagnosisNetwork`.
        facts: what the card states besides.
        folder: where to write; created if needed.
    """
    import safetensors.numpy

    flat = flax.traverse_util.flatten_dict(params, sep="/")
    stored = {name: np.asarray(value, np.float16) for name, value in sorted(flat.items())}
    content = safetensors.numpy.save(stored)
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(folder / "params.safetensors") as beside:
        beside.write_bytes(content)
    counted = {"parameters": sum(v.size for v in stored.values()), "sha256": hashlib.sha256(content).hexdigest()}
    write_atomically(folder / CARD, json.dumps({**facts, **counted}, indent=2) + "\n")


@functools.cache
def load_network(folder: AnyPath = FOLDER) -> Params:
    """Load the published parameters.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if they do not match their card.
    """
    import safetensors.numpy

    card = json.loads((folder / CARD).read_text())
    content = (folder / "params.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ValueError(f"{folder}/params.safetensors does not match its card (SHA-256 differs)")
    flat = {name: jnp.asarray(value, jnp.float32) for name, value in safetensors.numpy.load(content).items()}
    return flax.traverse_util.unflatten_dict(flat, sep="/")


@jax.jit
def apply_network(params: Params, vector: Array, spectrum: Array) -> Outputs:
    """Run the network on statistics, ``[batch, n]`` and ``[batch, ANGLES, RADII]``."""
    return cast(Outputs, DiagnosisNetwork().apply({"params": params}, vector, spectrum))


def angle_of(logits: np.ndarray) -> tuple[float, float]:
    """Read an angle in degrees from 0 to 180, and its deviation, from logits of the steps of angle.

    Args:
        logits: ``[ANGLES]``.

    Returns:
        The mean direction and the circular standard deviation, of angles doubled to cover the circle.

    Reference:
        Mardia and Jupp, Directional statistics, 2000, section 2.3.

    Example:
        >>> angle, deviation = angle_of(np.where(np.arange(ANGLES) == 9, 40.0, 0))
        >>> round(angle), round(deviation)
        (45, 0)
    """
    share = np.exp(logits - logits.max())
    share /= share.sum()
    peak = int(share.argmax())
    # Far modes would pull the mean away from the peak.
    distance = np.abs((np.arange(ANGLES) - peak + ANGLES // 2) % ANGLES - ANGLES // 2)
    near = np.where(distance <= 4, share, 0)
    mean = (near * np.exp(2j * np.pi * np.arange(ANGLES) / ANGLES)).sum()
    whole = np.abs((share * np.exp(2j * np.pi * np.arange(ANGLES) / ANGLES)).sum())
    deviation = np.sqrt(max(0.0, -2 * np.log(max(whole, 1e-6))))
    return float(np.degrees(np.angle(mean)) / 2 % 180), float(np.degrees(deviation) / 2)
