"""Degradations that have a name in the field, in the language of :func:`restorax.degrade.parse`."""

_LADDERS = {
    "gaussian_noise": ("gaussian_noise(sigma={})", (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": ("shot_noise(peak={})", (60, 25, 12, 5, 3)),
    "impulse_noise": ("salt_and_pepper_noise(amount={})", (0.03, 0.06, 0.09, 0.17, 0.27)),
    "jpeg": ("jpeg(quality={})", (25, 18, 15, 10, 7)),
}

# Blur by a random kernel, noise of one kind, compression: what both pipelines below are made of.
_NOISE = (
    "one_of(gaussian_noise(sigma=uniform(1/255, {0}/255)), "
    "gaussian_noise(sigma=uniform(1/255, {0}/255), per_pixel=True), "
    "shot_noise(peak=log_uniform({1}, 10000)), weights=(0.3, 0.2, 0.5))"
)
_BLUR = (
    "one_of(anisotropic_blur(sigma=uniform(0.2, {0}), ratio=1, angle=0, shape=uniform(0.5, 2), radius=10), "
    "anisotropic_blur(sigma=uniform(0.2, {0}), ratio=uniform(0.2, 1), angle=uniform(0, 180), shape=uniform(0.5, 2), "
    "radius=10), sinc_filter(cutoff=uniform(1.05, 3.14)), weights=(0.54, 0.36, 0.1))"
)
_SHRINK = (
    "maybe(one_of(rescale(factor=uniform({0}, 1), method='area'), rescale(factor=uniform({0}, 1), method='bilinear'), "
    "rescale(factor=uniform({0}, 1))), probability=0.7)"
)
_JPEG = "jpeg(quality=uniform(30, 95))"

DEGRADATIONS: dict[str, str] = {
    **{f"gaussian_noise-{s}": f"gaussian_noise(sigma={s}/255)" for s in (15, 25, 50)},
    **{f"jpeg-q{q}": f"jpeg(quality={q})" for q in (10, 20, 30, 40)},
    **{f"missing-{m}": f"missing_pixels(missing={m}/100)" for m in (50, 80)},
    **{
        f"imagenet_c-{name}-{severity}": operator.format(strength)
        for name, (operator, strengths) in _LADDERS.items()
        for severity, strength in enumerate(strengths, 1)
    },
    "real_esrgan": " + ".join(
        (
            *(_BLUR.format(3), _SHRINK.format(0.15), _NOISE.format(30, 28), _JPEG),
            *(f"maybe({_BLUR.format(1.5)}, probability=0.8)", _SHRINK.format(0.3), _NOISE.format(25, 40)),
            f"shuffle(maybe(sinc_filter(cutoff=uniform(1.05, 3.14)), probability=0.8), {_JPEG})",
        )
    ),
    "bsrgan": "shuffle({0}, {0}, {1}, {2}, maybe({3}, probability=0.75)) + {3}".format(
        _BLUR.format(2.8), _SHRINK.format(0.25), _NOISE.format(25, 40), _JPEG
    ),
}
"""Presets by name.

The strengths of the standard benchmarks; the five severities of ImageNet-C (Hendrycks and Dietterich, ICLR 2019; its
images are clipped to [0, 1] and rounded afterwards, which is left to the caller here); the second-order pipeline of
Real-ESRGAN (Wang et al., ICCVW 2021, section 3.3) and the shuffled one of BSRGAN (Zhang et al., ICCV 2021, section
3.3) at one size: what is made small there is made large again at once, and nothing is enlarged first."""
