"""The tests that no operator skips; each against an independent reference is in the file named after its module."""

import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorax.degrade import OPERATORS, parse, stage


class Case(NamedTuple):
    """What the common tests need to know of an operator: a new one has to be entered in CASES."""

    strengths: dict  # the first is varied between images, between its value here and half of it
    limits: tuple = ()  # its smallest and largest sensible values
    channels: int = 1
    differentiable: bool = True
    frames: tuple = ()  # axes that the operator adds in front of the rows


CASES = {
    "gaussian_noise": Case({"sigma": 0.1}, (0.0, 10.0)),
    "correlated_noise": Case({"sigma": 0.1}, (0.0, 10.0)),
    "uniform_noise": Case({"amplitude": 0.1}, (0.0, 10.0)),
    "speckle_noise": Case({"sigma": 0.2}, (0.0, 10.0)),
    "salt_and_pepper_noise": Case({"amount": 0.3}, (0.0, 1.0)),
    "impulse_noise": Case({"amount": 0.3}, (0.0, 1.0)),
    "stripe_noise": Case({"sigma": 0.1}, (0.0, 10.0)),
    "dead_pixels": Case({"amount": 0.1}, (0.0, 1.0)),
    "shot_noise": Case({"peak": 30.0}, (1e-3, 1e6), differentiable=False),
    "camera_noise": Case({"shot": 0.02, "read": 0.02}, (0.0, 1.0)),
    "emccd_noise": Case({"peak": 20.0}, (1e-3, 1e5), differentiable=False),
    "apd_noise": Case({"peak": 20.0}, (1e-3, 1e5), differentiable=False),
    "missing_pixels": Case({"missing": 0.4}, (0.0, 1.0)),
    "missing_blocks": Case({"side": 0.4}, (0.0, 1.0)),
    "missing_strokes": Case({"thickness": 1.0}, (0.0, 10.0)),
    "missing_lines": Case({"thickness": 2.0}, (0.0, 100.0)),
    "missing_border": Case({"margin": 0.3}, (0.0, 0.5)),
    "missing_overlay": Case({"mask": jnp.ones((1, 1, 1))}),
    "bayer_mosaic": Case({}, channels=3),
    "kernel_blur": Case({"kernel": jnp.arange(9.0).reshape(3, 3) / 36}),
    "gaussian_blur": Case({"sigma": 1.2, "radius": 5}, (0.0, 100.0)),
    "anisotropic_blur": Case({"sigma": 2.0, "ratio": 0.5, "angle": 30.0, "shape": 0.8, "radius": 5}, (1e-3, 100.0)),
    "motion_blur": Case({"length": 6.0, "angle": 20.0, "radius": 3}, (0.0, 7.0)),
    "defocus_blur": Case({"blur_radius": 3.0, "radius": 3}, (0.0, 3.0)),
    "sinc_filter": Case({"cutoff": 1.5, "radius": 6}, (0.01, 3.1415926)),
    "shake_blur": Case({"length": 9.0, "radius": 6}, (0.0, 100.0)),
    "jpeg": Case({"quality": 40.0}, (1.0, 100.0), channels=3, differentiable=False),
    "jpeg_straight_through": Case({"quality": 40.0}, (1.0, 100.0), channels=3),
    "double_jpeg": Case({"first": 40.0, "second": 60.0, "down": 3}, (1.0, 100.0), channels=3, differentiable=False),
    "chroma_subsampling": Case({}, channels=3),
    "low_resolution": Case({"factor": 3}),
    "rescale": Case({"factor": 0.6}, (0.01, 1.0)),
    "low_light": Case({"exposure": 0.2, "shot": 0.01, "read": 0.01}, (1e-3, 1.0)),
    "gamma_change": Case({"gamma": 0.7}, (0.1, 10.0)),
    "haze": Case({"transmission": 0.6}, (0.0, 1.0)),
    "fade": Case({"contrast": 0.5, "saturation": 0.4}, (0.0, 1.0), channels=3),
    "palette": Case({"colours": 5}, channels=3, differentiable=False),
    "burst": Case({"shift": 2.0, "frames": 3}, (0.0, 50.0), frames=(3,)),
    "quantisation": Case({"levels": 6.0}, (2.0, 65536.0), differentiable=False),
}
# Strengths with a range, and values outside of it.
OUTSIDE = {
    "gaussian_noise": {"sigma": (25, -0.1)},
    "correlated_noise": {"sigma": (25, -0.1)},
    "uniform_noise": {"amplitude": (25, -0.1)},
    "speckle_noise": {"sigma": (-0.1,)},
    "stripe_noise": {"sigma": (25, -0.1)},
    "salt_and_pepper_noise": {"amount": (24, -0.1)},
    "impulse_noise": {"amount": (24, -0.1)},
    "dead_pixels": {"amount": (24, -0.1), "hot": (2, -1)},
    "shot_noise": {"peak": (0, -3)},
    "camera_noise": {"shot": (-0.1,), "read": (-0.1,)},
    "emccd_noise": {"peak": (0, -3), "gain": (0.5,), "read": (-1,)},
    "apd_noise": {"peak": (0, -3), "gain": (0.5,), "ionisation": (-0.1, 1.1)},
    "missing_pixels": {"missing": (24, -0.1)},
    "missing_blocks": {"side": (24, -0.1)},
    "missing_strokes": {"thickness": (-0.1,)},
    "missing_lines": {"thickness": (-0.1,)},
    "missing_border": {"margin": (0.6, -0.1)},
    "gaussian_blur": {"sigma": (-3,)},
    "anisotropic_blur": {"sigma": (-3,), "ratio": (0, 2), "shape": (0,)},
    "motion_blur": {"length": (-1,)},
    "defocus_blur": {"blur_radius": (-1,)},
    "sinc_filter": {"cutoff": (0, 4)},
    "shake_blur": {"length": (-1,)},
    "jpeg": {"quality": (0.3, 101)},
    "jpeg_straight_through": {"quality": (0, 101)},
    "double_jpeg": {"first": (0, 101), "second": (0, 101), "down": (-1, 8), "right": (-1, 8)},
    "rescale": {"factor": (0, 2)},
    "low_light": {"exposure": (0, 24)},
    "gamma_change": {"gamma": (0,)},
    "haze": {"transmission": (24, -0.1)},
    "fade": {"contrast": (9, -0.1), "saturation": (9, -0.1)},
    "quantisation": {"levels": (1,)},
    "burst": {"shift": (-1,)},
}
# Whole numbers that fix the size of the program, and what they cannot be.
COUNTS = {
    "missing_blocks": {"blocks": (-1, 1.5)},
    "missing_strokes": {"strokes": (0, 1.5), "vertices": (3,)},
    "missing_lines": {"lines": (-1, 2.5)},
    "gaussian_blur": {"radius": (-1, 2.5)},
    "anisotropic_blur": {"radius": (-1, 2.5)},
    "motion_blur": {"radius": (-1, 2.5)},
    "defocus_blur": {"radius": (-1, 2.5)},
    "sinc_filter": {"radius": (-1, 2.5)},
    "shake_blur": {"radius": (-1, 2.5)},
    "low_resolution": {"factor": (0, 2.5)},
    "palette": {"colours": (0, 2.5), "iterations": (-1,)},
    "burst": {"frames": (0, 2.5)},
}
VARIED = [name for name, case in CASES.items() if isinstance(next(iter(case.strengths.values()), None), float)]


