# %% [markdown]
# # Degrade and train
#
# Degradations are pure functions of a key and an image. They are written as text, and strengths may be drawn per
# image.

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from restorax import data
from restorax.degrade import parse
from restorax.files import image
from restorax.recipe import Recipe, Stage
from restorax.train.loop import train
from restorax.train.options import Options

blur = parse("gaussian_blur(sigma=uniform(0.4, 2), radius=8) + gaussian_noise(sigma=uniform(0, 10/255))")
clean = jnp.asarray(data.sample_images(3)["astronaut"][:128, 128:256])
batch = jnp.broadcast_to(clean, (4, *clean.shape))
degraded = jax.jit(blur)(jax.random.key(0), batch).image

figure, axes = plt.subplots(1, 4, figsize=(12, 3))
for axis, one in zip(axes, degraded, strict=True):
    axis.imshow(np.clip(one, 0, 1))
    axis.axis("off")

# %% [markdown]
# A recipe states everything except the images. This one is far too short to learn much; `restorax.recipes.RECIPES`
# has those of the published entries.

# %%
recipe = Recipe(
    architecture="dncnn",
    config={"channels": 3, "depth": 5, "width": 16, "residual": True},
    stages=(Stage(steps=20, degradation=str(blur), batch=4, patch=32),),
    evaluation=("gaussian_blur(sigma=1.6)",),
)
folder = Path(tempfile.mkdtemp())
(folder / "photos").mkdir()
for name, photograph in data.sample_images(3).items():
    image.write(folder / "photos" / f"{name}.png", image.Picture(photograph))

# %% [markdown]
# Degradation, network, loss and update are one compiled step. The result is an entry of the zoo, with its card.

# %%
options = Options(data=str(folder / "photos"), workdir=str(folder / "run"))
validation = {"astronaut": np.asarray(clean)}
train("my-restorer", recipe, options, validation)
print(sorted(path.name for path in (folder / "run" / "my-restorer").iterdir()))
