"""A photograph of a digital camera: noise in the raw data, demosaicking and development."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ..types import Image, PRNGKeyArray, Strength, per_image
from .blur import gaussian_blur
from .camera import attenuations, process_planes, sample_camera, unprocess_planes
from .codec import RGB_TO_YCC
from .mosaic import Planes, demosaic_planes, red_sites, sample_mosaic, split_channels
from .registry import FRACTION, NON_NEGATIVE, register
from .sensor import camera_noise

__all__ = [
    "camera_photo",
]

_READ_SLOPE, _READ_OFFSET, _READ_DEVIATION = 2.18, 1.20, 0.26


@register(
    {
        "shot": NON_NEGATIVE,
        "read": NON_NEGATIVE,
        "mosaic": FRACTION,
        "bilinear": FRACTION,
        "smooth": FRACTION,
        "chroma": FRACTION,
        "sharpen": FRACTION,
    },
    examples={"shot": (0.001, 0.005, 0.02)},
    channels=(1, 3),
)
def camera_photo(
    key: PRNGKeyArray,
    image: Image,
    *,
    shot: Strength,
    read: Strength | None = None,
    mosaic: Strength = 0.8,
    bilinear: Strength = 0.5,
    smooth: Strength = 0.5,
    chroma: Strength = 0.5,
    sharpen: Strength = 0.3,
) -> Image:
    """Take a photograph of an image with a random camera: noise in the raw data, demosaicking and development.

    Every image has a camera of its own (:func:`sample_camera`). The image is converted to raw intensities, which get
    shot and read noise and saturate at 1; a Bayer mosaic with a random phase is demosaicked, and the result is
    developed. Noise reduction blurs the difference to the image, an ideal filter that preserves edges; it leaves the
    coarse grain and the blotches of chroma of camera files. The result is clipped. A gray image passes through as three
    equal channels, and the luma is returned.

    Args:
        key: random key.
        image: gray or RGB, ``[*batch, height, width, 1 or 3]``, clipped to [0, 1].
        shot: variance of the shot noise at raw intensity 1, a scalar or one per image; 0.0001 to 0.02 are usual.
        read: standard deviation of the read noise in units of raw intensity. By default it is drawn for every image:
            ``log(read^2) = 2.18 log(shot) + 1.20`` with a deviation of 0.26.
        mosaic: probability that the camera has a mosaic; noise without one is white in the raw data.
        bilinear: probability that the demosaicking is bilinear; it is Hamilton-Adams otherwise.
        smooth: probability that the camera reduces luma noise, by a Gaussian of sigma 0.3 to 1 pixels.
        chroma: probability that it reduces chroma noise, sigma 1 to 3.
        sharpen: probability of an unsharp mask of the luma, amount 0.2 to 1.

    Returns:
        Photograph of the same shape in [0, 1].

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is neither gray nor RGB, a shape does not match, or a strength is out of range.

    Reference:
        Brooks et al., Unprocessing images for learned raw denoising, CVPR 2019, section 3; demosaicking as in
        :func:`demosaic`.

    Example:
        >>> camera_photo(jax.random.key(0), jnp.full((8, 8, 3), 0.5), shot=0.01).shape
        (8, 8, 3)
    """
    camera_key, noise_key, mosaic_key, finish_key = jax.random.split(key, 4)
    batch = image.shape[:-3]
    camera = sample_camera(camera_key, batch)
    image = jnp.clip(image, 0, 1)
    planes = split_channels(image)
    # The barriers prevent XLA from recomputing a stage for every use of its result.
    raw = jax.lax.optimization_barrier(unprocess_planes(planes, camera))
    raw = jax.lax.optimization_barrier(_exposed(noise_key, raw, shot, read))
    raw = _demosaicked(mosaic_key, raw, attenuations(camera, planes[0]), mosaic, bilinear)
    developed = jax.lax.optimization_barrier(process_planes(raw, camera))
    finished = _finished(finish_key, developed, planes, smooth, chroma, sharpen)
    if image.shape[-1] == 1:
        return jnp.clip(finished[..., :1], 0, 1)
    luma, blue, red = split_channels(finished)
    colours = (luma + 1.402 * red, luma - 0.344136286 * blue - 0.714136286 * red, luma + 1.772 * blue)
    return jnp.clip(jnp.stack(colours, -1), 0, 1)


def _exposed(key: PRNGKeyArray, planes: Planes, shot: Strength, read: Strength | None) -> Planes:
    """Add shot and read noise and saturate at 1."""
    read_key, noise_key = jax.random.split(key)
    raw = jnp.stack(planes, -1)
    if read is None:
        batch = raw.shape[:-3]
        logarithm = _READ_SLOPE * jnp.log(jnp.maximum(per_image(shot, raw)[..., 0, 0, 0], 1e-9)) + _READ_OFFSET
        logarithm = logarithm + _READ_DEVIATION * jax.random.normal(read_key, batch)
        read = jnp.exp(logarithm / 2)
    return split_channels(jnp.minimum(camera_noise(noise_key, raw, shot=shot, read=read), 1))


def _demosaicked(
    key: PRNGKeyArray, planes: Planes, gains: list[jax.Array], mosaic: Strength, bilinear: Strength
) -> Planes:
    """Sample a mosaic with a random phase and demosaic it, with the white balance applied in between."""
    phase_key, mosaic_key, method_key = jax.random.split(key, 3)
    plane, batch = planes[0], planes[0].shape[:-2]
    row, column = jax.random.bernoulli(phase_key, shape=(2, *batch)).astype(jnp.int32)
    rows, columns = red_sites(plane.shape[-2:], row, column, len(batch))
    red_gain, green_gain, blue_gain = gains
    balanced = planes[0] / red_gain, planes[1] / green_gain, planes[2] / blue_gain
    sampled = sample_mosaic(balanced, rows, columns)
    with_mosaic, is_bilinear = _chosen(mosaic_key, mosaic, plane), _chosen(method_key, bilinear, plane)
    smooth = demosaic_planes(sampled, rows, columns, "bilinear")
    sharp = demosaic_planes(sampled, rows, columns, "hamilton_adams")
    red, green, blue = (
        jnp.where(with_mosaic, gain * jnp.where(is_bilinear, a, b), c)
        for gain, a, b, c in zip(gains, smooth, sharp, planes, strict=True)
    )
    return red, green, blue


def _finished(
    key: PRNGKeyArray, developed: Planes, clean: Planes, smooth: Strength, chroma: Strength, sharpen: Strength
) -> jax.Array:
    """Reduce the noise of some images and sharpen some; luma and chroma, ``[*batch, height, width, 3]``."""
    keys = jax.random.split(key, 6)
    plane, batch = clean[0], clean[0].shape[:-2]

    def drawn(chosen_key, value_key, probability, low, high):
        value = jax.random.uniform(value_key, (*batch, 1, 1), plane.dtype, low, high)
        return jnp.where(_chosen(chosen_key, probability, plane), value, 0)[..., 0, 0]

    luma_sigma = drawn(keys[0], keys[1], smooth, 0.3, 1)
    chroma_sigma = drawn(keys[2], keys[3], chroma, 1, 3)
    amount = drawn(keys[4], keys[5], sharpen, 0.2, 1)
    noise = _luma_and_chroma([a - b for a, b in zip(developed, clean, strict=True)])
    luma_noise = gaussian_blur(noise[0][..., None], sigma=luma_sigma, radius=3)
    chroma_noise = gaussian_blur(jnp.stack(noise[1:], -1), sigma=chroma_sigma, radius=7)
    luma, *chroma_planes = _luma_and_chroma(clean)
    luma = luma[..., None] + luma_noise
    luma = luma + per_image(amount, luma) * (luma - gaussian_blur(luma, sigma=0.8, radius=3))
    return jnp.concatenate([luma, jnp.stack(chroma_planes, -1) + chroma_noise], -1)


def _luma_and_chroma(planes: Sequence[jax.Array]) -> list[jax.Array]:
    red, green, blue = planes
    return [float(r) * red + float(g) * green + float(b) * blue for r, g, b in RGB_TO_YCC]


def _chosen(key: PRNGKeyArray, probability: Strength, plane: jax.Array) -> jax.Array:
    """Draw whether an image is chosen, ``[*batch, 1, 1]``."""
    draw = jax.random.uniform(key, (*plane.shape[:-2], 1, 1), plane.dtype)
    return draw < per_image(probability, plane[..., None])[..., 0]
