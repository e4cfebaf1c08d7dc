"""Noise2Void of careamics, as a peer of :func:`restorax.adapt`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from careamics import CAREamist
from careamics.config import create_advanced_n2v_config

from . import peer  # noqa: F401  sets the number of threads

_PATCH, _BATCH = 64, 16  # as in the package's examples
_MULTIPLE = 4  # of the sides of an image that its network takes


def noise2void(images: Sequence[np.ndarray], seconds: float) -> tuple[list[np.ndarray], int]:
    """Train a network on gray images with the package's default settings, and restore them.

    Args:
        images: noisy, ``[height, width, 1]``.
        seconds: wall-clock time of the training.

    Returns:
        The restored images and the number of optimiser steps.
    """
    smallest = min(length for image in images for length in image.shape[:2])
    patch = _PATCH if smallest >= 2 * _PATCH else _PATCH // 2
    options: dict[str, Any] = {"num_epochs": 10**6, "num_workers": 0, "seed": 1}  # the time ends it
    options["n_val_patches"] = min(8, len(images))
    options["trainer_params"] = {"max_time": {"seconds": seconds}, "accelerator": "auto"}
    config = create_advanced_n2v_config("noise2void", "array", "YX", (patch, patch), _BATCH, **options)
    flat = [np.asarray(image[..., 0], np.float32) for image in images]
    with tempfile.TemporaryDirectory() as folder:
        learner = CAREamist(config, work_dir=folder, enable_progress_bar=False)
        learner.train(train_data=flat)
        last = Path(folder) / "last.ckpt"  # careamics itself keeps only every tenth epoch
        learner.trainer.save_checkpoint(last)
        steps = learner.trainer.global_step
        restored = []
        for one in flat:
            height, width = one.shape
            whole = np.pad(one, ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE)), mode="reflect")
            (out,), _ = learner.predict(whole, batch_size=1, checkpoint=last)
            restored.append(out.reshape(*whole.shape, 1)[:height, :width])
    return restored, steps
