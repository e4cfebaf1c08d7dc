# %% [markdown]
# # Train on several devices
#
# All devices of a host, and all hosts of a TPU pod or a SLURM job, are used without further code: run the same
# command on each host. This tutorial simulates eight devices on a CPU.

# %%
import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import tempfile
from pathlib import Path

import jax
import numpy as np

from restorax import data
from restorax.files import image
from restorax.recipe import Recipe, Stage
from restorax.train.loop import train
from restorax.train.options import Options

print(jax.devices())

# %% [markdown]
# `batch` is the batch of all devices together. With `shards`, groups of devices share one copy of the parameters and
# of the optimiser state.

# %%
recipe = Recipe(
    architecture="dncnn",
    config={"channels": 1, "depth": 3, "width": 8, "residual": True},
    stages=(Stage(steps=4, degradation="gaussian_noise(sigma=25/255)", batch=16, patch=24),),
    evaluation=("gaussian_noise(sigma=25/255)",),
)
folder = Path(tempfile.mkdtemp())
(folder / "photos").mkdir()
photograph = data.sample_images(1)["camera"]
image.write(folder / "photos" / "camera.png", image.Picture(photograph))
options = Options(data=str(folder / "photos"), workdir=str(folder / "run"), shards=2)
train("on-eight-devices", recipe, options, {"camera": np.asarray(photograph[:48, :48])})

# %% [markdown]
# On a pod, store images and checkpoints in a bucket:
#
# ```sh
# restorax train NAME --data tfds:SET --data-dir gs://BUCKET/tfds --workdir gs://BUCKET/NAME --batch 256
# ```
#
# A training that is stopped exits with 75 and resumes with bit-identical results. [Training](../training.md) has the
# details.
