"""Validation of a training: on clean images that are degraded, on pairs, or on noisy images alone."""

import os
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..data import sample_images, test_images
from ..degrade import parse
from ..evaluation import compile_degradation, evaluate, evaluate_pairs
from ..recipe import Recipe, middle
from ..sources import parse_location, read_held_out
from ..types import Array, Params
from .report import Sample
from .self_supervised import parse_self_supervised

_SHOWN = 4  # images in the report
_SIDE = 128  # of the crops of noisy images that are measured


class CleanValidation:
    """Clean images, degraded by the evaluation of the recipe.

    Attributes:
        images: ``[height, width, channels]`` in [0, 1] by name.
    """

    title = "clean images"

    def __init__(self, images: Mapping[str, np.ndarray]):
        self.images = images

    def shown(self, recipe: Recipe) -> str:
        """Return the degradation of :meth:`samples`."""
        return middle(recipe.evaluation)

    def check(self, recipe: Recipe, channels: int) -> None:
        """Check what would fail at the first validation.

        Raises:
            ValueError: if there are no images or degradations, or one does not fit the other.
        """
        if not recipe.evaluation:
            raise ValueError("`evaluation` must have at least one degradation, got none")
        border = max(parse(degradation).border for degradation in recipe.evaluation)
        _check_images(self.images, channels, 11 + 2 * border)  # the window of SSIM
        key, first = jax.random.key(0), next(iter(self.images.values()))
        for degradation in recipe.evaluation:
            jax.eval_shape(compile_degradation(degradation), key, first)

    def measure(self, run: Callable, recipe: Recipe) -> tuple[dict[str, float], dict[str, float]]:
        """Return the mean PSNR of restored and of degraded images, by degradation."""
        results = [evaluate(run, self.images, d, dataset="validation") for d in recipe.evaluation]
        return {r.degradation: r.psnr for r in results}, {r.degradation: r.input_psnr for r in results}

    def samples(self, restore: Callable, params: Params, recipe: Recipe) -> dict[str, Sample]:
        """Degrade and restore the first few images under the middle evaluation; of several frames, show the last."""
        degrade = compile_degradation(middle(recipe.evaluation))
        out = {}
        for number, name in enumerate(sorted(self.images)[:_SHOWN]):
            observed, clean = degrade(jax.random.fold_in(jax.random.key(0), number), jnp.asarray(self.images[name]))
            degraded, clean = np.asarray(observed.image), np.asarray(clean)
            restored = np.asarray(restore(params, *observed))
            out[name] = Sample(*(x if x.ndim == 3 else x[-1] for x in (degraded, restored, clean)))
        return out


class _OwnValidation:
    """Images that are restored as they are, without a degradation."""

    title: str

    def __init__(self, images: Mapping[str, np.ndarray]):
        self.images = images

    def shown(self, recipe: Recipe) -> str:
        """Return the title of :meth:`samples`."""
        return self.title

    def samples(self, restore: Callable, params: Params, recipe: Recipe) -> dict[str, Sample]:
        """Restore the first few images."""
        chosen = {name: self._split(self.images[name]) for name in sorted(self.images)[:_SHOWN]}
        return {name: Sample(a, np.asarray(restore(params, a, None)), b) for name, (a, b) in chosen.items()}

    def _split(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the degraded image, and the clean one if there is one."""
        return pixels, None


class PairValidation(_OwnValidation):
    """Pairs of degraded and clean images.

    Attributes:
        images: both, concatenated along the channels, ``[height, width, 2 * channels]`` by name.
    """

    title = "pairs"

    def check(self, recipe: Recipe, channels: int) -> None:
        """Check what would fail at the first validation.

        Raises:
            ValueError: if there are no images, or one is too small.
        """
        _check_images(self.images, 2 * channels, 11)

    def measure(self, run: Callable, recipe: Recipe) -> tuple[dict[str, float], dict[str, float]]:
        """Return the mean PSNR of restored and of degraded images."""
        pairs = [self._split(self.images[name]) for name in sorted(self.images)]
        result = evaluate_pairs(lambda image, _: run(image, None), pairs, dataset="validation")
        return {self.title: result.psnr}, {self.title: result.input_psnr}

    def _split(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        degraded, clean = np.split(pixels, 2, axis=-1)
        return degraded, clean


class NoisyValidation(_OwnValidation):
    """Noisy images, measured by the loss of the last stage with fixed random keys.

    Attributes:
        images: ``[height, width, channels]`` by name.
    """

    title = "noisy images, by the loss"

    def check(self, recipe: Recipe, channels: int) -> None:
        """Check what would fail at the first validation.

        Raises:
            ValueError: if there are no images, one is too small, or the loss needs clean images.
        """
        _check_images(self.images, channels, 11)
        if parse_self_supervised(recipe.stages[-1].loss) is None:
            raise ValueError(f"loss {recipe.stages[-1].loss!r} needs clean images; give some by --validate")

    def measure(self, run: Callable, recipe: Recipe) -> tuple[dict[str, float], dict[str, float]]:
        """Return ``-10 log10`` of the loss of central crops, for the network and for leaving the images alone."""
        loss = parse_self_supervised(recipe.stages[-1].loss)
        assert loss is not None  # checked
        batches = [_crop(self.images[name])[None] for name in sorted(self.images)]

        def mean(restore: Callable[[Array], Array]) -> float:
            keys = jax.random.split(jax.random.key(0), len(batches))
            losses = [
                loss(restore, k[None], jnp.asarray(b), jnp.asarray(b)) for k, b in zip(keys, batches, strict=True)
            ]
            return round(float(-10 * np.log10(max(np.mean(losses), 1e-10))), 4)

        return {self.title: mean(lambda image: run(image, None))}, {self.title: mean(lambda image: image)}


ValidationSet = CleanValidation | PairValidation | NoisyValidation


def validation_of(
    text: str | None, data: Sequence[str | os.PathLike], channels: int, value_range: tuple[float, float] | None
) -> ValidationSet:
    """Read the validation images of a training.

    Args:
        text: folder of clean images, ``pairs:DIR`` or ``frames:DIR``; by default images held out of the training data,
            and those of scikit-image for clean data.
        data: training data, as for :func:`restorax.sources.parse_location`.
        channels: 1 (luma) or 3 (RGB).
        value_range: as in :func:`restorax.files.image.read`.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there are no usable images.
    """
    if text is not None:
        if parse_location(text).kind == "clean":
            return CleanValidation(test_images(text, channels))
        chosen, every = text, True
    else:
        own = [one for one in data if parse_location(one).kind != "clean"]
        if not own:
            return CleanValidation(sample_images(channels))
        chosen, every = own[0], False
    images = read_held_out(chosen, channels, value_range, every=every)
    return NoisyValidation(images) if parse_location(chosen).kind == "noisy" else PairValidation(images)


def _check_images(images: Mapping[str, np.ndarray], channels: int, least: int) -> None:
    if not images:
        raise ValueError("`validation` must have at least one image, got none")
    for name, pixels in images.items():
        if pixels.ndim != 3 or pixels.shape[2] != channels or min(pixels.shape[:2]) < least:
            accepted = f"[height, width, {channels}] with sides of at least {least} pixels"
            raise ValueError(f"validation image {name} must have shape {accepted}, got {pixels.shape}")


def _crop(pixels: np.ndarray) -> np.ndarray:
    top, left = ((side - min(side, _SIDE)) // 2 for side in pixels.shape[:2])
    return pixels[top : top + _SIDE, left : left + _SIDE]