def _image(key, name="gaussian_noise", batch=(), size=(17, 12)):
    return jax.random.uniform(key, (*batch, *size, CASES[name].channels))


def _run(name, key, image, **changed):
    return stage(OPERATORS[name], **{**CASES[name].strengths, **changed})(key, image)


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def test_every_operator_is_entered():
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_jit_equals_eager_and_same_key_same_output(name, key):
    image = _image(key, name)
    eager = _run(name, key, image)
    assert eager.image.shape == (*CASES[name].frames, *image.shape)
    assert eager.image.dtype == image.dtype
    if eager.condition is not None:
        assert eager.condition.shape[:-1] == image.shape[:-1]
        assert set(np.unique(eager.condition)) <= {0, 1}
    jitted = jax.jit(lambda k, x: _run(name, k, x))
    _close(jitted(key, image), eager)
    _close(_run(name, key, image), eager, 0)
    if next(iter(inspect.signature(OPERATORS[name]).parameters)) == "key":
        assert np.abs(jitted(jax.random.key(1), image).image - eager.image).max() > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_vmap_equals_loop(name, key):
    images, keys = _image(key, name, (3,)), jax.random.split(key, 3)
    run = jax.jit(lambda k, x: _run(name, k, x))
    mapped = jax.vmap(run)(keys, images)
    for i in range(3):
        _close(jax.tree.map(lambda x, i=i: x[i], mapped), run(keys[i], images[i]))


