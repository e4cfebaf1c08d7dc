"""Presets: degradations of standard benchmarks and published pipelines, by name."""

from .blur import anisotropic_blur, gaussian_blur, sinc_filter
from .compose import Chain, Expression, Maybe, OneOf, Op, Shuffle
from .compression import jpeg
from .enhancement import unsharp_mask
from .missing import missing_pixels
from .noise import gaussian_noise, salt_and_pepper_noise
from .photo import camera_photo
from .photometric import vignetting
from .resample import rescale
from .sensor import shot_noise
from .strengths import LogUniform, Uniform

_IMAGENET_C = {
    "gaussian_noise": [Op(gaussian_noise, sigma=s) for s in (0.08, 0.12, 0.18, 0.26, 0.38)],
    "shot_noise": [Op(shot_noise, peak=p) for p in (60, 25, 12, 5, 3)],
    "impulse_noise": [Op(salt_and_pepper_noise, amount=a) for a in (0.03, 0.06, 0.09, 0.17, 0.27)],
    "jpeg": [Op(jpeg, quality=q) for q in (25, 18, 15, 10, 7)],
}


def _noise(max_sigma: int, min_peak: int) -> Expression:
    """Choose Gaussian, gray Gaussian or shot noise."""
    sigma = Uniform(1 / 255, max_sigma / 255)
    return OneOf(
        Op(gaussian_noise, sigma=sigma),
        Op(gaussian_noise, sigma=sigma, per_pixel=True),
        Op(shot_noise, peak=LogUniform(min_peak, 10000)),
        weights=(0.3, 0.2, 0.5),
    )


def _blur(max_sigma: float | int) -> Expression:
    """Choose an isotropic, anisotropic or sinc kernel."""
    sigma, shape = Uniform(0.2, max_sigma), Uniform(0.5, 2)
    ratio, angle = Uniform(0.2, 1), Uniform(0, 180)
    return OneOf(
        Op(anisotropic_blur, sigma=sigma, ratio=1, angle=0, shape=shape, radius=10),
        Op(anisotropic_blur, sigma=sigma, ratio=ratio, angle=angle, shape=shape, radius=10),
        _ringing(),
        weights=(0.54, 0.36, 0.1),
    )


def _ringing() -> Expression:
    return Op(sinc_filter, cutoff=Uniform(1.05, 3.14))


def _resampling(min_factor: float) -> Expression:
    factor = Uniform(min_factor, 1)
    area_and_bilinear = (Op(rescale, factor=factor, method=method) for method in ("area", "bilinear"))
    return Maybe(OneOf(*area_and_bilinear, Op(rescale, factor=factor)), probability=0.7)


def _jpeg(low: int, high: int, **strengths: object) -> Expression:
    """Choose a chroma subsampling and a quality."""
    quality = Uniform(low, high)
    kinds = (Op(jpeg, quality=quality, subsampling=s, **strengths) for s in ("4:2:0", "4:2:2", "4:4:4"))
    return OneOf(*kinds, weights=(2, 1, 1))


def _moved_jpeg(low: int, high: int) -> Expression:
    """Compress with a grid of blocks at a random offset."""
    return Op(jpeg, quality=Uniform(low, high), down=Uniform(0, 7), right=Uniform(0, 7))


def _compression() -> Expression:
    return Op(jpeg, quality=Uniform(30, 95))


DEGRADATIONS: dict[str, Expression] = {
    **{f"gaussian_noise-{s}": Op(gaussian_noise, sigma=s / 255) for s in (15, 25, 50)},
    **{f"jpeg-q{q}": Op(jpeg, quality=q) for q in (10, 20, 30, 40)},
    **{f"missing-{m}": Op(missing_pixels, missing=m / 100) for m in (50, 80)},
    **{
        f"imagenet_c-{name}-{severity}": degradation
        for name, severities in _IMAGENET_C.items()
        for severity, degradation in enumerate(severities, 1)
    },
    "real_esrgan": Chain(
        *(_blur(3), _resampling(0.15), _noise(30, 28), _compression()),
        *(Maybe(_blur(1.5), probability=0.8), _resampling(0.3), _noise(25, 40)),
        Shuffle(Maybe(_ringing(), probability=0.8), _compression()),
    ),
    "bsrgan": Chain(
        Shuffle(
            *(_blur(2.8), _blur(2.8), _resampling(0.25), _noise(25, 40)),
            Maybe(_compression(), probability=0.75),
        ),
        _compression(),
    ),
    "camera_iso_low": Chain(
        Op(camera_photo, shot=LogUniform(5e-5, 3e-4), smooth=0.3, chroma=0.5),
        _jpeg(85, 98),
    ),
    "camera_iso_high": Chain(
        Op(camera_photo, shot=LogUniform(3e-4, 3e-3), mosaic=0.95, smooth=0.9, chroma=0.95),
        _jpeg(75, 98),
    ),
    "phone": Chain(
        Maybe(Op(vignetting, strength=Uniform(0, 0.2)), probability=0.3),
        Op(camera_photo, shot=LogUniform(5e-4, 6e-3), mosaic=1, smooth=1, chroma=1, sharpen=0),
        Op(gaussian_blur, sigma=Uniform(0.3, 0.7), radius=3),
        Op(unsharp_mask, amount=Uniform(0.5, 1.5), sigma=1),
        Op(jpeg, quality=Uniform(75, 95)),
    ),
    "web": Chain(
        _moved_jpeg(60, 95),
        Maybe(Op(rescale, factor=Uniform(0.5, 1)), probability=0.7),
        Maybe(Op(unsharp_mask, amount=Uniform(0.2, 0.8), sigma=0.8), probability=0.3),
        Op(jpeg, quality=Uniform(30, 90)),
    ),
}
"""Presets by name.

- ``gaussian_noise-*``, ``jpeg-*`` and ``missing-*``: strengths of common benchmarks.
- ``imagenet_c-*``: the five severities of ImageNet-C (Hendrycks and Dietterich, ICLR 2019), without its clipping to
  [0, 1] and rounding.
- ``real_esrgan``: second-order pipeline of Real-ESRGAN (Wang et al., ICCVW 2021, section 3.3).
- ``bsrgan``: shuffled pipeline of BSRGAN (Zhang et al., ICCV 2021, section 3.3).
- ``camera_iso_low``, ``camera_iso_high``: files of a camera at low and at high sensitivity, with noise reduction. The
  noise of ``camera_iso_high`` has the mean level and the correlation of PolyU (Xu et al., 2018);
  ``python -m benchmarks.camera noise`` compares them.
- ``phone``: a small sensor: strong noise that is reduced, blurred and sharpened.
- ``web``: compressed, resized and compressed again on another grid, as pictures in chats and on pages are.

The pipelines preserve the image size: downsampling is followed by upsampling, and images are never enlarged."""
