"""Tuned convolutions compared with plain XLA, forward and backward: ``python -m benchmarks conv``."""

import argparse
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from restorax.layers.conv import conv_bias_act
from restorax.models import MODELS

from .options import PUBLISH
from .record import record, table
from .timing import Timing, interleaved

SHAPES = ((8, 48, 48, 64), (8, 48, 48, 48), (8, 24, 24, 96), (8, 12, 12, 192))

FORMS = ("plain", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smoke test: small images, few rounds, nothing recorded")
    parser.add_argument("--publish", action="store_true", help=PUBLISH)
    options = parser.parse_args()
    rounds = 3 if options.quick else 20
    rows = []
    for shape in ((1, 12, 12, 8),) if options.quick else SHAPES:
        channels = shape[-1]
        arguments = [
            (
                jax.random.normal(jax.random.key(i), shape),
                0.1 * jnp.ones((3, 3, channels, channels)),
                jnp.zeros(channels),
            )
            for i in range(3)
        ]
        times = interleaved([_traced_as(form, _gradients) for form in FORMS], arguments, rounds=rounds)
        rows.append(_row("3x3", shape, *times))
    model = MODELS["resunet_s"]()
    size = (1, 32, 32, 1) if options.quick else (8, 96, 96, 1)
    patches = [(jax.random.uniform(jax.random.key(i), size),) for i in range(3)]
    params = model.init(jax.random.key(0), *patches[0])
    whole = [_traced_as(form, lambda x: jax.grad(lambda p: (model.apply(p, x) ** 2).mean())(params)) for form in FORMS]
    rows.append(_row("resunet_s", size, *interleaved(whole, patches, rounds=rounds)))
    print(table(rows))
    if not options.quick:
        record("conv", rows, publish=options.publish)


def _row(what: str, shape: tuple[int, ...], plain: Timing, tuned: Timing) -> dict[str, Any]:
    times = {f"{form}_{k}": v for form, t in (("plain", plain), ("tuned", tuned)) for k, v in t.columns().items()}
    return {"what": what, "input": "x".join(map(str, shape)), **times, "plain / tuned": plain.median / tuned.median}


def _traced_as(form: str, function: Callable) -> Callable:
    """Compile a function with one implementation of the convolutions."""

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
