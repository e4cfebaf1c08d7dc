"""Operators with their strengths, as values.

They and their combinations (:mod:`restorax.degrade.compose`) are immutable, hashable and callable as
``(key, clean) -> Observation``; ``str()`` formats them as text that :func:`restorax.degrade.parse` parses to an equal
value.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, Observation, PRNGKeyArray
from .motion import Motion
from .registry import REGISTRATIONS, Range, Registration
from .strengths import Sampler, comparison_key, format_strength, freeze

Cropped = Float[Array | np.ndarray, "*batch_and_frames rows columns channel"]

_GRID = 8  # pixels: the period of the blocks of JPEG, and a multiple of that of mosaics


def crop_border(image: Image, border: int) -> Cropped:
    """Crop pixels from every side of an image.

    Args:
        image: ``[*batch, height, width, channel]``.
        border: number of pixels.

    Returns:
        ``[*batch, height - 2 border, width - 2 border, channel]``.

    Example:
        >>> crop_border(jnp.zeros((20, 24, 1)), 8).shape
        (4, 8, 1)
    """
    height, width = image.shape[-3:-1]
    return image[..., border : height - border, border : width - border, :]


class Expression:
    """Base class of operators and combinations: text, equality and the operators that they contain."""

    @property
    def operators(self) -> tuple["Op", ...]:
        """The operators that it contains, in the order of its text."""
        raise NotImplementedError

    @property
    def border(self) -> int:
        """Pixels on every side whose value depends on how blur continues the image beyond its border.

        A photograph continues there, so :meth:`observe` crops them. The number is rounded up to a multiple of 8, which
        keeps the blocks of JPEG and the phase of mosaics; it is 0 without blur.

        Raises:
            ValueError: if the strength of a blur without ``radius`` is traced.

        Example:
            >>> from restorax.degrade import parse
            >>> parse("motion_blur(length=15) + jpeg(quality=30)").border, parse("jpeg(quality=30)").border
            (8, 0)
        """
        return -(-self._reach() // _GRID) * _GRID

    def observe(self, key: PRNGKeyArray, clean: Image) -> tuple[Observation, Cropped]:
        """Degrade an image, and crop :attr:`border` from the degraded image, the condition and the clean image.

        Args:
            key: random key.
            clean: ``[*batch, height, width, channel]`` in [0, 1].

        Returns:
            The observation and the clean image, of equal height and width; the clean video, with an axis of frames, of
            an operator whose result is ground truth (``moving_scene``).

        Raises:
            ValueError: if the image is too small to be cropped.

        Example:
            >>> from restorax.degrade import parse
            >>> observed, clean = parse("gaussian_blur(sigma=1.6)").observe(jax.random.key(0), jnp.zeros((64, 48, 1)))
            >>> observed.image.shape, clean.shape
            ((48, 32, 1), (48, 32, 1))
        """
        border = self.border
        height, width = clean.shape[-3:-1]
        if min(height, width) <= 2 * border:
            raise ValueError(
                f"The image must be larger than {2 * border} x {2 * border}, got {height} x {width}: after "
                f"'{self}', {border} pixels are cropped on every side."
            )
        observed = self._degrade(key, clean, clean.shape[:-3])
        border -= (height - observed[1].shape[-3]) // 2
        return jax.tree.map(partial(crop_border, border=border), observed) if border else observed

    def known_motion(self, key: PRNGKeyArray, clean: Image) -> Motion:
        """Return the motion of the video that :meth:`observe` makes with the same arguments.

        Args:
            key: random key.
            clean: ``[*batch, height, width, channel]`` in [0, 1].

        Returns:
            The motion of every frame to the previous one, cropped as :meth:`observe` crops.

        Raises:
            ValueError: if the degradation does not begin with an operator of known motion, such as ``moving_scene``.

        Example:
            >>> from restorax.degrade import parse
            >>> video = parse("moving_scene(frames=3, margin=8) + gaussian_noise(sigma=0.1)")
            >>> video.known_motion(jax.random.key(0), jnp.zeros((32, 32, 1))).flow.shape
            (3, 16, 16, 2)
        """
        motion = self._motion(key, clean)
        border = self.border - (clean.shape[-3] - motion.flow.shape[-3]) // 2
        return jax.tree.map(partial(crop_border, border=border), motion) if border else motion

    def replace(self, **strengths: Any) -> "Expression":
        """Replace strengths in every operator that sets them.

        Args:
            **strengths: new values by name; ``None`` restores the default of the operator.

        Returns:
            A degradation of the same structure.

        Raises:
            ValueError: if no operator sets such a strength, or a value is out of range.

        Example:
            >>> from restorax.degrade import parse
            >>> str(parse("maybe(gaussian_noise(sigma=0.1)) + jpeg(quality=30)").replace(sigma=0.2))
            'maybe(gaussian_noise(sigma=0.2)) + jpeg(quality=30)'
        """
        used = dict.fromkeys(name for op in self.operators for name in op.strengths)
        for name in strengths:
            if name not in used:
                raise ValueError(f"'{self}' sets no strength {name!r}; it sets {', '.join(used) or 'none'}.")
        return self._replaced(strengths)

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Degrade an image or a batch of images."""
        return self._degrade(key, clean, clean.shape[:-3])[0]

    def _degrade(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[Observation, Cropped]:
        """Return the observation and its ground truth; strengths are drawn in a shape that broadcasts to the batch."""
        raise NotImplementedError

    def _motion(self, key: PRNGKeyArray, clean: Image) -> Motion:
        raise ValueError(f"'{self}' has no known motion; begin with moving_scene.")

    def _replaced(self, strengths: dict[str, Any]) -> "Expression":
        raise NotImplementedError

    def _reach(self) -> int:
        """Return how many pixels blur carries the border of the image inwards."""
        raise NotImplementedError

    def _identity(self) -> tuple:
        """Return a hashable key; degradations with equal keys are equal."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Expression) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"parse({str(self)!r})"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Op(Expression):
    """An operator with its strengths.

    The key is split into one for the operator and one for each strength, in order.

    Args:
        operator: an operator ``(image, *, ...)``, or ``(key, image, *, ...)`` if it is random.
        **strengths: its keyword arguments; samplers such as :class:`Uniform` draw a value for every image.

    Raises:
        TypeError: if the operator has no such strength, or a required strength is missing.
        ValueError: if a strength, or a bound of a sampler, is outside the registered range.

    Example:
        >>> from restorax.degrade import Uniform, gaussian_noise
        >>> blind = Op(gaussian_noise, sigma=Uniform(0, 55 / 255))
        >>> str(blind)
        'gaussian_noise(sigma=uniform(0, 55/255))'
        >>> blind(jax.random.key(0), jnp.zeros((2, 8, 8, 1))).image.shape
        (2, 8, 8, 1)
    """

    operator: Callable[..., Any]
    _strengths: tuple[tuple[str, Any], ...]
    _random: bool

    def __init__(self, operator: Callable[..., Any], **strengths: Any) -> None:
        name, parameters = operator.__name__, inspect.signature(operator).parameters
        accepted = {p.name: p.default for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
        for strength in strengths:
            if strength not in accepted:
                raise TypeError(f"{name} has no strength {strength!r}; it has {', '.join(accepted) or 'none'}.")
        for strength, default in accepted.items():
            if default is inspect.Parameter.empty and strength not in strengths:
                raise TypeError(f"{name} requires the strength {strength!r}.")
        frozen = {strength: freeze(value) for strength, value in strengths.items()}
        registration = REGISTRATIONS.get(name)
        if registration and registration.operator is operator:
            _check(registration, frozen)
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "_strengths", tuple(frozen.items()))
        object.__setattr__(self, "_random", next(iter(parameters)) == "key")

    @property
    def name(self) -> str:
        """Name of the operator."""
        return self.operator.__name__

    @property
    def strengths(self) -> dict[str, Any]:
        """The strengths that are set, in order."""
        return dict(self._strengths)

    @property
    def operators(self) -> tuple["Op", ...]:
        """A tuple of this operator alone."""
        return (self,)

    def _degrade(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[Observation, Cropped]:
        operator_key, drawn = self._draw(key, clean, draws)
        out = self.operator(operator_key, clean, **drawn) if self._random else self.operator(clean, **drawn)
        observed = out if isinstance(out, Observation) else Observation(out)
        return observed, observed.image if self._makes_video else clean

    def _draw(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[PRNGKeyArray, dict[str, Any]]:
        """Return the key of the operator and the sampled strengths."""
        operator_key, *sampler_keys = jax.random.split(key, 1 + len(self._strengths))
        drawn = {
            name: jnp.broadcast_to(jnp.asarray(value(sampler_key, draws)), clean.shape[:-3])
            if callable(value)
            else value
            for sampler_key, (name, value) in zip(sampler_keys, self._strengths, strict=True)
        }
        return operator_key, drawn

    def _motion(self, key: PRNGKeyArray, clean: Image) -> Motion:
        registration = self._registration
        if registration is None or registration.motion is None:
            return super()._motion(key, clean)
        operator_key, drawn = self._draw(key, clean, clean.shape[:-3])
        return registration.motion(operator_key, clean, **{**registration.defaults, **drawn})

    @property
    def _registration(self) -> Registration | None:
        registration = REGISTRATIONS.get(self.name)
        return registration if registration and registration.operator is self.operator else None

    @property
    def _makes_video(self) -> bool:
        return self._registration is not None and self._registration.motion is not None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={format_strength(value)}' for name, value in self._strengths)})"

    def _replaced(self, strengths: dict[str, Any]) -> "Op":
        replaced = {name: strengths.get(name, value) for name, value in self._strengths}
        return Op(self.operator, **{n: v for n, v in replaced.items() if v is not None or n not in strengths})

    def _reach(self) -> int:
        registration = self._registration
        if registration is None or registration.reach is None:
            return 0
        largest = {name: v.high if isinstance(v, Sampler) else v for name, v in self._strengths}
        return registration.reach({**registration.defaults, **largest})

    def _identity(self) -> tuple:
        return (Op, self.operator, *((name, comparison_key(value)) for name, value in self._strengths))


def _check(registration: Registration, strengths: dict[str, Any]) -> None:
    """Check strengths, and the bounds of samplers, against the registered ranges; other callables are not checked."""
    for name, value in strengths.items():
        if isinstance(value, Sampler) and isinstance(registration.ranges.get(name), Range):
            registration.check({name: value.low})
            registration.check({name: value.high})
        elif isinstance(value, Sampler) or not callable(value):
            registration.check({name: value})
