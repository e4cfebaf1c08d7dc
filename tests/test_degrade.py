"""Contract tests of every operator; comparisons with independent references are in the test file of each module."""

import functools
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorax import degrade
from restorax.degrade import OPERATORS, REGISTRATIONS, Count, Op, Range, parse
from restorax.degrade.grammar import _COMBINATIONS, _SAMPLERS
from restorax.degrade.registry import RESERVED
from tests.tiers import first

NAMES = tuple(OPERATORS)
PUBLIC = tuple(degrade.__all__)
# Operators run with their strongest example, except those that have too little effect on small images, require a radius
# for a traced strength, or take arrays.
STRENGTHS = {
    "dead_pixels": {"amount": 0.1},
    "missing_strokes": {"thickness": 1.0, "strokes": 2, "vertices": 5},
    "missing_lines": {"thickness": 2.0, "lines": 2},
    "missing_overlay": {"mask": jnp.ones((1, 1, 1))},
    "kernel_blur": {"kernel": jnp.arange(9.0).reshape(3, 3) / 36},
    "gaussian_blur": {"sigma": 1.2, "radius": 5},
    "anisotropic_blur": {"sigma": 1.5, "ratio": 0.5, "angle": 30.0, "shape": 0.8, "radius": 3},
    "motion_blur": {"length": 6.0, "angle": 20.0, "radius": 3},
    "defocus_blur": {"blur_radius": 3.0, "radius": 3},
    "sinc_filter": {"cutoff": 1.5, "radius": 6},
    "shake_blur": {"length": 9.0, "radius": 6},
    "double_jpeg": {"first": 40.0, "second": 60.0, "down": 3},
    "burst": {"shift": 2.0, "frames": 3},
    "moving_scene": {"speed": 3.0, "frames": 3, "objects": 1, "rolling": 0.5, "zoom": 0.02, "rotation": 1.0},
    "palette": {"colours": 5},
    "unsharp_mask": {"amount": 1.0, "sigma": 1.2, "radius": 5},
    "chroma_blur": {"sigma": 1.2, "radius": 5},
}
# Largest tested strength where the range is unbounded.
LARGEST = {
    "peak": 1e5,
    "levels": 65536.0,
    "length": 7.0,
    "gamma": 10.0,
    "blur_radius": 3.0,
    "shift": 50.0,
    "speed": 50.0,
}
FRAMES = {"burst": (3,), "moving_scene": (3,)}  # added frame axes
SIZE = (23, 5)


def _strengths(name):
    return STRENGTHS.get(name) or dict(([*REGISTRATIONS[name].examples] or [{}])[-1])


def _varied(name):
    """Return the strength that is varied between images: the first number."""
    ranges = REGISTRATIONS[name].ranges
    return next((s for s in _strengths(name) if isinstance(ranges.get(s), Range)), None)


def _limits(name):
    low, high, exclude_low, _ = REGISTRATIONS[name].ranges[_varied(name)]
    low = low + 1e-3 * exclude_low
    return low, LARGEST.get(_varied(name), 100.0) if high == math.inf else min(high, math.pi)


VARIED = [name for name in NAMES if _varied(name)]
# One operator of each implementation; the others run with the slow tests.
FAST = ("gaussian_noise", "emccd_noise", "motion_blur", "jpeg", "missing_strokes", "rescale")
SOME = first(NAMES, *FAST)


def _channels(name):
    return max(REGISTRATIONS[name].channels, default=3)


def _image(key, name, batch=(), size=SIZE):
    return jax.random.uniform(key, (*batch, *size, _channels(name)))


def _run(name, key, image, **changed):
    return Op(OPERATORS[name], **{**_strengths(name), **changed})(key, image)


@functools.cache
def _compiled(name):
    """Compile an operator with its varied strength as an argument."""
    varied = _varied(name)
    return jax.jit(lambda key, image, strength: _run(name, key, image, **({varied: strength} if varied else {})))


