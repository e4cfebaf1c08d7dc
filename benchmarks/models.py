"""Convolutional architectures compared with PyTorch twins with the same weights: ``python -m benchmarks models``.

Times inference of one image and a training step (forward, backward, Adam) on a batch, interleaved. PyTorch runs
channels last, eager and compiled where possible; the faster of the two counts.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from rich.console import Console
from rich.table import Table

import restorax
from restorax.memory import keep_freed_memory
from restorax.models import MODELS

from . import networks, peer, torch_twins
from .options import PUBLISH
from .record import record
from .timing import interleaved


def _has_twin(name: str) -> bool:
    try:
        with torch.device("meta"):
            torch_twins.build(MODELS[name]())
    except ValueError:
        return False
    return True


NAMES = [name for name in MODELS if _has_twin(name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", choices=NAMES, help="architecture, repeatable [all]")
    parser.add_argument("--quick", action="store_true", help="smoke test: small images, few rounds, nothing recorded")
    parser.add_argument("--rounds", type=int, default=15, help="timed calls of each implementation [15]")
    parser.add_argument("--no-compile", action="store_true", help="PyTorch without torch.compile")
    parser.add_argument("--publish", action="store_true", help=PUBLISH)
    options = parser.parse_args()
    side, batch, patch, rounds = (32, 1, 16, 2) if options.quick else (256, 8, 64, options.rounds)
    keep_freed_memory()
    rows = []
    console = Console(width=170)
    for name in options.model or NAMES:
        rows.append(measure(name, side, batch, patch, rounds, compiled=not options.no_compile))
        console.print(_table(rows[-1:]))
        if not options.quick:
            record("models", rows[-1:], publish=options.publish)
    if len(rows) > 1:
        console.print(_table(rows))


def measure(name: str, side: int, batch: int, patch: int, rounds: int, *, compiled: bool) -> dict[str, Any]:
    """Return one row: cost, output difference and times of an architecture and its twin."""
    model = MODELS[name]()
    params, twin = peer.matched(model, restorax.create(name)[1])
    cost = restorax.summary(model, side, side)
    images = [_both(networks.observed(model, 1, side, side, seed)) for seed in range(3)]
    patches = [_both(networks.observed(model, batch, patch, patch, seed)) for seed in range(3)]

    apply = jax.jit(model.apply)
    restorers = peer.restorers(twin, "float32", compiled=compiled)
    ours, theirs = (
        np.asarray(apply({"params": params}, *images[0][0])),
        peer.array(restorers["PyTorch"](*images[0][1])),
    )
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    inference = _times(lambda *x: apply({"params": params}, *x), restorers, images, rounds)
    training = _times(_jax_step(model, params), _torch_steps(twin, compiled), patches, rounds)
    return {
        "model": name,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "receptive_field": cost.receptive_field or "image",
        "difference": f"{difference:.1e}",
        **_columns("inference", inference),
        **_columns("training", training),
        "image": f"1x{side}x{side}",
        "patches": f"{batch}x{patch}x{patch}",
        "threads": torch.get_num_threads(),
    }


def _both(observed: tuple[jax.Array, ...]) -> tuple[tuple, tuple]:
    """Return the inputs as JAX arrays and as PyTorch tensors."""
    return observed, tuple(map(peer.tensor, observed))


def _jax_step(model: Any, params: Any) -> Callable:
    adam = optax.adam(1e-6)
    state = [jax.tree.map(jnp.copy, params), adam.init(params)]

    @jax.jit
    def step(params, moments, *observed):
        def loss(p):
            return jnp.mean((model.apply({"params": p}, *observed) - 0.5) ** 2)

        value, gradients = jax.value_and_grad(loss)(params)
        updates, moments = adam.update(gradients, moments)
        return optax.apply_updates(params, updates), moments, value

    def run(*observed):
        *state[:], value = step(*state, *observed)
        return value, state

    return run


def _torch_steps(twin: torch.nn.Module, compiled: bool) -> dict[str, Callable]:
    adam = torch.optim.Adam(twin.parameters(), lr=1e-6, fused=True)

    def step(network, *observed):
        adam.zero_grad(set_to_none=True)
        loss = (network(*observed) - 0.5).square().mean()
        loss.backward()
        adam.step()
        return loss.item()

    return peer.forms(step, twin, compiled=compiled)


def _times(jax_form: Callable, peers: dict[str, Callable], arguments: list[tuple], rounds: int) -> dict[str, Any]:
    """Return timings by implementation, without those that fail (torch.compile without a compiler)."""
    working = {form: f for form, f in peers.items() if peer.works(form, f, *arguments[0][1])}
    functions = [lambda ours, _: jax_form(*ours), *(lambda _, theirs, f=f: f(*theirs) for f in working.values())]
    names = ["jax", *("torch" if form == "PyTorch" else form for form in working)]
    return dict(zip(names, interleaved(functions, arguments, rounds=rounds), strict=True))


def _columns(what: str, times: dict[str, Any]) -> dict[str, Any]:
    milliseconds = {form: 1e3 * timing.median for form, timing in times.items()}
    best = min(value for form, value in milliseconds.items() if form != "jax")
    spread = {form: 1e3 * (timing.p90 - timing.p10) for form, timing in times.items()}
    columns = {
        f"{what}_{form}_ms": f"{milliseconds.get(form, float('nan')):.2f}" for form in ("jax", "torch", "torch.compile")
    }
    spreads = {f"{what}_{form}_spread_ms": f"{spread.get(form, float('nan')):.2f}" for form in ("jax", "torch")}
    eager, ratio = milliseconds["jax"] / milliseconds["torch"], milliseconds["jax"] / best
    return {**columns, **spreads, f"{what}_ratio": f"{ratio:.2f}", f"{what}_ratio_eager": f"{eager:.2f}"}


def _table(rows: list[dict[str, Any]]) -> Table:
    shown = ("parameters", "multiply-adds", "field", "difference")
    times = ("inference [ms] jax", "torch", "compiled", "ratio", "training [ms] jax", "torch", "compiled", "ratio")
    table = Table("model", *shown, *times)
    for row in rows:
        cost = (f"{row['parameters']:,}", f"{row['multiply_adds'] / 1e9:.2f} G", str(row["receptive_field"]))
        cells = [
            row[f"{w}_{c}"]
            for w in ("inference", "training")
            for c in ("jax_ms", "torch_ms", "torch.compile_ms", "ratio")
        ]
        table.add_row(row["model"], *cost, row["difference"], *cells)
    return table


if __name__ == "__main__":
    main()
