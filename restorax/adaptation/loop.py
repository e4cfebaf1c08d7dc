"""Fine-tune a restorer on one's own images, and decide whether it became better."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..recipe import Recipe, Stage
from ..train.step import TrainState, make_step, optimizer, training_keys
from ..types import Array, Params
from ..zoo import Restorer, gray_twin
from .judges import Judge, corner, corner_judge, pair_judge
from .noise_model import NoiseModel, measure_noise

_PATCH, _LEAST = 96, 64
_NOISY_STEPS = 100
_PATIENCE = 5  # measurements without improvement that end the training
_SURE = 2.0  # standard errors by which the held-out error must fall, and that of no image may rise
# Shares of the way to the trained parameters, with the standard errors by which the held-out error must be the lowest:
# at the end of the way some images are worse than at its middle, by less than the held-out pixels show.
_SHARES = {0.5: 0.0, 1.0: _SURE, 0.25: 0.0}


class Adaptation(NamedTuple):
    """Result of :func:`adapt`.

    Attributes:
        restorer: the adapted restorer, or the one to start from if that is no worse; its card is still that of the
            latter, until :func:`restorax.adaptation.save_adaptation` writes an entry.
        improved: whether it was adapted.
        before: mean squared error on held-out pixels or images before the training.
        after: that of ``restorer``. Without ground truth, both include the variance of the noise.
        steps: optimiser steps of the parameters.
        seconds: wall-clock time.
        stage: stage of a recipe that was run.
        reason: why it was adapted, or not, in a sentence.
    """

    restorer: Restorer
    improved: bool
    before: float
    after: float
    steps: int
    seconds: float
    stage: Stage
    reason: str


def adapt(
    restorer: Restorer,
    images: Sequence[Array | np.ndarray],
    targets: Sequence[Array | np.ndarray] | None = None,
    *,
    seconds: float = 170.0,
    steps: int | None = None,
    learning_rate: float = 1e-4,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> Adaptation:
    """Fine-tune a restorer on images, and keep it as it was if that is no better on what was held out of the training.

    Of noisy images alone, the noise is measured first: its level by intensity, and lines. The network then learns from
    recorrupted images, and Stein's estimate measures it in the corners of the images, which are held out of the
    training; the difference to neighbouring pixels, which does not depend on the noise model, must not rise there.
    Parameters between those before and after the training are measured, too, and the best of which no image is worse
    are kept.
    Noise that is correlated otherwise, or has outliers, is not learned, and areas where it is clipped are not measured.
    Of pairs, every fourth is held out, or the right quarter of each if there are fewer than four.

    Args:
        restorer: from :func:`restorax.load`; it restores single images without a condition.
        images: degraded images ``[height, width, channels]``, float32 in [0, 1], which noise may exceed.
        targets: their clean counterparts, or second shots of the scenes with noise of their own; ``None`` if there are
            none.
        seconds: wall-clock time after which the training ends at the latest, compilation included.
        steps: optimiser steps after which it ends instead, for a repeatable result. Otherwise, a training on noisy
            images alone ends after 100: the longer it is, the more the errors of the noise model count.
        learning_rate: of the training.
        seed: random seed.
        progress: called with the fraction done and the change of the held-out error in percent. Ctrl-C ends the
            training, and the best parameters so far count.

    Returns:
        The restorer, with what was measured.

    Raises:
        ValueError: if the restorer takes bursts or a condition, an image is smaller than 64 x 64 or does not fit the
            restorer, images and targets differ in number or size, or noisy images alone show no noise that can be
            learned.

    Reference:
        Pang et al., Recorrupted-to-Recorrupted, CVPR 2021 (training); Ramani et al., Monte-Carlo SURE, IEEE TIP 2008
        (measuring); Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022 (averaging parameters); for
        second shots, Lehtinen et al., Noise2Noise, ICML 2018.

    Example:
        >>> import restorax
        >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64, 1)).astype(np.float32)
        >>> adapt(restorax.load("dncnn-gray-noise25"), [noisy], steps=1).steps <= 1
        True
    """
    start, degraded = time.monotonic(), [np.asarray(image, np.float32) for image in images]
    clean = None if targets is None else [np.asarray(target, np.float32) for target in targets]
    _check(restorer, degraded, clean)
    noise = measure_noise(degraded) if clean is None else None
    if noise is not None and noise.obstacle:
        raise ValueError(f"{noise.obstacle}; give pairs of degraded and clean images, or two shots of each scene")
    patch = min(_PATCH, *(length // 2 // 16 * 16 for image in degraded for length in image.shape[:2]))
    stage = _stage(noise, patch, learning_rate, steps)
    recipe = _recipe(restorer, stage, seed)
    train, judge = _split(recipe, degraded, clean, noise)
    step = jax.jit(make_step(recipe, stage), donate_argnums=0)
    params = jax.tree.map(jnp.array, restorer.params)
    state = TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), optimizer(recipe).init(params))
    before = best = judge.measure(restorer.params)
    chosen, chosen_steps, key = restorer.params, 0, training_keys(recipe)[1]
    stale, measured_at, interval = 0, time.monotonic(), 0.0
    try:
        for done, patches in enumerate(_batches(train, stage, seed, corners=clean is None), 1):
            state, metrics = step(state, patches, key)
            metrics["loss"].block_until_ready()
            elapsed, now = time.monotonic() - start, time.monotonic()
            last = done == stage.steps or (not steps and elapsed + interval >= seconds)
            if last or (done % 25 == 0 and (steps or now - measured_at >= 10 * interval)):
                stale += 1
                for share, margin in _SHARES.items():
                    params = jax.tree.map(lambda a, b, share=share: a + share * (b - a), restorer.params, state.ema)
                    errors = judge.measure(params)
                    if _falls(errors, best, margin) and not _harms(errors, before, judge.owners):
                        best, chosen, chosen_steps, stale = errors, params, done, 0
                interval, measured_at = time.monotonic() - now, time.monotonic()
                if progress:
                    shares = done / stage.steps, 0.0 if steps else min(elapsed / seconds, 1.0)
                    progress(max(shares), _change(before, best))
            if last or stale >= _PATIENCE:
                break
    except KeyboardInterrupt:
        pass
    return _result(restorer, stage, before, best, chosen, chosen_steps, time.monotonic() - start)


def _result(
    restorer: Restorer,
    stage: Stage,
    before: np.ndarray,
    best: np.ndarray,
    params: Params,
    steps: int,
    seconds: float,
) -> Adaptation:
    """Decide by the differences of all crops whether the error fell by more than chance."""
    if stage.source == "pairs":  # at a constant learning rate
        stage = dataclasses.replace(stage, steps=max(steps, 1))
    start_error = float(before[:, 0].mean())
    if not _falls(best, before, _SURE):
        reason = "kept as it was: training on these images did not lower the error on what was held out"
        return Adaptation(restorer, False, start_error, start_error, 0, seconds, stage, reason)
    reason = f"the error on what was held out changed by {_change(before, best):.2f} %"
    adapted = restorer.replace(params=jax.tree.map(jnp.asarray, params))
    return Adaptation(adapted, True, start_error, float(best[:, 0].mean()), steps, seconds, stage, reason)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    return 100 * float(after[:, 0].mean() / before[:, 0].mean() - 1)


def _falls(after: np.ndarray, before: np.ndarray, margin: float) -> bool:
    """Return whether the mean error is lower by more than ``margin`` standard errors."""
    difference = (after - before)[:, 0]
    return bool(difference.mean() < -margin * difference.std() / max(len(difference) - 1, 1) ** 0.5)


def _harms(after: np.ndarray, before: np.ndarray, owners: np.ndarray) -> bool:
    """Return whether a measure without the noise model rose, or the error of one image by more than chance."""
    if (after[:, 1:].mean(0) > before[:, 1:].mean(0)).any():
        return True
    difference = (after - before)[:, 0]
    for image in np.unique(owners):
        own = difference[owners == image]
        standard_error = own.std() / (len(own) - 1) ** 0.5 if len(own) > 1 else difference.std()
        if own.mean() > _SURE * standard_error:
            return True
    return False


def _stage(noise: NoiseModel | None, patch: int, learning_rate: float, steps: int | None = None) -> Stage:
    source, loss = ("pairs", "mse") if noise is None else ("noisy", f"recorrupted({noise.settings()})")
    # With pairs, the learning rate is constant after the warm-up, whatever the time.
    steps = steps or (100_000 if noise is None else _NOISY_STEPS)
    return Stage(
        **{"steps": steps, "degradation": "identity()", "source": source, "loss": loss, "batch": 4, "patch": patch},
        **{"learning_rate": learning_rate, "warmup": 20},
    )


def _recipe(restorer: Restorer, stage: Stage, seed: int) -> Recipe:
    card = restorer.card
    return Recipe(
        architecture=card.architecture,
        config=card.config,
        evaluation=tuple(card.evaluation),
        stages=(stage,),
        start=card.name,
        weight_decay=0.0,
        ema=0.98,
        seed=seed,
    )


def _check(restorer: Restorer, images: Sequence[np.ndarray], targets: Sequence[np.ndarray] | None) -> None:
    name, model = restorer.card.name, restorer.model
    if model.takes_frames or model.required_condition.channels:
        what = "bursts" if model.takes_frames else f"a condition ({model.required_condition.description})"
        raise ValueError(f"{name} takes {what}; adapt a restorer of single images without a condition")
    if not images:
        raise ValueError("`images` must have at least one image, got none")
    if targets is not None and len(targets) != len(images):
        raise ValueError(f"`images` and `targets` must have the same number, got {len(images)} and {len(targets)}")
    if model.channels == 3 and all((image == image[..., :1]).all() for image in images):
        twin = gray_twin(restorer)
        instead = twin.card.name if twin else "a gray restorer"
        raise ValueError(f"the images are gray, but {name} restores colour images; adapt {instead}")
    for number, image in enumerate(images):
        if image.ndim != 3 or image.shape[2] != model.channels or min(image.shape[:2]) < _LEAST:
            accepted = f"[height, width, {model.channels}] with sides of at least {_LEAST} pixels"
            raise ValueError(f"image {number} must have shape {accepted}, got {image.shape}")
        if targets is not None and targets[number].shape != image.shape:
            raise ValueError(
                f"image {number} and its target must have one shape, got {image.shape} and {targets[number].shape}"
            )


def _split(
    recipe: Recipe, images: Sequence[np.ndarray], targets: Sequence[np.ndarray] | None, noise: NoiseModel | None
) -> tuple[list[np.ndarray], Judge]:
    """Return arrays to train on, pairs stacked along the channels, and what measures parameters on the others."""
    if targets is None:
        assert noise is not None  # measured on images without targets
        return list(images), corner_judge(recipe, images, noise)
    pairs = [np.concatenate(both, -1) for both in zip(images, targets, strict=True)]
    if len(pairs) >= 4:
        return [pair for number, pair in enumerate(pairs) if number % 4 != 3], pair_judge(recipe, pairs[3::4])
    cut = [3 * pair.shape[1] // 4 for pair in pairs]
    held_out = [pair[:, at:] for pair, at in zip(pairs, cut, strict=True)]
    return [pair[:, :at] for pair, at in zip(pairs, cut, strict=True)], pair_judge(recipe, held_out)


def _batches(images: Sequence[np.ndarray], stage: Stage, seed: int, *, corners: bool) -> Iterator[np.ndarray]:
    """Yield batches of random crops, turned at random; if ``corners`` are held out, crops do not touch them."""
    side = stage.patch
    weights = np.array([image.shape[0] * image.shape[1] for image in images], float)
    for number in range(stage.steps):
        draw, crops = np.random.default_rng((seed, number)), []
        while len(crops) < stage.batch:
            image = images[draw.choice(len(images), p=weights / weights.sum())]
            top, left = (int(draw.integers(n - side + 1)) for n in image.shape[:2])
            if corners and all(
                place < corner(n) or place + side > n - corner(n)
                for place, n in zip((top, left), image.shape[:2], strict=True)
            ):
                continue
            crop = np.rot90(image[top : top + side, left : left + side], draw.integers(4) if not corners else 0)
            crops.append(crop[:, ::-1] if draw.integers(2) else crop)
        yield np.stack(crops)
