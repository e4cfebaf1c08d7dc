"""The comparison of trained schedules: its blur, and where its training starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import schedule
from restorax import degrade
from restorax.solvers.iteration import default_schedule
from restorax.solvers.programs import FIRST_LEVEL, LAST_LEVEL


def test_blurs_by_fft_end_where_the_scene_wraps_around(key):
    kernel = np.random.default_rng(0).random((5, 5), np.float32)
    scene = jax.random.uniform(key, (16, 16, 1))
    whole = degrade.kernel_blur(scene, kernel=kernel)
    np.testing.assert_allclose(schedule.blur_of(jnp.asarray(kernel), 16)(scene), whole[2:-2, 2:-2], atol=1e-5)


def test_schedules_are_trained_from_the_default():
    noise = jnp.asarray(0.02)
    default = default_schedule(noise, 3, 0.23, FIRST_LEVEL, LAST_LEVEL)
    numbers = jnp.zeros((4, 3))
    for one, other in zip(schedule.schedule_of(numbers, noise), default, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    moved = schedule.schedule_of(numbers.at[0, 1].set(1).at[3, 2].set(2), noise)
    np.testing.assert_allclose(moved.levels / default.levels, [1, np.e, 1], rtol=1e-5)
    np.testing.assert_allclose(moved.weights / default.weights, [1, 1, (0.02 * 255 / 3) ** 2], rtol=1e-5)


@pytest.mark.slow  # the gradient is compiled
def test_training_improves_a_schedule(key):
    """A denoiser that only scales is right at a level near 0, which the default does not reach in one iteration."""
    scenes = np.asarray(0.5 + 0.2 * jax.random.uniform(key, (4, 32, 32, 1)))
    shrink = lambda image, level: image / (1 + 20 * level)  # noqa: E731
    numbers = schedule.train(scenes, shrink, 1, 8)
    assert float(numbers[0, 0]) < -0.1
    (first, *_) = schedule.compare(numbers, scenes, shrink)
    assert float(first["gain"]) > 0.1
