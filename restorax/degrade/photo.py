"""A photograph of a digital camera: noise in the raw data, demosaicking and development."""

import jax
import jax.numpy as jnp

from ..types import Image, PRNGKeyArray, Strength, per_image
from .blur import gaussian_blur
from .camera import process_planes, sample_camera, unprocess_planes
from .codec import RGB_TO_YCC
from .mosaic import Planes, demosaic_planes, red_sites, sample_mosaic
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
        "sharpen": FRACTION,
        "chroma": FRACTION,
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
    sharpen: Strength = 0.3,
    chroma: Strength = 0.3,
) -> Image:
    """Take a photograph of an image with a random camera: noise in the raw data, demosaicking and development.

    Every image has a camera of its own (:func:`sample_camera`). The image is converted to raw intensities, which get
    shot and read noise and saturate at 1; a Bayer mosaic with a random phase is demosaicked, and the result is
    developed, sharpened and clipped. A gray image passes through as three equal channels, and the luma is returned.

    Args:
        key: random key.
        image: gray or RGB, ``[*batch, height, width, 1 or 3]``, clipped to [0, 1].
        shot: variance of the shot noise at raw intensity 1, a scalar or one per image; 0.0001 to 0.02 are usual.
        read: standard deviation of the read noise in units of raw intensity. By default it is drawn for every image:
            ``log(read^2) = 2.18 log(shot) + 1.20`` with a deviation of 0.26.
        mosaic: probability that the camera has a mosaic; noise without one is white in the raw data.
        bilinear: probability that the demosaicking is bilinear; it is Hamilton-Adams otherwise.
        sharpen: probability of an unsharp mask of the luma, amount 0.2 to 1 and sigma 0.5 to 1.
        chroma: probability of a Gaussian blur of the chroma, sigma 0.5 to 1.5, as cameras reduce chroma noise.

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
    planes = _split(image) if image.shape[-1] == 3 else (image[..., 0],) * 3
    # The barriers prevent XLA from recomputing a stage for every use of its result.
    raw = jax.lax.optimization_barrier(unprocess_planes(planes, camera))
    raw = jax.lax.optimization_barrier(_exposed(noise_key, raw, shot, read))
    raw = _demosaicked(mosaic_key, raw, mosaic, bilinear)
    developed = jax.lax.optimization_barrier(process_planes(raw, camera))
    luma, chroma_planes = _finished(finish_key, developed, sharpen, chroma)
    if image.shape[-1] == 1:
        return jnp.clip(luma, 0, 1)
    blue, red = chroma_planes[..., 0], chroma_planes[..., 1]
    luma = luma[..., 0]
    colours = (luma + 1.402 * red, luma - 0.344136286 * blue - 0.714136286 * red, luma + 1.772 * blue)
    return jnp.clip(jnp.stack(colours, -1), 0, 1)


def _split(image: jax.Array) -> Planes:
    return image[..., 0], image[..., 1], image[..., 2]


def _exposed(key: PRNGKeyArray, planes: Planes, shot: Strength, read: Strength | None) -> Planes:
    """Add shot and read noise and saturate at 1."""
    read_key, noise_key = jax.random.split(key)
    raw = jnp.stack(planes, -1)
    if read is None:
        batch = raw.shape[:-3]
        logarithm = _READ_SLOPE * jnp.log(jnp.maximum(per_image(shot, raw)[..., 0, 0, 0], 1e-9)) + _READ_OFFSET
        logarithm = logarithm + _READ_DEVIATION * jax.random.normal(read_key, batch)
        read = jnp.exp(logarithm / 2)
    return _split(jnp.minimum(camera_noise(noise_key, raw, shot=shot, read=read), 1))


def _demosaicked(key: PRNGKeyArray, planes: Planes, mosaic: Strength, bilinear: Strength) -> Planes:
    """Sample a mosaic with a random phase and demosaic it."""
    phase_key, mosaic_key, method_key = jax.random.split(key, 3)
    plane, batch = planes[0], planes[0].shape[:-2]
    row, column = jax.random.bernoulli(phase_key, shape=(2, *batch)).astype(jnp.int32)
    rows, columns = red_sites(plane.shape[-2:], row, column, len(batch))
    sampled = sample_mosaic(planes, rows, columns)
    with_mosaic, is_bilinear = _chosen(mosaic_key, mosaic, plane), _chosen(method_key, bilinear, plane)
    methods = zip(
        demosaic_planes(sampled, rows, columns, "bilinear"),
        demosaic_planes(sampled, rows, columns, "hamilton_adams"),
        planes,
        strict=True,
    )
    red, green, blue = (
        jnp.where(with_mosaic, jnp.where(is_bilinear, smooth, sharp), full) for smooth, sharp, full in methods
    )
    return red, green, blue


def _finished(key: PRNGKeyArray, planes: Planes, sharpen: Strength, chroma: Strength) -> tuple[jax.Array, jax.Array]:
    """Sharpen the luma and blur the chroma of some images: ``[..., 1]`` and ``[..., 2]``."""
    keys = jax.random.split(key, 5)
    batch = planes[0].shape[:-2]
    sharpened, blurred = (_chosen(k, p, planes[0])[..., 0, 0] for k, p in ((keys[0], sharpen), (keys[3], chroma)))
    amount = jnp.where(sharpened, jax.random.uniform(keys[1], batch, minval=0.2), 0)
    luma_sigma = jax.random.uniform(keys[2], batch, minval=0.5)
    chroma_sigma = jnp.where(blurred, jax.random.uniform(keys[4], batch, minval=0.5, maxval=1.5), 0)
    ycc = [sum(float(weight) * plane for weight, plane in zip(row, planes, strict=True)) for row in RGB_TO_YCC]
    luma, chroma_planes = ycc[0][..., None], jnp.stack(ycc[1:], -1)
    detail = luma - gaussian_blur(luma, sigma=luma_sigma, radius=3)
    luma = luma + per_image(amount, luma) * detail
    return luma, gaussian_blur(chroma_planes, sigma=chroma_sigma, radius=4)


def _chosen(key: PRNGKeyArray, probability: Strength, plane: jax.Array) -> jax.Array:
    """Draw whether an image is chosen, ``[*batch, 1, 1]``."""
    draw = jax.random.uniform(key, (*plane.shape[:-2], 1, 1), plane.dtype)
    return draw < per_image(probability, plane[..., None])[..., 0]
