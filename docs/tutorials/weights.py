# %% [markdown]
# # Bring PyTorch weights
#
# Weights of KAIR, NAFNet, MIMO-UNet and MatConvNet become entries. Here a file with the names of KAIR's DnCNN stands
# in for a download; its numbers are random.

# %%
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

import restorax
from restorax.convert import CONVERTERS, convert

print(sorted(CONVERTERS))

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
weights, inputs = {}, 1
for layer in range(5):
    outputs = 1 if layer == 4 else 8
    weights[f"model.{2 * layer}.weight"] = rng.normal(size=(outputs, inputs, 3, 3), scale=0.1).astype(np.float32)
    weights[f"model.{2 * layer}.bias"] = np.zeros(outputs, np.float32)
    inputs = outputs
safetensors.numpy.save_file(weights, folder / "weights.safetensors")

# %% [markdown]
# Depth and width are read from the weights. The entry is a folder with parameters and a model card; state the licence
# of the weights, because it goes with them.

# %%
card = convert(folder / "weights.safetensors", "dncnn", folder / "my-dncnn", licence="MIT")
print(card.architecture, card.config, f"{card.parameters:,} parameters")

restorer = restorax.load(folder / "my-dncnn")
print(restorax.restore(restorer, jnp.full((32, 32, 1), 0.5)).shape)

# %% [markdown]
# The same on the command line, also for `.pth` (with `pip install ".[convert]"`) and `.mat`:
#
# ```sh
# restorax convert weights.pth --as dncnn --out my-dncnn --licence MIT
# restorax restore in.png out.png --model my-dncnn
# ```
