"""Quality metrics: PSNR, SSIM, MS-SSIM and PSNR-B, one value per image; the warping error, one per video."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .types import Array, Float, Image, check_image

_WINDOW = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW = (_WINDOW / _WINDOW.sum()).astype(np.float32)


def psnr(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Compute the peak signal-to-noise ratio in dB, for a data range of 1.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        reference: ground truth of the same shape.

    Returns:
        One value per image ``[*batch]``; infinite for equal images.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ.

    Reference:
        Huynh-Thu and Ghanbari, Scope of validity of PSNR, Electronics Letters 44(13), 2008.

    Example:
        >>> round(float(psnr(jnp.zeros((8, 8, 1)), jnp.full((8, 8, 1), 0.1))), 3)
        20.0
    """
    image, reference = _check_pair(image, reference, "psnr")
    return -10 * jnp.log10(jnp.mean((image - reference) ** 2, axis=(-3, -2, -1)))


def ssim(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Compute the structural similarity, averaged over positions and channels.

    The settings are those of the paper: Gaussian window of 11 x 11 pixels with sigma 1.5, no padding, K1 = 0.01,
    K2 = 0.03, data range 1.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1], at least 11 x 11.
        reference: ground truth of the same shape.

    Returns:
        One value per image ``[*batch]``, at most 1.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ, or a side is below 11.

    Reference:
        Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004, section III.

    Example:
        >>> float(ssim(jnp.ones((16, 16, 1)), jnp.ones((16, 16, 1))))
        1.0
    """
    luminance, structure = _ssim_terms(*_check_pair(image, reference, "ssim", 11))
    return jnp.mean(luminance * structure, axis=(-3, -2, -1))


def ms_ssim(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Compute the multi-scale structural similarity: five scales, with the settings of :func:`ssim`.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1], at least 176 x 176.
        reference: ground truth of the same shape.

    Returns:
        One value per image ``[*batch]``, at most 1, averaged over channels; negative similarities are treated as 0.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ, or a side is below 176.

    Reference:
        Wang et al., Multi-scale structural similarity for image quality assessment, Asilomar 2003, equation 7.

    Example:
        >>> float(ms_ssim(jnp.ones((176, 176, 1)), jnp.ones((176, 176, 1))))
        1.0
    """
    image, reference = _check_pair(image, reference, "ms_ssim", 11 * 2**4)
    product, weights = jnp.ones(()), (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        if scale:
            image, reference = _downsample(image), _downsample(reference)
        luminance, structure = _ssim_terms(image, reference)
        similarity = luminance * structure if scale == len(weights) - 1 else structure
        mean = similarity.mean(axis=(-3, -2))
        # The gradient of a power below 1 is infinite at 0.
        product = product * jnp.where(mean > 0, jnp.where(mean > 0, mean, 1) ** weight, 0)
    return product.mean(-1)


def psnr_b(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Compute the PSNR with a penalty for blocking: larger steps across the 8 x 8 grid of JPEG than elsewhere.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1], at least 16 x 16, with the grid aligned to its corner.
        reference: ground truth of the same shape.

    Returns:
        One value per image ``[*batch]`` in dB, at most :func:`psnr`; averaged over channels before the logarithm.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ, or a side is below 16.

    Reference:
        Yim and Bovik, Quality assessment of deblocked images, TIP 2011, section III.

    Example:
        >>> blocks = jnp.repeat(jnp.array([0.4, 0.6]), 8).reshape(1, 16, 1) * jnp.ones((16, 1, 1))
        >>> round(float(psnr_b(blocks, jnp.full((16, 16, 1), 0.5))), 2)
        16.02
    """
    image, reference = _check_pair(image, reference, "psnr_b", 16)
    across_grid, elsewhere = [], []
    for axis in (-3, -2):
        steps = jnp.moveaxis(jnp.diff(image, axis=axis) ** 2, axis, -1)
        on_grid = np.arange(1, image.shape[axis]) % 8 == 0
        for group, selected in ((across_grid, on_grid), (elsewhere, ~on_grid)):
            group.append(steps[..., selected].reshape(*image.shape[:-3], -1))
    excess = jnp.concatenate(across_grid, -1).mean(-1) - jnp.concatenate(elsewhere, -1).mean(-1)
    blocking = np.log2(8) / np.log2(min(image.shape[-3:-1])) * jnp.maximum(excess, 0)
    return -10 * jnp.log10(jnp.mean((image - reference) ** 2, axis=(-3, -2, -1)) + blocking)


def warping_error(
    video: Float[Array | np.ndarray, "*batch frames height width channel"],
    flow: Float[Array | np.ndarray, "*batch frames height width 2"],
    visible: Float[Array | np.ndarray, "*batch frames height width 1"],
) -> Float[Array, "*batch"]:
    """Compute the warping error of a video, which measures flicker: frames against their motion-compensated precursors.

    Interpolation leaves a small error even in a perfect video; compare with the value of the ground truth.

    Args:
        video: ``[*batch, frames, height, width, channel]`` in [0, 1], at least two frames.
        flow: what a pixel shows was at ``position + flow`` in the previous frame, in pixels, rows first; of the first
            frame, it is ignored. ``known_motion`` of a degradation returns it with ``visible``.
        visible: 1 where that position was visible in the previous frame, else 0.

    Returns:
        Mean squared difference of consecutive frames at visible pixels, one value per video ``[*batch]``; 0 for a
        still video, NaN if nothing is visible twice.

    Raises:
        TypeError: if the video is not floating point.
        ValueError: if there are fewer than two frames or the shapes do not match.

    Reference:
        Lai et al., Learning blind video temporal consistency, ECCV 2018, section 4.2.

    Example:
        >>> video, still = jnp.stack([jnp.zeros((8, 8, 1)), jnp.full((8, 8, 1), 0.1)]), jnp.zeros((2, 8, 8, 2))
        >>> round(float(warping_error(video, still, jnp.ones((2, 8, 8, 1)))), 4)
        0.01
    """
    video = check_image(video).astype(jnp.float32)
    if video.ndim < 4 or video.shape[-4] < 2:
        raise ValueError(f"`video` must have at least two frames [*batch, frames, ...], got shape {video.shape}.")
    for name, values, depth in (("flow", flow, 2), ("visible", visible, 1)):
        if values.shape != (*video.shape[:-1], depth):
            raise ValueError(f"`{name}` must have shape {(*video.shape[:-1], depth)}, got {values.shape}.")
    *batch, frames, height, width, channels = video.shape
    flat = video.reshape(-1, frames, height, width, channels)
    place = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"))[None, None]
    before = place + jnp.moveaxis(jnp.asarray(flow).reshape(-1, frames, height, width, 2)[:, 1:], -1, 2)
    sample = functools.partial(jax.scipy.ndimage.map_coordinates, order=1, mode="nearest")
    by_channel = jax.vmap(lambda image, place: sample(image, [*place]), (-1, None), -1)
    warped = jax.vmap(jax.vmap(by_channel))(flat[:, :-1], before)
    weight = jnp.asarray(visible, jnp.float32).reshape(-1, frames, height, width, 1)[:, 1:]
    error = (weight * (flat[:, 1:] - warped) ** 2).sum((1, 2, 3, 4)) / (channels * weight.sum((1, 2, 3, 4)))
    return error.reshape(batch)


@jax.jit  # hundreds of small operations, slow to compile one by one
def _ssim_terms(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute the luminance term, and the product of the contrast and structure terms, at every window position."""
    mean_x, mean_y, square_x, square_y, product = _window_mean(jnp.stack([x, y, x * x, y * y, x * y]))
    var_x, var_y, covariance = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)


