# %% [markdown]
# # Use a restorer inside a model
#
# A restorer is a function for `jit`, `vmap`, `grad`, `jvp` and `scan`, and a pytree whose leaves are its parameters.

# %%
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import restorax
from restorax.data import sample_images

restorer = restorax.load("dncnn-gray-noise25")
image = jnp.asarray(sample_images(1)["camera"][:48, :48])

batch = jnp.stack([image, image[::-1]])
print(jax.jit(restorer)(batch).shape, jax.vmap(restorer)(batch).shape)

# %% [markdown]
# Gradients flow to the image, as plug-and-play methods need, and to the parameters, as fine-tuning needs.

# %%
print(jax.grad(lambda x: jnp.sum((x - restorer(x)) ** 2))(image).shape)


@jax.jit
def step(restorer, state, noisy, clean):
    loss, gradient = jax.value_and_grad(lambda r: jnp.mean((r(noisy) - clean) ** 2))(restorer)
    updates, state = optimiser.update(gradient, state)
    return optax.apply_updates(restorer, updates), state, loss


optimiser = optax.adam(1e-4)
noisy = image + 0.1 * jax.random.normal(jax.random.key(0), image.shape)
tuned, state = restorer, optimiser.init(restorer)
for _ in range(3):
    tuned, state, loss = step(tuned, state, noisy, image)
    print(float(loss))

# %% [markdown]
# In a Flax NNX program, `ToNNX` wraps the network as a module with its parameters:

# %%
module = nnx.bridge.ToNNX(restorer.model, rngs=nnx.Rngs(0)).lazy_init(image)
nnx.update(module, nnx.State(jax.tree.map(nnx.Param, dict(restorer.params))))
print(module(image).shape)
