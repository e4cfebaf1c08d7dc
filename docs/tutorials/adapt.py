# %% [markdown]
# # Adapt an entry to your own images
#
# Noisy images are enough: the network learns from noise added to them, and Stein's estimate of the error in held-out
# corners decides whether the result is better than the entry. Photon noise stands in for a microscope here.

# %%
import jax
import jax.numpy as jnp

import restorax
from restorax import degrade, metrics
from restorax.data import sample_images

clean = [jnp.asarray(image[:160, :160]) for image in sample_images(1).values()]
noisy = [degrade.shot_noise(jax.random.key(number), image, peak=30) for number, image in enumerate(clean)]
entry = restorax.load("dncnn-gray-noise25")

# %% [markdown]
# Twenty steps show the call; `restorax adapt ENTRY NOISY... --out DIR` takes about three minutes on two CPU cores.

# %%
adapted = restorax.adapt(entry, noisy, steps=20)
print(adapted.reason)

# %% [markdown]
# With ground truth, which you would not have:

# %%
for restorer in (entry, adapted.restorer):
    values = [float(metrics.psnr(restorax.restore(restorer, x), y)) for x, y in zip(noisy, clean, strict=True)]
    print(f"{sum(values) / len(values):.2f} dB")

# %% [markdown]
# Pairs and bursts are read too, and their results are better: [your own images](../own_pictures.md).
