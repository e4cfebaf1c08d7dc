"""The tuned forms of convolution against plain XLA: ``python -m benchmarks.conv``."""

import os

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from restorax.layers.conv import conv_bias_act

from .timing import interleaved

SHAPES = ((8, 96, 96, 64), (8, 48, 48, 48), (8, 24, 24, 96), (8, 12, 12, 192))


def main() -> None:
    table = Table("shape", "plain forward + backward", "tuned", "plain / tuned", title=f"3x3, {jax.devices()[0]}")
    for shape in SHAPES:
        channels = shape[-1]
        arguments = [
            (
                jax.random.normal(jax.random.key(i), shape),
                0.1 * jnp.ones((3, 3, channels, channels)),
                jnp.zeros(channels),
            )
            for i in range(3)
        ]
        plain, tuned = interleaved([_step("plain"), _step("")], arguments)
        row = (f"{1e3 * plain.median:.1f} ms", f"{1e3 * tuned.median:.1f} ms", f"{plain.median / tuned.median:.2f}")
        table.add_row(" x ".join(map(str, shape)), *row)
    Console().print(table)


def _step(form: str):
    def loss(x, kernel, bias):
        before = os.environ.get("RESTORAX_CONV")
        os.environ["RESTORAX_CONV"] = form  # read while tracing
        try:
            return (conv_bias_act(x, kernel, bias, relu=True) ** 2).sum()
        finally:
            os.environ.pop("RESTORAX_CONV") if before is None else os.environ.update(RESTORAX_CONV=before)

    return jax.jit(jax.grad(loss, (0, 1, 2)))


if __name__ == "__main__":
    main()