@pytest.mark.parametrize("name", VARIED)
def test_traced_strength_per_image_equals_each_alone(name, key):
    strength, value = next(iter(CASES[name].strengths.items()))
    images = jnp.broadcast_to(_image(key, name), (2, 17, 12, CASES[name].channels))
    run = jax.jit(lambda s: _run(name, key, images, **{strength: s}).image)
    both = run(jnp.array([value, value / 2]))
    _close(both[0], run(jnp.array([value, value]))[0], 1e-5)
    _close(both[1], run(jnp.array([value / 2, value / 2]))[1], 1e-5)
    _close(run(jnp.array([value, value])), run(jnp.array(value)), 1e-5)
    assert np.abs(both[1] - run(jnp.array(value))[1]).max() > 0


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("size", [(1, 1), (23, 5)])
def test_any_size_and_empty_batch(name, size, key):
    run = jax.jit(lambda x: _run(name, key, x).image)
    assert np.isfinite(run(_image(key, name, (2,), size))).all()
    empty = jax.eval_shape(run, _image(key, name, (0,), size)).shape
    assert empty[:-1] == (0, *CASES[name].frames, *size)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATORS)
def test_any_input_within_the_limits_gives_finite_output(name):
    case = CASES[name]
    sizes = st.integers(1, 70)
    channels = st.just(3) if case.channels == 3 else st.sampled_from([1, 3, 4])
    strengths = st.sampled_from(case.limits) | st.floats(*case.limits) if case.limits else st.none()

    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(sizes, sizes, channels, st.integers(0, 3), strengths, st.integers(0, 2**31 - 1))
    def check(height, width, channels, batch, strength, seed):
        image = jax.random.uniform(jax.random.key(seed), (batch, height, width, channels))
        changed = {} if strength is None else {next(iter(case.strengths)): strength}
        image_out, condition = jax.jit(lambda k, x: _run(name, k, x, **changed))(jax.random.key(seed), image)
        assert image_out.shape == (batch, *case.frames, height, width, channels)
        assert np.isfinite(image_out).all()
        assert condition is None or condition.shape[:-1] == image.shape[:-1]

    check()


@pytest.mark.parametrize("name", VARIED)
def test_strengths_at_their_limits(name, key):
    images = _image(key, name, (2,))
    strength = next(iter(CASES[name].strengths))
    out = jax.jit(lambda s: _run(name, key, images, **{strength: s}).image)(jnp.array(CASES[name].limits))
    assert np.isfinite(out).all()