def _downsample(x: jax.Array) -> jax.Array:
    """Average 2 x 2 pixels; an odd last row or column is dropped."""
    height, width = (side // 2 for side in x.shape[-3:-1])
    x = x[..., : 2 * height, : 2 * width, :]
    return x.reshape(*x.shape[:-3], height, 2, width, 2, x.shape[-1]).mean((-4, -2))


def _check_pair(image: Image, reference: Image, metric: str, min_side: int = 1) -> tuple[jax.Array, jax.Array]:
    """Check two images and return them as float32."""
    image, reference = check_image(image), check_image(reference, "reference")
    if image.shape != reference.shape:
        raise ValueError(f"`image` and `reference` must have the same shape, got {image.shape} and {reference.shape}.")
    height, width = image.shape[-3:-1]
    if min(height, width) < min_side:
        raise ValueError(f"The images of {metric} must be at least {min_side} x {min_side}, got {height} x {width}.")
    return image.astype(jnp.float32), reference.astype(jnp.float32)


def _window_mean(x: jax.Array) -> jax.Array:
    """Compute the Gaussian-weighted mean at every position of the window inside the image."""
    for axis in (x.ndim - 3, x.ndim - 2):
        size = x.shape[axis] - len(_WINDOW) + 1
        parts = [float(w) * jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i, w in enumerate(_WINDOW)]
        x = functools.reduce(jnp.add, parts)
    return x
