"""Restoration of known linear degradations: adjoints, closed forms, gradients, and what is refused."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import restorax
from restorax import degrade
from restorax.degrade import parse
from restorax.degrade.quantisation_intervals import JpegIntervals
from restorax.files.jpeg import read_planes
from restorax.solvers import METHODS, denoisers
from restorax.solvers.data_steps import conjugate_gradients, data_step
from restorax.solvers.linear import adjoint_of, kind_of, read_parts
from tests.tiers import first

KERNEL = np.random.default_rng(0).random((5, 3), np.float32)
TEXTS = {
    "blur": "motion_blur(length=5, angle=30)",
    "circular": "gaussian_blur(sigma=0.8, border='circular')",
    "resampling": "gaussian_blur(sigma=0.5) + low_resolution(factor=2)",
    "mosaic": "bayer_mosaic(pattern='GRBG')",
    "border": "missing_border(margin=0.2)",
    "two blurs": "defocus_blur(blur_radius=1.5) + anisotropic_blur(sigma=1, ratio=0.5, angle=20)",
    "subsampling": "chroma_subsampling()",
    "sharpened": "unsharp_mask(sigma=1, amount=0.5)",
}


def shrink(level):
    """A denoiser whose prior is known: the posterior mean of white noise for pixels of variance 1."""
    return lambda x, sigma: x / (1 + sigma**2 / level**2)


@pytest.mark.parametrize("name", first(list(TEXTS), "blur"))
def test_adjoints_of_operators_are_exact(name):
    parts = read_parts(parse(TEXTS[name]))
    shape = (20 + 2 * parts.rim, 17 + 2 * parts.rim, 3)
    mask = parts.mask((20, 17, 3), None)

    def apply(x):
        return parts.apply(x, mask)

    def products(key):
        x, y = (jax.random.normal(key, size) for size in (shape, (20, 17, 3)))
        return (apply(x) * y).sum(), (x * adjoint_of(apply, shape)(y)).sum()

    observed, transposed = jax.jit(products)(jax.random.key(0))
    assert float(observed) == pytest.approx(float(transposed), abs=2e-3)


def test_blur_goes_on_beyond_the_image(key):
    scene = jax.random.uniform(key, (40, 44, 1))
    op = degrade.Op(degrade.kernel_blur, kernel=KERNEL)
    apply = jax.jit(lambda x: (read_parts(op).apply(x, None), degrade.kernel_blur(x, kernel=KERNEL)))
    observed, whole = map(np.asarray, apply(scene))
    np.testing.assert_allclose(observed, whole[8:-8, 8:-8], atol=1e-6)


@pytest.mark.parametrize("kind", ["diagonal", "circular", "general"])
def test_data_steps_satisfy_the_normal_equations(kind, key):
    kernel = jnp.ones((3, 3)) / 9
    operator = {
        "diagonal": lambda x: jnp.asarray(np.arange(64.0).reshape(8, 8, 1) % 3, jnp.float32) * x,
        "circular": lambda x: degrade.kernel_blur(x, kernel=kernel, border="circular"),
        "general": lambda x: degrade.kernel_blur(x, kernel=kernel, border="replicate"),
    }[kind]
    shape = (8, 8, 1)
    assert kind_of(operator, shape) == kind
    y, z = jax.random.normal(key, (2, *shape))

    @jax.jit
    def rest(y, z):
        x = data_step(operator, y, shape, kind, 40)(z, jnp.asarray(0.3), z)
        return adjoint_of(operator, shape)(operator(x) - y) + 0.3 * (x - z)

    np.testing.assert_allclose(rest(y, z), jnp.zeros(shape), atol=1e-5)


def test_conjugate_gradients_end_after_as_many_steps_as_unknowns(key):
    matrix = jax.random.normal(key, (6, 6))
    matrix = matrix @ matrix.T + jnp.eye(6)
    solution = conjugate_gradients(lambda x: matrix @ x, jnp.ones(6), jnp.zeros(6), 12)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, np.ones(6)), rtol=1e-3)


@pytest.mark.parametrize("method", first(list(METHODS), "admm"))
def test_methods_converge_to_a_closed_form(method, key):
    """With a quadratic prior the solution of |Mx - y|^2 + s x^2 is known."""
    mask = jnp.asarray([1.0, 0.5]).reshape(1, 2, 1)
    y = 0.2 + 0.3 * jax.random.uniform(key, (1, 2, 1))
    noise, weight = 0.1, 0.5
    schedule = restorax.solvers.Schedule(jnp.full(120, noise), jnp.full(120, weight))

    def denoise(x, level):
        return x / (1 + 0.4)

    # HQS: z = x / 1.4 and (m^2 + w) x = m y + w z. ADMM: the prior is 0.2 * w * 2 x^2, since z minimises
    # w (z - v)^2 + 0.4 w z^2. RED: m (m x - y) + w (x - x / 1.4) = 0. Gradient: x - m (m x - y) / L = 1.4 x.
    m = np.asarray(mask)
    x = {
        "hqs": (m * y / (m**2 + weight * (1 - 1 / 1.4))) / 1.4,
        "admm": m * y / (m**2 + 0.4 * weight),
        "red": m * y / (m**2 + weight * (1 - 1 / 1.4)),
        "pg": m * y / (m**2 + 0.4 * (1.05 + weight)),
    }[method]
    solved = restorax.solve(
        lambda image: mask * image, y, denoise, noise=noise, iterations=120, method=method, schedule=schedule
    )
    np.testing.assert_allclose(solved, x, rtol=2e-3)


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences(key):
    y = 0.3 + 0.3 * jax.random.uniform(key, (8, 8, 1))

    def loss(width, noise):
        kernel = jnp.exp(-((jnp.arange(-1.0, 2.0) / width) ** 2)).reshape(3, 1)
        kernel = kernel / kernel.sum()
        out = restorax.solve(lambda x: degrade.kernel_blur(x, kernel=kernel), y, shrink(0.5), noise=noise, iterations=2)
        return (out**2).sum()

    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    slopes, evaluate = both(0.8, 0.1)[1], lambda *at: both(*at)[0]
    for index, slope in enumerate(slopes):
        step = np.eye(2)[index] * 1e-2
        above, below = evaluate(*(np.array([0.8, 0.1]) + step)), evaluate(*(np.array([0.8, 0.1]) - step))
        assert float(slope) == pytest.approx(float(above - below) / 2e-2, rel=0.03)


@pytest.mark.slow  # two batches are compiled
def test_a_batch_is_solved_as_its_images(key):
    y = jax.random.uniform(key, (2, 9, 10, 1))
    noise = jnp.asarray([0.02, 0.1])
    options = {"denoiser": shrink(0.5), "iterations": 1}
    both = restorax.solve("gaussian_blur(sigma=0.6)", y, noise=noise, **options)
    alone = restorax.solve("gaussian_blur(sigma=0.6)", y[1], noise=0.1, **options)
    np.testing.assert_allclose(both[1], alone, atol=1e-4)


@pytest.mark.slow  # two sizes are compiled
def test_tiles_leave_no_seams(photograph):
    scene = jnp.asarray(photograph[:176, :192])
    holes = degrade.missing_pixels(jax.random.key(0), scene, missing=0.5)
    smooth = lambda x, level: degrade.gaussian_blur(x, sigma=0.5)  # noqa: E731
    whole, tiled = (
        restorax.solve("missing_pixels(missing=0.5)", holes, smooth, noise=0.0, iterations=3, tile=tile)
        for tile in (None, 144)
    )
    assert float(jnp.abs(whole - tiled).max()) < 0.02


@pytest.mark.slow  # FFDNet is compiled
def test_told_denoiser_deblurs(photograph):
    scene = jnp.asarray(photograph[100:180, 100:180])
    blur = parse("motion_blur(length=9) + gaussian_noise(sigma=2.55/255)")
    observed, clean = blur.observe(jax.random.key(0), scene)
    error = lambda x: float(((x - clean) ** 2).mean())  # noqa: E731
    assert error(restorax.solve(blur, observed.image)) < 0.3 * error(observed.image)


def test_denoisers_are_those_that_are_told_the_level():
    assert "ffdnet-gray-noise" in denoisers(1)
    assert "resunet_s-gray-noise" not in denoisers(1)


def _encoded(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", **options)
    decoded = np.asarray(Image.open(file), np.float32).reshape(pixels.shape) / 255
    return file.getvalue(), jnp.asarray(decoded)


@pytest.mark.parametrize("case", first(["gray", "4:2:0"], "4:2:0"))
def test_intervals_hold_the_image_that_was_compressed(case, photograph):
    pixels = np.round(60 + 120 * photograph[100:149, 100:150]).astype(np.uint8)  # nothing clips
    if case == "4:2:0":
        pixels = np.concatenate([pixels, pixels, 200 - pixels // 2], -1)
    content, decoded = _encoded(pixels, quality=75)
    planes = read_planes(content)
    intervals = JpegIntervals.of(planes)
    clean = pixels / np.float32(255)
    assert all(plane.known[:2, :2].all() for plane in planes)
    np.testing.assert_allclose(intervals.project(clean), clean, atol=1 / 255)
    smooth = degrade.gaussian_blur(decoded, sigma=1.0)
    nearer = intervals.project(smooth)
    assert float(((nearer - clean) ** 2).mean()) < 0.95 * float(((smooth - clean) ** 2).mean())
    np.testing.assert_allclose(intervals.project(nearer), nearer, atol=1e-4)
    solved = restorax.solve(intervals, decoded, lambda x, level: 0.9 * x, iterations=1)
    np.testing.assert_allclose(intervals.project(solved), solved, atol=1e-3)
    assert float(jnp.abs(solved - decoded).max()) > 0.01


@pytest.mark.parametrize("kind", ["PNG", "4:2:2"])
def test_files_whose_intervals_are_unknown_are_refused(kind):
    file = io.BytesIO()
    image = Image.new("RGB", (16, 16))
    image.save(file, "PNG") if kind == "PNG" else image.save(file, "JPEG", subsampling=1)
    with pytest.raises(ValueError, match="not a JPEG" if kind == "PNG" else "4:4:4 or 4:2:0"):
        read_planes(file.getvalue())


def bent(x):
    return jnp.where(x > 0.2, x, 0.5 * x)


def shifted(x):
    return x + 0.1


REFUSED = {
    "jpeg": ("jpeg(quality=30)", {}, "jpeg is not linear"),
    "inner": ("motion_blur(length=5) + gamma_change(gamma=2)", {}, "gamma_change is not linear"),
    "photons": ("shot_noise(peak=100)", {}, "shot_noise is random"),
    "shake": ("shake_blur(length=9)", {}, "shake_blur is random; give what was applied as kernel_blur"),
    "choice": ("maybe(gaussian_blur(sigma=1))", {}, "is random; give the degradation that was applied"),
    "sampler": ("gaussian_blur(sigma=uniform(1, 2), radius=4)", {}, "has a random sigma"),
    "order": ("gaussian_noise(sigma=0.1) + gaussian_blur(sigma=1)", {}, "gaussian_noise must come last"),
    "mask": ("missing_pixels(missing=0.5)", {}, "give the mask of known ones"),
    "bent": (bent, {}, "bent is not linear"),
    "shifted": (shifted, {}, "shifted is not linear"),
    "absolute": (jnp.abs, {}, "not linear"),
    "size": (lambda x: x[:5], {}, "returns shape"),
    "kind": (7, {}, "must be text, a degradation or a function"),
    "negative": ("gaussian_blur(sigma=1)", {"noise": -0.1}, "`noise` must be in"),
    "8 bit": ("gaussian_blur(sigma=1)", {"noise": 2.55}, "divide by 255"),
    "missing": ("gaussian_blur(sigma=1)", {"noise": None}, "`noise`, .* is required"),
    "many": ("gaussian_blur(sigma=1)", {"noise": np.ones(3) / 9}, "one per image"),
    "method": ("gaussian_blur(sigma=1)", {"method": "sgd"}, "`method` must be one of 'hqs'"),
    "blind": ("gaussian_blur(sigma=1)", {"denoiser": "resunet_s-gray-noise"}, "use .*ffdnet-gray-noise"),
    "NaN": ("gaussian_blur(sigma=1)", {"observed": np.full((8, 8, 1), np.nan, np.float32)}, "must be finite"),
    "axes": ("gaussian_blur(sigma=1)", {"observed": np.ones((8, 8), np.float32)}, "must have shape"),
    "integers": ("gaussian_blur(sigma=1)", {"observed": np.ones((8, 8, 1), np.uint8)}, "floating point"),
    "shape": ("gaussian_blur(sigma=1)", {"shape": (9, 9, 1)}, "`shape` must be that of the observation"),
    "tile": (lambda x: x, {"tile": 200}, "`tile` is for"),
}


CHEAP = (
    "jpeg",
    "photons",
    "shake",
    "choice",
    "sampler",
    "order",
    "bent",
    "size",
    "kind",
    "negative",
    "8 bit",
    "method",
)


@pytest.mark.parametrize("name", first(list(REFUSED), *CHEAP, "NaN", "axes", "integers"))
def test_bad_arguments_are_refused_in_one_sentence(name, unchecked):
    degradation, options, message = REFUSED[name]
    observed = np.full((8, 8, 1), 0.5, np.float32)
    with pytest.raises((ValueError, TypeError), match=message) as error:
        restorax.solve(degradation, **{"observed": observed, "noise": 0.01, "iterations": 1, **options})
    assert "\n" not in str(error.value)