def _values(name, *factors):
    """The strength that is varied, one per image."""
    return jnp.float32([_strengths(name)[_varied(name)] * f for f in factors] if _varied(name) else factors)


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def test_every_operator_is_public_and_has_strengths_to_test():
    assert set(NAMES) <= set(PUBLIC)
    assert len(set(PUBLIC)) == len(PUBLIC)
    assert set(RESERVED) == set(_SAMPLERS) | set(_COMBINATIONS)
    for name in NAMES:
        needed = {s for s, default in REGISTRATIONS[name].defaults.items() if default is inspect.Parameter.empty}
        assert needed <= set(_strengths(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_strength_except_flags_and_arrays_has_a_range(name):
    for strength, default in REGISTRATIONS[name].defaults.items():
        assert (strength in REGISTRATIONS[name].ranges) != (strength in ("kernel", "mask") or isinstance(default, bool))


@pytest.mark.parametrize("name", SOME)
def test_jit_equals_eager_and_a_scalar_strength_applies_to_all_images(name, key):
    images = _image(key, name, (2,))
    eager = _run(name, key, images)
    _close(_compiled(name)(key, images, _values(name, 1, 1)), eager)
    _close(_run(name, key, images), eager, 0)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_keys(name, key):
    images, strengths = _image(key, name, (2,)), _values(name, 1, 0.5)
    observed = image, condition = _compiled(name)(key, images, strengths)
    assert image.shape == (2, *FRAMES.get(name, ()), *images.shape[1:])
    assert image.dtype == images.dtype
    if condition is not None:
        assert condition.shape[:-1] == images.shape[:-1]
        assert set(np.unique(condition)) <= {0, 1}
    _close(_compiled(name)(key, images, strengths), observed, 0)
    if REGISTRATIONS[name].random:
        assert np.abs(_compiled(name)(jax.random.key(1), images, strengths).image - image).max() > 0


@pytest.mark.parametrize("name", SOME)
def test_vmap_equals_loop(name, key):
    images, keys = np.asarray(_image(key, name, (2, 2))), jax.random.split(key, 2)
    run = functools.partial(_compiled(name), strength=_values(name, 1, 0.5))
    mapped = jax.tree.map(np.asarray, jax.vmap(run)(keys, images))
    for i in range(2):
        _close(jax.tree.map(lambda x, i=i: x[i], mapped), run(keys[i], images[i]))


@pytest.mark.parametrize("name", first(VARIED, *FAST))
def test_traced_strengths_per_image_equal_separate_calls(name, key):
    images = jnp.broadcast_to(_image(key, name), (2, *SIZE, _channels(name)))
    run = lambda values: _compiled(name)(key, images, values).image  # noqa: E731
    mixed, full, half = (run(_values(name, *factors)) for factors in ((1, 0.5), (1, 1), (0.5, 0.5)))
    _close(mixed[0], full[0], 1e-5)
    _close(mixed[1], half[1], 1e-5)
    assert np.abs(mixed[1] - full[1]).max() > 0
    # The limits of the range.
    assert np.isfinite(run(jnp.float32(_limits(name)))).all()


@pytest.mark.parametrize("name", first(NAMES, *FAST, "camera_photo"))
def test_one_pixel_and_empty_batch(name, key):
    one = _compiled(name)(key, _image(key, name, (2,), (1, 1)), _values(name, 1, 0.5)).image
    assert np.isfinite(one).all()
    empty = jax.eval_shape(_compiled(name), key, _image(key, name, (0,)), _values(name)).image.shape
    assert empty[:-1] == (0, *FRAMES.get(name, ()), *SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_output_is_finite_for_any_size_and_strength_in_range(name):
    sizes = st.integers(1, 70)
    channels = st.sampled_from(REGISTRATIONS[name].channels or (1, 3, 4))
    limits = _limits(name) if name in VARIED else ()
    strengths = st.sampled_from(limits) | st.floats(*limits) if limits else st.none()

    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(sizes, sizes, channels, st.integers(0, 3), strengths, st.integers(0, 2**31 - 1))
    def check(height, width, channels, batch, strength, seed):
        image = jax.random.uniform(jax.random.key(seed), (batch, height, width, channels))
        changed = {} if strength is None else {_varied(name): strength}
        image_out, condition = jax.jit(lambda k, x: _run(name, k, x, **changed))(jax.random.key(seed), image)
        assert image_out.shape == (batch, *FRAMES.get(name, ()), height, width, channels)
        assert np.isfinite(image_out).all()
        assert condition is None or condition.shape[:-1] == image.shape[:-1]

    check()


@pytest.mark.slow  # minutes to compile
@pytest.mark.parametrize("name", ["real_esrgan", "bsrgan", "camera_iso_low", "camera_iso_high", "phone", "web"])
def test_pipeline_presets_run_on_gray_and_colour_images(name, key):
    for channels in (1, 3):
        image = jax.random.uniform(key, (2, 24, 17, channels))
        observed = jax.jit(parse(name))(key, image)
        assert observed.image.shape == image.shape
        assert np.isfinite(observed.image).all()
        assert np.abs(observed.image - image).max() > 0


@pytest.mark.parametrize(
    "name",
    first(
        [n for n in NAMES if REGISTRATIONS[n].differentiable],
        "gaussian_noise",
        "motion_blur",
        "missing_strokes",
    ),
)
def test_gradient_is_finite(name, key):
    strengths = {k: v for k, v in _strengths(name).items() if isinstance(v, float)}

    def total(image, strengths):
        return _run(name, key, image, **strengths).image.sum()

    image = _image(key, name).at[:2].set(0)
    gradients = jax.jit(jax.grad(total, (0, 1)))(image, strengths)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
    assert np.abs(gradients[0]).sum() > 0


@pytest.mark.parametrize("name", SOME)
def test_same_output_on_one_and_eight_devices(name, key):
    images = _image(key, name, (8,))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    run = jax.jit(lambda x: _run(name, key, x).image)
    whole = run(images)
    scale = jnp.maximum(jnp.abs(whole).max(), 1)  # avalanche noise goes far above 1, and so does its rounding
    _close(run(jax.device_put(images, sharding)) / scale, whole / scale)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("unchecked")
def test_invalid_input_raises_a_clear_error(name, key):
    channels = _channels(name)
    with pytest.raises(TypeError, match="floating point"):
        _run(name, key, jnp.zeros((8, 8, channels), jnp.uint8))
    with pytest.raises(ValueError, match="shape"):
        _run(name, key, jnp.zeros((8, 8)))
    with pytest.raises(ValueError, match="at least 1"):
        _run(name, key, jnp.zeros((0, 8, channels)))
    for dtype in (jnp.float16, jnp.bfloat16):
        with pytest.raises(TypeError, match="must be float32 or float64"):
            _run(name, key, jnp.zeros((8, 8, channels), dtype))
    if REGISTRATIONS[name].channels:
        with pytest.raises(ValueError, match=f"^The image of {name} must have .*3 channels, got 2"):
            _run(name, key, jnp.zeros((8, 8, 2)))
    if name in VARIED:
        with pytest.raises(ValueError, match="must be a scalar or have one value per image"):
            jax.eval_shape(_compiled(name), key, jnp.zeros((2, 8, 8, channels)), _values(name, 1, 1, 1))
    with pytest.raises(TypeError, match="no strength 'wrong'"):
        _run(name, key, jnp.zeros((8, 8, channels)), wrong=1)


def _out_of_range(accepted):
    """Return values that are not accepted."""
    if isinstance(accepted, Count):
        return accepted.low - 1, accepted.low + 0.5
    if not isinstance(accepted, Range):
        return ("wrong", 3)
    low = () if accepted.low == -math.inf else (accepted.low if accepted.exclude_low else accepted.low - 0.1,)
    return (*low, *((24.0 + accepted.high,) if accepted.high < math.inf else ()), math.nan, "25")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("unchecked")
def test_strengths_out_of_range_raise_a_clear_error(name, key):
    image = _image(key, name)
    for strength, accepted in REGISTRATIONS[name].ranges.items():
        for value in _out_of_range(accepted):
            got = f"{value:g}" if isinstance(accepted, Range) and not isinstance(value, str) else repr(value)
            with pytest.raises(ValueError, match=rf"^`{strength}` must be .*, got {got}(; divide .*)?\.$"):
                Op(OPERATORS[name], **{**_strengths(name), strength: value})
            arguments = (key, image) if REGISTRATIONS[name].random else (image,)
            with pytest.raises(ValueError, match=rf"^`{strength}` must be .*, got {got}(; divide .*)?\.$"):
                OPERATORS[name](*arguments, **{**_strengths(name), strength: value})
        if isinstance(accepted, Range):
            with pytest.raises(ValueError, match=rf"^`{strength}` must be .*, got nan"):
                _run(name, key, image[None], **{strength: np.array([math.nan])})
        if isinstance(accepted, Count):
            with pytest.raises(ValueError, match=rf"^`{strength}` must be an integer >= \d, got a traced value"):
                jax.jit(lambda value, s=strength: _run(name, key, image, **{s: value}))(3)


def test_errors_state_what_is_accepted():
    with pytest.raises(ValueError, match=r"^`sigma` must be in \[0, 1\], got 25; divide by 255 for 8-bit units\.$"):
        parse("gaussian_noise(sigma=25)")
    with pytest.raises(ValueError, match=r"^`peak` must be above 0, got 0\.$"):
        parse("shot_noise(peak=0)")
    with pytest.raises(ValueError, match=r"^`ratio` must be in \(0, 1\], got 2\.$"):
        parse("anisotropic_blur(sigma=1, ratio=2, angle=0)")
    with pytest.raises(ValueError, match=r"^`levels` must be at least 2, got 1\.$"):
        parse("quantisation(levels=1)")
    with pytest.raises(ValueError, match=r"^`border` must be one of 'reflect', 'replicate', 'circular', got 'zero'\.$"):
        parse("gaussian_blur(sigma=1, border='zero')")
    with pytest.raises(ValueError, match=r"^`frames` must be an integer >= 1, got uniform\(1, 4\)\.$"):
        parse("burst(frames=uniform(1, 4))")


def _darken(image, *, amount=0.5):
    return image * amount


def test_invalid_registrations_raise(monkeypatch):
    for mapping in (OPERATORS, REGISTRATIONS):
        monkeypatch.setattr(degrade.registry, "OPERATORS" if mapping is OPERATORS else "REGISTRATIONS", dict(mapping))
    register, fraction = degrade.register, Range(0, 1)
    darken = register({"amount": fraction}, examples={"amount": (0.1, 0.3, 0.9)})(_darken)
    assert register({"amount": fraction})(_darken).__wrapped__ is darken.__wrapped__  # registered twice
    with pytest.raises(ValueError, match="`amount` must be in"):
        darken(jnp.ones((4, 4, 1)), amount=2)

    def renamed(function, name):
        function.__name__ = name
        return function

    for wrong in (
        lambda image, amount: image,
        lambda photo, *, amount: photo,
        lambda image, key, *, amount: image,
        lambda image, *, amount, **others: image,
    ):
        with pytest.raises(TypeError, match=r"must take \(image, \*, ...\) or \(key, image, \*, ...\)"):
            register()(wrong)
    for name in ("jpeg", "one_of", "uniform"):
        with pytest.raises(ValueError, match=f"The name '{name}' is taken"):
            register()(renamed(lambda image: image, name))
    with pytest.raises(ValueError, match="not an identifier"):
        register()(lambda image: image)
    with pytest.raises(TypeError, match="has no strength 'amuont'; it has amount"):
        register({"amuont": fraction})(_darken)
    with pytest.raises(ValueError, match="`amount` must be in"):
        register({"amount": Range(0, 0.2)})(_darken)
    with pytest.raises(ValueError, match="`amount` must be in"):
        register({"amount": fraction}, examples={"amount": (0.1, 0.5, 1.5)})(_darken)
