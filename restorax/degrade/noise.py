"""Noise."""

import jax

from ..types import Image, PRNGKeyArray, Strength, check_image, per_image


def gaussian_noise(key: PRNGKeyArray, image: Image, *, sigma: Strength) -> Image:
    """Add white Gaussian noise; nothing is clipped.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        sigma: standard deviation in units of [0, 1] (the field's "25" is ``25 / 255``), a scalar or one per image.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not floating point.
        ValueError: if the shapes do not fit.

    Reference:
        Zhang et al., Beyond a Gaussian denoiser, TIP 2017, section I.

    Example:
        >>> gaussian_noise(jax.random.key(0), jax.numpy.zeros((8, 8, 1)), sigma=25 / 255).shape
        (8, 8, 1)
    """
    image = check_image(image)
    return image + per_image(sigma, image) * jax.random.normal(key, image.shape, image.dtype)
