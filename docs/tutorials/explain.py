# %% [markdown]
# # Explain a result
#
# Which pixels influenced the output, and how large is its error? Neither needs the clean image.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import restorax
from restorax import degrade, explanation
from restorax.data import sample_images

clean = jnp.asarray(sample_images(1)["camera"][:96, 96:192])
noisy = degrade.gaussian_noise(jax.random.key(0), clean, sigma=25 / 255)
restorer = restorax.load("dncnn-gray-noise25")
restored = restorax.restore(restorer, noisy)

# %% [markdown]
# The effective receptive field of one output pixel, and the radius within which 90 % of the influence lies:

# %%
influence = explanation.effective_receptive_field(restorer, noisy, at=(48, 48))
print(explanation.reach(influence, at=(48, 48), share=0.9), "pixels")

# %% [markdown]
# Disagreement over the eight flips and rotations ranks pixels by their likely error. Stein's estimate is the mean
# squared error of a denoiser without the clean image, for Gaussian noise of a known level.

# %%
doubt = explanation.disagreement(restorer, noisy)
estimate = float(explanation.sure(jax.random.key(1), restorer, noisy, sigma=25 / 255))
error = float(jnp.mean((restorer(noisy) - clean) ** 2))
print(f"estimated {-10 * np.log10(estimate):.2f} dB, true {-10 * np.log10(error):.2f} dB")

images = {"noisy": noisy, "restored": restored, "influence": influence**0.25, "disagreement": doubt}
figure, axes = plt.subplots(1, len(images), figsize=(14, 4))
for axis, (title, one) in zip(axes, images.items(), strict=True):
    axis.imshow(np.squeeze(one), cmap="gray")
    axis.set_title(title)
    axis.axis("off")