@pytest.mark.slow  # minutes to compile
@pytest.mark.parametrize("name", ["real_esrgan", "bsrgan"])
def test_presets_run_for_gray_and_colour(name, key):
    for channels in (1, 3):
        image = jax.random.uniform(key, (2, 24, 17, channels))
        observed = jax.jit(parse(name))(key, image)
        assert observed.image.shape == image.shape
        assert np.isfinite(observed.image).all()
        assert np.abs(observed.image - image).max() > 0


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.differentiable])
def test_gradient_is_finite(name, key):
    strengths = {k: v for k, v in CASES[name].strengths.items() if isinstance(v, float)}

    def total(image, strengths):
        return _run(name, key, image, **strengths).image.sum()

    image = _image(key, name).at[:2].set(0)
    gradients = jax.jit(jax.grad(total, (0, 1)))(image, strengths)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
    assert np.abs(gradients[0]).sum() > 0


# Noise, counts, filters and strokes always; the others, which are made like these, with the slow tests.
ALWAYS_SPREAD = ("gaussian_noise", "emccd_noise", "motion_blur", "jpeg", "missing_strokes", "rescale")


@pytest.mark.parametrize(
    "name", [name if name in ALWAYS_SPREAD else pytest.param(name, marks=pytest.mark.slow) for name in OPERATORS]
)
def test_same_output_on_one_and_eight_devices(name, key):
    images = _image(key, name, (8,))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    run = jax.jit(lambda x: _run(name, key, x).image)
    _close(run(jax.device_put(images, sharding)), run(images))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused_in_a_sentence(name, key):
    channels = CASES[name].channels
    with pytest.raises(TypeError, match="floating point"):
        _run(name, key, jnp.zeros((8, 8, channels), jnp.uint8))
    with pytest.raises(ValueError, match="shape"):
        _run(name, key, jnp.zeros((8, 8)))
    with pytest.raises(ValueError, match="at least 1"):
        _run(name, key, jnp.zeros((0, 8, channels)))
    if name in VARIED:
        strength, value = next(iter(CASES[name].strengths.items()))
        with pytest.raises(ValueError, match="does not fit the batch"):
            _run(name, key, jnp.zeros((2, 8, 8, channels)), **{strength: jnp.full(3, value)})
    with pytest.raises(TypeError, match="no strength 'wrong'"):
        _run(name, key, jnp.zeros((8, 8, channels)), wrong=1)


@pytest.mark.parametrize("name", OUTSIDE)
def test_strengths_outside_their_range_are_refused_in_a_sentence(name, key):
    for strength, values in OUTSIDE[name].items():
        for value in (*values, float("nan")):
            with pytest.raises(ValueError, match=rf"^{strength} is {value:g}; values (from|above) .* are accepted$"):
                _run(name, key, _image(key, name), **{strength: value})
        with pytest.raises(ValueError, match=rf"^{strength} is {values[0]:g};"):
            _run(name, key, _image(key, name, (1,)), **{strength: np.array([values[0]])})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.usefixtures("unchecked")
def test_counts_that_are_not_whole_are_refused_in_a_sentence(name, key):
    for count, values in COUNTS[name].items():
        for value in values:
            with pytest.raises(ValueError, match=rf"^{count} is {value}; a whole number from \d on is needed$"):
                _run(name, key, _image(key, name), **{count: value})
    with pytest.raises(ValueError, match=rf"^{count} is drawn or traced; a whole number"):
        jax.jit(lambda value: _run(name, key, _image(key, name), **{count: value}))(3)


@pytest.mark.usefixtures("unchecked")
def test_strengths_that_are_no_numbers_are_refused_in_a_sentence(key):
    for text in ("gaussian_noise(sigma='25')", "motion_blur(length='5')", "jpeg(quality='high')"):
        with pytest.raises(ValueError, match="a number is needed"):
            parse(text)(key, jnp.zeros((8, 8, 1)))


def test_every_strength_with_limits_has_a_range():
    assert {name for name in VARIED if CASES[name].limits} <= set(OUTSIDE)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.usefixtures("unchecked")
def test_half_precision_is_refused(name, dtype, key):
    with pytest.raises(TypeError, match="float32 is needed"):
        _run(name, key, _image(key, name).astype(dtype))
