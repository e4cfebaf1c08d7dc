"""The tuned forms of convolution against plain XLA: ``python -m benchmarks.conv``."""

import argparse
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from restorax.layers.conv import conv_bias_act
from restorax.models import MODELS

from .timing import interleaved

SHAPES = ((8, 48, 48, 64), (8, 48, 48, 48), (8, 24, 24, 96), (8, 12, 12, 192))

FORMS = ("plain", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small images and few rounds, to see that it works")
    quick = parser.parse_args().quick
    rounds = 3 if quick else 20
    table = Table("shape", "plain forward + backward", "tuned", "plain / tuned", title=f"3x3, {jax.devices()[0]}")
    for shape in ((1, 12, 12, 8),) if quick else SHAPES:
        channels = shape[-1]
        arguments = [
            (
                jax.random.normal(jax.random.key(i), shape),
                0.1 * jnp.ones((3, 3, channels, channels)),
                jnp.zeros(channels),
            )
            for i in range(3)
        ]
        plain, tuned = interleaved([_traced_as(form, _gradients) for form in FORMS], arguments, rounds=rounds)
        row = (f"{1e3 * plain.median:.1f} ms", f"{1e3 * tuned.median:.1f} ms", f"{plain.median / tuned.median:.2f}")
        table.add_row(" x ".join(map(str, shape)), *row)
    model = MODELS["resunet_s"]()
    size = (1, 32, 32, 1) if quick else (8, 96, 96, 1)
    patches = [(jax.random.uniform(jax.random.key(i), size),) for i in range(3)]
    params = model.init(jax.random.key(0), *patches[0])
    whole = [_traced_as(form, lambda x: jax.grad(lambda p: (model.apply(p, x) ** 2).mean())(params)) for form in FORMS]
    plain, tuned = interleaved(whole, patches, rounds=rounds)
    row = (f"{1e3 * plain.median:.0f} ms", f"{1e3 * tuned.median:.0f} ms", f"{plain.median / tuned.median:.2f}")
    table.add_row(f"resunet_s, {' x '.join(map(str, size[:3]))}", *row)
    Console().print(table)


def _traced_as(form: str, function: Callable) -> Callable:
    """Compile a function with one form of the convolutions."""

    def traced(*arguments):
        before = os.environ.get("RESTORAX_CONV", "")
        os.environ["RESTORAX_CONV"] = form  # read while tracing
        try:
            return function(*arguments)
        finally:
            os.environ["RESTORAX_CONV"] = before

    return jax.jit(traced)


def _gradients(x, kernel, bias):
    return jax.grad(lambda *a: (conv_bias_act(*a, relu=True) ** 2).sum(), (0, 1, 2))(x, kernel, bias)


if __name__ == "__main__":
    main()
