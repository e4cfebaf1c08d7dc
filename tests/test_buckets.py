"""Images of many sizes share compiled programs, with the results that they have alone."""

import jax
import numpy as np
import pytest

from restorax import inference, models, series, zoo
from restorax.buckets import bucket_side, pad_to_bucket
from tests.test_models import _draw
from tests.tiers import first

# Small ones of every convolutional architecture.
FIELDS = {
    "arcnn": {"widths": (4, 4, 4)},
    "dncnn": {"depth": 3, "width": 4},
    "drunet": {"widths": (4, 4, 4, 4), "blocks": 1},
    "ffdnet": {"depth": 3, "width": 4},
    "ircnn": {"width": 4},
    "prenet": {"width": 4, "blocks": 1, "stages": 2},
    "resunet_s": {"widths": (4, 6), "blocks": 1},
    "stageunet": {"widths": (4, 6), "stages": 2},
}


def test_every_convolutional_architecture_is_tested():
    classes = {type(build()) for build in models.MODELS.values() if build().convolutional}
    assert classes == {type(models.MODELS[name]()) for name in FIELDS}


def test_sides_are_multiples_of_64_and_four_per_octave():
    sides = [bucket_side(length) for length in range(1, 2049)]
    assert all(side >= length for length, side in enumerate(sides, 1))
    assert all(side <= max(1.25 * length, length + 63) for length, side in enumerate(sides, 1))
    assert len({side for side in sides if 1024 < side <= 2048}) == 4


@pytest.mark.parametrize("name", first(FIELDS, "resunet_s"))
def test_padded_images_are_restored_as_they_are_alone(name):
    model = models.MODELS[name](**FIELDS[name])
    random = np.random.default_rng(0)
    images = [random.random((*size, model.channels), np.float32) for size in ((37, 21), (50, 3))]
    levels = [random.random((*image.shape[:2], 1), np.float32) for image in images]
    conditions = levels if model.condition.channels else [None, None]
    params = _draw(model, images[0], conditions[0])["params"]

    padded, sides = zip(*(pad_to_bucket(image, model.multiple) for image in images), strict=True)
    maps = np.stack([pad_to_bucket(level, model.multiple)[0] for level in levels]) if model.condition.channels else None
    together = jax.jit(model.run_padded)(params, np.stack(padded), maps, np.array(sides, np.int32))
    plain = jax.jit(model.run)(params, np.stack(padded), maps)
    for i, (image, condition) in enumerate(zip(images, conditions, strict=True)):
        alone = np.asarray(jax.jit(model.run)(params, image, condition))
        height, width = image.shape[:2]
        scale = np.abs(alone).max()
        np.testing.assert_allclose(together[i, :height, :width], alone, atol=2e-6 * scale)
        assert np.abs(plain[i, :height, :width] - alone).max() > 1e-3 * scale  # the padding would be seen


def test_networks_that_see_the_whole_image_are_not_padded():
    for name, fields in (("scanunet_s", {}), ("wiener_unet", {}), ("resunet_s", {"condition": "mask"})):
        model = models.create.build(name, fields)
        assert not model.can_be_padded
        with pytest.raises(ValueError, match="cannot be padded"):
            model.run_padded({}, np.zeros((8, 8, 1), np.float32), None, np.array([[8, 8]]))


def test_a_bucket_serves_many_sizes_and_old_programs_leave():

    restorer = zoo.load("arcnn-gray-jpeg")
    inference._program.cache_clear()
    image = np.random.default_rng(0).random((20, 30, 1), np.float32)
    for height, width in ((20, 30), (17, 29), (9, 9)):
        restored = inference.restore(restorer, image[:height, :width], bucket=True)
        assert restored.shape == (height, width, 1)
    assert inference._program.cache_info().currsize == 1
    np.testing.assert_allclose(restored, inference.restore(restorer, image[:9, :9]), atol=1e-6)
    assert inference._program.cache_info().currsize == 2
    assert inference._program.cache_info().maxsize == 32


def test_a_series_uses_buckets_after_four_sizes_and_forgets_after_many(monkeypatch):
    calls, cleared = [], []
    monkeypatch.setattr(series, "restore", lambda _, image, condition, *, bucket: calls.append(bucket) or image)
    monkeypatch.setattr(series.jax, "clear_caches", lambda: cleared.append(len(calls)))
    restore_next = series.Series(clear_after=6)
    for side in (*range(1, 11), 1, 2):
        restore_next(zoo.load("arcnn-gray-jpeg"), np.zeros((side, 4, 1), np.float32))
    assert calls == [False] * 4 + [True] * 6 + [False] * 2
    assert cleared == [6]
