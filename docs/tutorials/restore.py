# %% [markdown]
# # Restore an image
#
# An image is an array `[height, width, channel]` in [0, 1]. Take a photograph and damage it.

# %%
import jax
import matplotlib.pyplot as plt

import restorax
from restorax import degrade, metrics
from restorax.data import sample_images


def show(**images):
    figure, axes = plt.subplots(1, len(images), figsize=(4 * len(images), 4))
    for axis, (title, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image.clip(0, 1))
        axis.set_title(title)
        axis.axis("off")
    figure.tight_layout()


clean = jax.numpy.asarray(sample_images(3)["astronaut"][:192, 96:288])
noisy = degrade.gaussian_noise(jax.random.key(0), clean, sigma=25 / 255)

# %% [markdown]
# `diagnose` finds what is wrong, and `choose` ranks the entries by the gain that measurements promise.

# %%
found = restorax.diagnose(noisy)
print(found.describe())
for choice in restorax.choose(found)[:3]:
    print(f"{choice}: {choice.gain:+.1f} dB expected")

# %% [markdown]
# `restore` without a restorer applies the best choice and leaves alone what no entry is known to help. With a
# restorer, it applies that one.

# %%
restored = restorax.restore(noisy)
named = restorax.restore(restorax.load("resunet_s-color-noise"), noisy)
show(noisy=noisy, chosen=restored, named=named)
print([round(float(metrics.psnr(one, clean)), 2) for one in (noisy, restored, named)], "dB")

# %% [markdown]
# A clean image comes back as it was:

# %%
print(bool((restorax.restore(clean) == clean).all()))

# %% [markdown]
# Missing pixels need a mask, `True` where pixels are known. Degradations return it as their condition.

# %%
holes, mask = degrade.missing_strokes(jax.random.key(1), clean, thickness=0.4)
filled = restorax.restore(restorax.load("unet-color-missing"), holes, mask)
show(holes=holes, filled=filled, clean=clean)
