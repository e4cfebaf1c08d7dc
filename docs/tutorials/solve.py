# %% [markdown]
# # Undo a known degradation
#
# Where the degradation is a known linear operator with noise, no trained network is needed: a denoiser of the zoo is
# the prior. Here the motion of the camera is known.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import restorax
from restorax import degrade, metrics
from restorax.data import sample_images

clean = jnp.asarray(sample_images(1)["camera"][:144, 96:240])
blur = degrade.parse("motion_blur(length=11, angle=30) + gaussian_noise(sigma=2.55/255)")
observed, inner = blur.observe(jax.random.key(0), clean)
restored = restorax.solve(blur, observed.image)
print([round(float(metrics.psnr(one, inner)), 2) for one in (observed.image, restored)], "dB")


def show(**images):
    _, axes = plt.subplots(1, len(images), figsize=(4 * len(images), 4))
    for axis, (title, image) in zip(axes, images.items(), strict=True):
        axis.imshow(np.squeeze(image).clip(0, 1), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
        axis.axis("off")


show(observed=observed.image, restored=restored, clean=inner)

# %% [markdown]
# The operator may be any linear JAX function. This sensor sees the sum of each 2 x 2 block through three random masks:

# %%
masks = jax.random.bernoulli(jax.random.key(1), 0.5, (3, *clean.shape)).astype(jnp.float32)


def expose(image):
    blocks = (masks * image).reshape(3, 72, 2, 72, 2)
    return blocks.mean((2, 4))


exposures = expose(clean) + 0.005 * jax.random.normal(jax.random.key(2), (3, 72, 72))
decoded = restorax.solve(expose, exposures, noise=0.005, shape=clean.shape)
show(exposure=exposures[0], decoded=decoded, clean=clean)
print(round(float(metrics.psnr(decoded, clean)), 2), "dB")

# %% [markdown]
# [Known degradations](../solve.md) has the equations, the methods and their limits.
