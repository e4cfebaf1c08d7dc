"""Data steps: the image that explains the observation and is near another one, ``min |Ax - y|^2 + w |x - z|^2``."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..types import Array
from .linear import Linear, adjoint_of, transfer_of

DataStep = Callable[[Array, Array, Array], Array]
"""Maps the other image, its weight ``w`` and a first guess to the solution."""


def data_step(operator: Linear, observed: Array, shape: tuple[int, ...], kind: str, iterations: int) -> DataStep:
    """Return the data step of an operator.

    Args:
        operator: linear function of an image.
        observed: what was observed.
        shape: of the image.
        kind: from :func:`restorax.solvers.linear.kind_of`; solved in closed form unless ``"general"``.
        iterations: of conjugate gradients.

    Returns:
        Function ``(z, w, guess) -> x``.
    """
    if kind == "diagonal":
        diagonal = operator(jnp.ones(shape))
        return lambda z, w, guess: (diagonal * observed + w * z) / (diagonal**2 + w)
    if kind == "circular":
        transfer = transfer_of(operator, shape)
        spectrum = transfer.conj() * jnp.fft.rfft2(observed, axes=(0, 1))
        power = transfer.real**2 + transfer.imag**2
        return lambda z, w, guess: jnp.fft.irfft2(
            (spectrum + w * jnp.fft.rfft2(z, axes=(0, 1))) / (power + w), shape[:2], axes=(0, 1)
        )
    adjoint = adjoint_of(operator, shape)
    back = adjoint(observed)
    return lambda z, w, guess: conjugate_gradients(
        lambda x: adjoint(operator(x)) + w * x, back + w * z, guess, iterations
    )


def conjugate_gradients(system: Linear, right: Array, start: Array, iterations: int) -> Array:
    """Solve a symmetric positive definite system by a fixed number of steps, differentiable in both modes.

    Args:
        system: the linear function.
        right: right side.
        start: first guess.
        iterations: number of steps.

    Returns:
        The solution; exact, up to rounding, after as many steps as the system has distinct eigenvalues.

    Reference:
        Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems, 1952.

    Example:
        >>> conjugate_gradients(lambda x: 2 * x, jnp.ones(3), jnp.zeros(3), 1).tolist()
        [0.5, 0.5, 0.5]
    """
    residual = right - system(start)
    power = (residual**2).sum()
    enough = 1e-12 * (right**2).sum()  # beyond the precision of float32, where steps would divide 0 by 0

    def step(state: tuple[Array, Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array, Array], None]:
        x, residual, direction, power = state
        image = system(direction)
        curvature = (direction * image).sum()
        goes_on = (power > enough) & (curvature > 0)
        length = jnp.where(goes_on, power / jnp.where(goes_on, curvature, 1), 0)
        x, residual = x + length * direction, residual - length * image
        after = (residual**2).sum()
        share = jnp.where(goes_on, after / jnp.where(goes_on, power, 1), 0)
        return (x, residual, residual + share * direction, after), None

    return jax.lax.scan(step, (start, residual, residual, power), None, length=iterations)[0][0]


def harmonic(operator: Linear, observed: Array, shape: tuple[int, ...], weight: Array, iterations: int) -> Array:
    """Return the smooth image that explains the observation, ``min |Ax - y|^2 + w |grad x|^2``.

    Args:
        operator: linear function of an image.
        observed: what was observed.
        shape: of the image, ``[height, width, channel]``.
        weight: of the squared differences between neighbours.
        iterations: of conjugate gradients, from the mean of the observation.

    Returns:
        The image, where an iterative method starts.
    """
    adjoint = adjoint_of(operator, shape)
    ones = operator(jnp.ones(shape))
    level = (ones * observed).sum() / jnp.maximum((ones**2).sum(), 1e-6)

    def laplacian(x: Array) -> Array:
        padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
        return 4 * x - padded[:-2, 1:-1] - padded[2:, 1:-1] - padded[1:-1, :-2] - padded[1:-1, 2:]

    system = lambda x: adjoint(operator(x)) + weight * laplacian(x)  # noqa: E731
    return conjugate_gradients(system, adjoint(observed), jnp.full(shape, level), iterations)
