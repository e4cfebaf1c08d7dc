"""Networks that estimate the blur kernel and invert it."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from restorax import degrade, metrics, zoo
from restorax.degrade import kernels, parse
from restorax.models import ScanUNet, WienerUNet
from restorax.recipes import RECIPES
from restorax.train.step import init_state, make_step

SMALL = {"widths": (8, 8), "blocks": 1, "radius": 4, "estimator_width": 32}


@pytest.fixture(
    scope="module",
    params=[WienerUNet(**SMALL), pytest.param(ScanUNet(**SMALL, filters=3, scan_levels=(1,)), marks=pytest.mark.slow)],
    ids=["unet", "scanunet"],
)
def network(request):
    return request.param, _init(request.param)


@pytest.fixture(scope="module")
def wiener():
    """One network, for tests of code that all of them share."""
    return WienerUNet(**SMALL), _init(WienerUNet(**SMALL))


def _init(model):
    return jax.jit(model.init)(jax.random.key(0), jnp.zeros((16, 16, 1)))


def _apply(model, *arguments, method="__call__"):
    return _compiled(model, method)(*arguments)


@functools.cache
def _compiled(model, method):
    return jax.jit(functools.partial(model.apply, method=method))


@pytest.mark.slow
def test_estimated_kernels_are_nonnegative_symmetric_and_of_unit_sum(wiener):
    model, variables = wiener
    image = jax.random.uniform(jax.random.key(0), (3, 2, 70, 33, 1))
    found = _apply(model, variables, image, method="kernel")
    assert found.shape == (3, 2, 9, 9)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum((-2, -1)), 1, atol=1e-5)
    np.testing.assert_allclose(found, found[..., ::-1, ::-1], atol=1e-7)
    alone = _apply(model, variables, image[1, 0], method="kernel")
    np.testing.assert_allclose(found[1, 0], alone, atol=1e-5)


def test_estimate_is_equivariant_to_turns_and_flips(wiener):
    model, variables = wiener
    image = jax.random.uniform(jax.random.key(0), (64, 64, 1)) + jnp.linspace(0, 1, 64)[:, None, None]
    read = lambda x: _apply(model, variables, x, method="kernel")  # noqa: E731
    for turn in (lambda x: x[::-1], jnp.rot90, lambda x: x.swapaxes(0, 1)):
        np.testing.assert_allclose(read(turn(image)), turn(read(image)), atol=2e-5)


def _squares(count):
    """Images ``[count, 33, 42, 1]`` of squares of 4 pixels in random grays: many corners, no noise."""
    values = jax.random.uniform(jax.random.key(0), (count, 9, 11, 1))
    return values.repeat(4, 1).repeat(4, 2)[:, :33, :42]


def test_an_image_without_features_is_returned(network):
    model, variables = network
    image = jax.random.uniform(jax.random.key(0), (2, 33, 42, 1))
    image = image.at[1].set(0.1 * _squares(1)[0])  # no step contradicts a kernel of 9 x 9 pixels
    changed = jnp.abs(jax.jit(model.run)(variables["params"], image) - image).max((1, 2, 3))
    assert (changed > 0).tolist() == [False, True]


def test_the_estimated_kernel_passed_explicitly_changes_nothing_and_another_does(network):
    model, variables = network
    image = _squares(2)
    kernel = _apply(model, variables, image, method="kernel")
    deconvolve = jax.jit(functools.partial(model.apply, method="deconvolve"))
    restored, explicit = _apply(model, variables, image), deconvolve(variables, image, kernel)
    np.testing.assert_allclose(explicit, restored, atol=1e-5)
    other = jnp.broadcast_to(kernels.motion_kernel(length=7.0, angle=20.0, radius=4), kernel.shape)
    assert jnp.abs(deconvolve(variables, image, other) - restored).max() > 1e-4


def test_sharded_images_need_no_communication(network):
    from benchmarks.tpu_compile import collectives

    model, variables = network
    images = jax.random.uniform(jax.random.key(0), (4, 33, 42, 1))
    mesh = Mesh(np.array(jax.devices()[:4]), ("d",))
    spread = jax.jit(jax.shard_map(model.apply, mesh=mesh, in_specs=(P(), P("d")), out_specs=P("d")))
    exchanged, _ = collectives(spread.lower(variables, images).compile().as_text())
    assert not exchanged
    np.testing.assert_allclose(spread(variables, images), _apply(model, variables, images), atol=1e-5)


@pytest.mark.parametrize("shape", [(9, 9), (2, 8, 8), (2, 9, 7), (3, 9, 9)])
def test_a_kernel_that_does_not_fit_is_refused(wiener, shape):
    model, variables = wiener
    with pytest.raises(ValueError, match="one square kernel of odd side per image"):
        model.apply(variables, jnp.zeros((2, 16, 16, 1)), jnp.ones(shape), method="deconvolve")


@pytest.mark.usefixtures("unchecked")
def test_invalid_kernel_values_are_refused_and_lists_are_accepted(wiener):
    model, variables = wiener
    image, kernel = jax.random.uniform(jax.random.key(0), (16, 16, 1)), np.eye(3) / 3
    deconvolve = lambda kernel: model.apply(variables, image, kernel, method="deconvolve")  # noqa: E731
    traced, listed = jax.jit(deconvolve)(kernel), jax.jit(lambda: deconvolve(kernel.tolist()))()
    np.testing.assert_allclose(listed, traced, atol=1e-5)
    np.testing.assert_array_equal(listed, jax.jit(lambda: deconvolve(jnp.asarray(kernel, jnp.float32)))())
    for off in (np.ones((3, 3)), np.zeros((3, 3)), np.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match=rf"must sum to 1, got {off.sum():g}; divide it by its sum"):
            deconvolve(off)
    with pytest.raises(TypeError, match="floating point with unit sum, got int64"):
        deconvolve([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"got shape \(\) for images"):
        deconvolve(1.0)


@pytest.mark.slow
def test_a_known_kernel_may_be_asymmetric(photograph):
    restorer, clean = zoo.load("wiener_unet-gray-blur"), jnp.asarray(photograph[64:160, 128:256])
    bent = jnp.zeros((13, 13)).at[6, 6:].set(1 / 13).at[6:, 12].set(1 / 13)
    blurred = degrade.kernel_blur(clean, kernel=bent)
    image = degrade.gaussian_noise(jax.random.key(0), blurred, sigma=2.55 / 255)
    variables = {"params": restorer.params}
    restored = jax.jit(lambda *x: restorer.model.apply(variables, *x, method="deconvolve"))(image, bent)
    assert metrics.psnr(restored, clean) > metrics.psnr(image, clean) + 4


@pytest.mark.slow
def test_auxiliary_loss_trains_the_kernel(wiener, photograph):
    model, variables = wiener
    clean = jnp.asarray(photograph[:128, :128])[None]
    true = kernels.motion_kernel(length=7.0, angle=90.0, radius=4)
    blurred = degrade.kernel_blur(clean, kernel=true)
    optimiser = optax.adam(1e-3)

    @jax.jit
    def step(params, state):
        auxiliary = lambda p: model.apply({"params": p}, blurred, clean, method="auxiliary_loss")  # noqa: E731
        value, gradient = jax.value_and_grad(auxiliary)(params)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    distance = lambda p: jnp.abs(_apply(model, {"params": p}, blurred, method="kernel")[0] - true).sum()  # noqa: E731
    params, before = variables["params"], distance(variables["params"])
    state, values = optimiser.init(params), []
    for _ in range(150):
        params, state, value = step(params, state)
        values.append(float(value))
    assert values[-1] < values[0] / 10
    assert distance(params) < before / 4


@pytest.mark.parametrize(
    ("blur", "kernel"),
    [
        ("gaussian_blur(sigma=1.6)", kernels.gaussian_kernel(sigma=1.6, radius=8)),
        ("motion_blur(length=11, angle=60)", kernels.motion_kernel(length=11.0, angle=60.0, radius=8)),
        ("defocus_blur(blur_radius=3)", jnp.pad(kernels.defocus_kernel(blur_radius=3.0, radius=5), 3)),
    ],
)
def test_the_published_entry_estimates_and_undoes_blur(blur, kernel, photograph):
    restorer, clean = zoo.load("wiener_unet-gray-blur"), jnp.asarray(photograph[:192, :256])
    blurred = parse(f"{blur} + gaussian_noise(sigma=2.55/255)")
    image, _ = blurred(jax.random.key(0), clean)
    variables = {"params": restorer.params}
    found = _apply(restorer.model, variables, image, method="kernel")
    assert jnp.abs(found - kernel).sum() < 0.6  # 2 if they have nothing in common
    assert metrics.psnr(_apply(restorer.model, variables, image), clean) > metrics.psnr(image, clean) + 2


@pytest.mark.slow
def test_a_recipe_decides_the_weight_of_the_auxiliary_loss():
    recipe = replace(RECIPES["wiener_unet-gray-blur"], config={"channels": 1, **SMALL}, dtype="float32")
    recipe = recipe.adjusted(steps=2).with_stages(batch=2, patch=32, degradation="gaussian_blur(sigma=1, radius=4)")
    clean = jax.random.randint(jax.random.key(0), (2, 32, 32, 1), 0, 256).astype(jnp.uint8)
    recipe, state = recipe.with_stages(auxiliary_loss=2.0), init_state(recipe, jax.random.key(1))
    step = make_step(recipe, recipe.stages[0])
    # Returning the loss alone skips compiling the update.
    loss = jax.jit(lambda *arguments: step(*arguments)[1]["loss"])(state, clean, jax.random.key(2))
    model, clean = WienerUNet(**SMALL), clean / 255

    @jax.jit
    def parts(params):
        border = parse(recipe.degradation).border
        inner = (slice(None), slice(border, -border), slice(border, -border))
        image, target = degrade.gaussian_blur(clean, sigma=1.0, radius=4)[inner], clean[inner]
        difference = jnp.abs(model.apply({"params": params}, image) - target).mean()
        return difference, model.apply({"params": params}, image, target, method="auxiliary_loss")

    difference, auxiliary = parts(state.params)
    np.testing.assert_allclose(loss, difference + 2 * auxiliary, rtol=1e-4)


def test_a_network_without_an_auxiliary_loss_refuses_a_weight():
    recipe = RECIPES["resunet_s-gray-noise"].with_stages(auxiliary_loss=1.0)
    with pytest.raises(ValueError, match=r"`auxiliary_loss` must be 0 for resunet_s, got 1\.0"):
        make_step(recipe, recipe.stages[0])


@pytest.mark.parametrize(
    ("method", "beside"), [("kernel", ()), ("deconvolve", (jnp.ones((3, 3)) / 9,)), ("auxiliary_loss", ())]
)
def test_a_network_without_filters_refuses_its_methods(method, beside):
    model, image = ScanUNet(widths=(8, 8), blocks=1, scan_levels=(1,)), jnp.zeros((16, 16, 1))
    beside = (image,) if method == "auxiliary_loss" else beside
    with pytest.raises(ValueError, match="no Wiener filters and estimates no kernel; build it with filters=4"):
        model.apply({"params": {}}, image, *beside, method=method)
