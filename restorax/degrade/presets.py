"""Degradations that have a name in the field, in the language of :func:`restorax.degrade.parse`."""

_LADDERS = {
    "gaussian_noise": ("gaussian_noise(sigma={})", (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": ("shot_noise(peak={})", (60, 25, 12, 5, 3)),
    "impulse_noise": ("salt_and_pepper_noise(amount={})", (0.03, 0.06, 0.09, 0.17, 0.27)),
    "jpeg": ("jpeg(quality={})", (25, 18, 15, 10, 7)),
}

DEGRADATIONS: dict[str, str] = {
    **{f"gaussian_noise-{s}": f"gaussian_noise(sigma={s}/255)" for s in (15, 25, 50)},
    **{f"jpeg-q{q}": f"jpeg(quality={q})" for q in (10, 20, 30, 40)},
    **{f"missing-{m}": f"missing_pixels(missing={m}/100)" for m in (50, 80)},
    **{
        f"imagenet_c-{name}-{severity}": operator.format(strength)
        for name, (operator, strengths) in _LADDERS.items()
        for severity, strength in enumerate(strengths, 1)
    },
}
"""Presets by name: the strengths of the standard benchmarks, and the five severities of ImageNet-C (Hendrycks and
Dietterich, ICLR 2019; its images are clipped to [0, 1] and rounded afterwards, which is left to the caller here)."""
