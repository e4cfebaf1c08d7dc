"""Blur kernels and convolution against SciPy and analytic properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.special

from restorax import degrade
from restorax.degrade import filtering, kernels

BORDERS = [("reflect", "mirror"), ("replicate", "nearest"), ("circular", "wrap")]
KERNELS = {
    "gaussian": lambda: kernels.gaussian_kernel(sigma=jnp.array([1.0, 2.0]), ratio=0.4, angle=30.0, radius=8),
    "motion": lambda: kernels.motion_kernel(length=jnp.array([3.0, 12.0]), angle=jnp.array([0.0, 70.0]), radius=6),
    "defocus": lambda: kernels.defocus_kernel(blur_radius=jnp.array([0.2, 4.5]), radius=5),
    "sinc": lambda: kernels.sinc_kernel(cutoff=jnp.array([0.7, 2.5]), radius=7),
    "shake": lambda: kernels.shake_kernel(jax.random.key(0), length=jnp.array([5.0, 25.0]), radius=9),
}


def _centre_and_spread(kernel):
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - kernel.shape[0] // 2
    mean = [(kernel * c).sum() for c in (y, x)]
    return mean, [[(kernel * a * b).sum() for b in (y, x)] for a in (y, x)]


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_have_unit_sum_and_batch_axes_of_strengths(name):
    kernel = jax.jit(KERNELS[name])()
    assert kernel.shape[0] == 2
    np.testing.assert_allclose(kernel.sum((1, 2)), 1, atol=1e-5)
    if name != "sinc":
        assert float(kernel.min()) >= 0
    if name != "shake":
        np.testing.assert_allclose(kernel, kernel[:, ::-1, ::-1], atol=1e-6)


def test_gaussian_kernel_has_the_requested_covariance():
    kernel = np.asarray(kernels.gaussian_kernel(sigma=3.0, ratio=0.5, angle=30.0, radius=14))
    _, ((yy, yx), (_, xx)) = _centre_and_spread(kernel)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    np.testing.assert_allclose([xx, yy, yx], [9 * c**2 + 2.25 * s**2, 9 * s**2 + 2.25 * c**2, -6.75 * c * s], rtol=0.01)
    line = np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2)
    round_kernel = np.outer(line, line) / line.sum() ** 2
    np.testing.assert_allclose(kernels.gaussian_kernel(sigma=1.5, radius=6), round_kernel, atol=1e-6)


@pytest.mark.parametrize("length", [3.0, 9.0, 15.0])
@pytest.mark.parametrize("upright", [False, True])
def test_motion_kernel_along_an_axis_is_a_moving_average(length, upright):
    kernel = np.asarray(kernels.motion_kernel(length=length, angle=90.0 if upright else 0.0, radius=8))
    line = kernel[:, 8] if upright else kernel[8]
    expected = (np.abs(np.arange(-8, 9)) <= length // 2) / length
    np.testing.assert_allclose(line, expected, atol=1e-5)
    np.testing.assert_allclose(line.sum(), 1, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 25.0, 45.0, 110.0])
def test_motion_kernel_has_direction_and_variance_of_a_line(angle):
    kernel = np.asarray(kernels.motion_kernel(length=13.0, angle=angle, radius=9))
    _, ((yy, yx), (_, xx)) = _centre_and_spread(kernel)
    measured = np.rad2deg(0.5 * np.arctan2(-2 * yx, xx - yy)) % 180
    assert min(abs(measured - angle), 180 - abs(measured - angle)) < 1
    assert abs(xx + yy - 13**2 / 12) < 1  # variance of a uniform line, and of a pixel across


@pytest.mark.parametrize("radius", [0.9, 2.0, 4.3])
def test_defocus_kernel_equals_a_supersampled_disk(radius):
    kernel = np.asarray(kernels.defocus_kernel(blur_radius=radius, radius=5), np.float64)
    fine = (np.arange(11 * 101) + 0.5) / 101 - 5.5
    disk = (fine[:, None] ** 2 + fine[None] ** 2 <= radius**2).reshape(11, 101, 11, 101).mean((1, 3))
    np.testing.assert_allclose(kernel, disk / disk.sum(), atol=2e-3 / radius)


@pytest.mark.parametrize("cutoff", [0.5, 1.5, 3.1])
@pytest.mark.parametrize("radius", [10, 60])
def test_sinc_kernel_equals_scipy(cutoff, radius):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    r = np.hypot(y, x)
    r[radius, radius] = 1
    expected = cutoff * scipy.special.j1(cutoff * r) / (2 * np.pi * r)
    expected[radius, radius] = cutoff**2 / (4 * np.pi)
    np.testing.assert_allclose(kernels.sinc_kernel(cutoff=cutoff, radius=radius), expected / expected.sum(), atol=1e-5)


def test_shake_kernels_are_centred_random_and_of_limited_extent():
    made = np.asarray(kernels.shake_kernel(jax.random.key(0), length=jnp.full(200, 12.0), radius=12))
    centres = np.array([_centre_and_spread(k)[0] for k in made])
    assert np.abs(centres).max() < 0.5
    reach = np.array([np.ptp(np.nonzero(k > 1e-4), axis=1).max() for k in made])
    assert reach.max() <= 14
    assert 4 < reach.mean() < 13
    assert np.abs(made[0] - made[1]).max() > 0.01


def test_long_shake_kernels_are_connected():
    made = np.asarray(kernels.shake_kernel(jax.random.key(0), length=jnp.full(20, 90.0), radius=48))
    assert max(scipy.ndimage.label(k > 0, np.ones((3, 3)))[1] for k in made) == 1


@pytest.mark.parametrize(("border", "scipy_mode"), BORDERS)
@pytest.mark.parametrize("size", [(3, 5), (11, 7)])
def test_blur_equals_scipy_directly_and_by_fft(border, scipy_mode, size, key, monkeypatch):
    image, kernel = jax.random.uniform(key, (23, 30, 2)), jax.random.uniform(jax.random.key(1), size)
    exact = [np.asarray(image[..., c], np.float64) for c in (0, 1)]
    expected = np.stack([scipy.ndimage.convolve(c, np.asarray(kernel), mode=scipy_mode) for c in exact], -1)
    for limit in (0, 1000):  # by FFT, directly
        monkeypatch.setattr(filtering, "_MAX_DIRECT_TAPS", limit)
        np.testing.assert_allclose(
            degrade.kernel_blur(image, kernel=kernel, border=border), expected, rtol=1e-5, atol=1e-5
        )


def test_one_kernel_per_image(key, monkeypatch):
    images, made = jax.random.uniform(key, (2, 20, 24, 3)), KERNELS["motion"]()
    for limit in (0, 1000):
        monkeypatch.setattr(filtering, "_MAX_DIRECT_TAPS", limit)
        blur = jax.jit(lambda x, kernel: degrade.kernel_blur(x, kernel=kernel))
        both = blur(images, made)
        for i in range(2):
            np.testing.assert_allclose(both[i], blur(images[i], made[i]), atol=1e-5)


@pytest.mark.parametrize("limit", [0, 1000])
def test_adjoint_of_circular_blur_is_blur_with_the_flipped_kernel(limit, key, monkeypatch):
    monkeypatch.setattr(filtering, "_MAX_DIRECT_TAPS", limit)
    a, b = jax.random.normal(key, (2, 16, 20, 1))
    kernel = jax.random.uniform(key, (5, 7))
    blur = jax.jit(lambda x, kernel: degrade.kernel_blur(x, kernel=kernel, border="circular"))
    turned = blur(b, kernel[::-1, ::-1])
    assert abs(float((blur(a, kernel) * b).sum() - (a * turned).sum())) < 1e-3
    adjoint = jax.jit(lambda b: jax.vjp(lambda x: blur(x, kernel), a)[1](b)[0])(b)
    np.testing.assert_allclose(adjoint, turned, atol=1e-4)


@pytest.mark.parametrize(
    ("operator", "strengths"),
    [
        ("anisotropic_blur", {"sigma": 1.5, "ratio": 0.4, "angle": 20.0}),
        ("motion_blur", {"length": 7.0, "angle": 30.0}),
        ("defocus_blur", {"blur_radius": 2.5}),
    ],
)
def test_radius_is_inferred_from_concrete_strengths_only(operator, strengths, key):
    image, run = jax.random.uniform(key, (24, 24, 1)), degrade.OPERATORS[operator]
    np.testing.assert_allclose(run(image, **strengths), run(image, **strengths, radius=9), atol=2e-4)
    first = next(iter(strengths))
    with pytest.raises(ValueError, match=f"`radius` must be given if `{first}` is traced"):
        jax.jit(lambda s: run(image, **{**strengths, first: s}))(1.0)


@pytest.mark.usefixtures("unchecked")
def test_invalid_kernels_raise_a_clear_error():
    image = jnp.zeros((2, 8, 8, 1))
    with pytest.raises(ValueError, match="odd sides"):
        degrade.kernel_blur(image, kernel=jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="or one kernel per image"):
        degrade.kernel_blur(image, kernel=jnp.ones((3, 3, 3)))
    with pytest.raises(ValueError, match="`border` must be one of 'reflect', 'replicate', 'circular', got 'zero'"):
        degrade.kernel_blur(image, kernel=jnp.ones((3, 3)), border="zero")


def _image(key):
    return jax.random.uniform(key, (17, 12, 1))


@pytest.mark.parametrize(("border", "scipy_mode"), BORDERS)
@pytest.mark.parametrize("sigma", [0.5, 1.6, 3.0])
def test_gaussian_blur_equals_scipy(border, scipy_mode, sigma, photograph):
    image = photograph[:60, :50]
    radius = int(np.ceil(4 * sigma))
    expected = scipy.ndimage.gaussian_filter(image[..., 0].astype(np.float64), sigma, mode=scipy_mode, radius=radius)
    np.testing.assert_allclose(degrade.gaussian_blur(image, sigma=sigma, border=border)[..., 0], expected, atol=2e-6)


def test_gaussian_blur_infers_its_radius_under_jit_from_a_concrete_sigma(key):
    image = _image(key)
    expected = degrade.gaussian_blur(image, sigma=1.3)
    np.testing.assert_allclose(jax.jit(lambda x: degrade.gaussian_blur(x, sigma=1.3))(image), expected, atol=1e-6)


def test_gaussian_blur_of_sigma_zero_is_the_identity(key):
    image = _image(key)
    np.testing.assert_array_equal(degrade.gaussian_blur(image, sigma=0.0), image)


def test_circular_gaussian_blur_is_self_adjoint(key):
    a, b = _image(key), _image(jax.random.key(1))
    blur = lambda x: degrade.gaussian_blur(x, sigma=1.3, border="circular")  # noqa: E731
    assert abs(float((blur(a) * b).sum() - (a * blur(b)).sum())) < 1e-4


@pytest.mark.parametrize("border", ["reflect", "replicate"])
def test_gaussian_blur_gradient_is_the_adjoint(border, key):
    a, b = _image(key), _image(jax.random.key(1))
    blur = lambda x: degrade.gaussian_blur(x, sigma=1.3, border=border)  # noqa: E731
    columns = jax.jit(jax.vmap(lambda e: blur(e.reshape(a.shape)).ravel()))(jnp.eye(a.size))  # the operator as a matrix
    adjoint = jax.jit(lambda b: jax.vjp(blur, a)[1](b)[0])(b)
    np.testing.assert_allclose(adjoint.ravel(), columns @ b.ravel(), atol=1e-5)


def test_gaussian_blur_rejects_unknown_border_and_missing_radius(key):
    with pytest.raises(ValueError, match="`border` must be one of 'reflect', 'replicate', 'circular', got 'zero'"):
        degrade.gaussian_blur(_image(key), sigma=1.0, border="zero")
    with pytest.raises(ValueError, match="`radius` must be given"):
        jax.jit(lambda s: degrade.gaussian_blur(_image(key), sigma=s))(1.0)


@pytest.mark.parametrize(
    ("text", "border"),
    [
        ("gaussian_noise(sigma=0.1) + jpeg(quality=30)", 0),
        ("gaussian_blur(sigma=1.6)", 8),
        ("gaussian_blur(sigma=uniform(0.4, 2.1))", 16),
        ("gaussian_blur(sigma=9, radius=2)", 8),
        ("motion_blur(length=uniform(1, 15), angle=30)", 8),
        ("defocus_blur(blur_radius=3) + motion_blur(length=15)", 16),
        ("one_of(defocus_blur(blur_radius=3), motion_blur(length=15), identity())", 8),
        ("maybe(shake_blur(length=9)) + jpeg(quality=30)", 16),
        ("shuffle(sinc_filter(cutoff=1), gaussian_noise(sigma=0.1))", 16),
    ],
)
def test_border_covers_what_the_continuation_of_the_image_changes(text, border):
    degradation, clean = degrade.parse(text), np.random.default_rng(0).random((48, 56, 1), np.float32)
    assert degradation.border == border
    observed, inside = degradation.observe(jax.random.key(0), clean)
    whole = degradation(jax.random.key(0), clean)
    assert observed.image.shape == inside.shape == (48 - 2 * border, 56 - 2 * border, 1)
    np.testing.assert_array_equal(observed.image, degrade.crop_border(whole.image, border))
    np.testing.assert_array_equal(inside, degrade.crop_border(clean, border))


def test_pixels_inside_the_border_do_not_depend_on_the_continuation():
    clean = np.random.default_rng(0).random((40, 40, 1), np.float32)
    texts = [f"motion_blur(length=15, angle=20, border='{border}')" for border in ("reflect", "replicate", "circular")]
    first, *others = (degrade.parse(text).observe(jax.random.key(0), clean)[0].image for text in texts)
    for other in others:
        np.testing.assert_allclose(first, other, atol=1e-6)


@pytest.mark.slow
def test_conditions_are_cropped_like_the_image():
    text = "gaussian_blur(sigma=1) + missing_pixels(missing=0.5)"
    observed, clean = degrade.parse(text).observe(jax.random.key(0), jnp.ones((2, 32, 40, 3)))
    assert observed.image.shape == clean.shape == (2, 16, 24, 3)
    assert observed.condition.shape == (2, 16, 24, 1)
    with pytest.raises(ValueError, match="must be larger than 16 x 16, got 16 x 40"):
        degrade.parse(text).observe(jax.random.key(0), jnp.ones((16, 40, 3)))
