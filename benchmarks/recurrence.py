"""Time and memory of recurrences, compile time of recurrent networks: ``python -m benchmarks recurrence``."""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import typer
from jax import lax
from rich.console import Console
from rich.table import Table

from restorax.layers.cells import GRU, LSTM, dense
from restorax.layers.recurrence import linear_recurrence
from restorax.models import MODELS

from .options import Publish, Quick, option
from .record import record
from .timing import Timing, interleaved

LANES = 8192  # independent linear recurrences: batch of 8, 64 columns, 16 channels
BATCH, UNITS = 64, 64  # LSTM and GRU
RECURRENT = ("row_lstm", "renet", "spatial_rnn", "scanunet_s", "prenet", "stageunet", "srn_s", "srn", "burst_rnn")
Forms = dict[str, Callable[..., Any]]


def _step(h, ab):
    h = ab[0] * h + ab[1]
    return h, h


def _all_kept(a, b):
    return lax.scan(_step, jnp.zeros_like(b[0]), (a, b))[1]


def _unrolled(a, b):
    h, states = jnp.zeros_like(b[0]), []
    for t in range(len(a)):
        h = a[t] * h + b[t]
        states.append(h)
    return jnp.stack(states)


def _linear(steps: int, longest_loop: int) -> tuple[Forms, tuple]:
    forms: Forms = {kind: partial(linear_recurrence, axis=0, kind=kind) for kind in ("scan", "associative")}
    forms["all kept"] = _all_kept
    if steps <= longest_loop:
        forms["Python loop"] = _unrolled
    a = jax.nn.sigmoid(jax.random.normal(jax.random.key(0), (steps, LANES)))
    return forms, (a, jax.random.normal(jax.random.key(1), (steps, LANES)))


def _cell(kind: type, steps: int, longest_loop: int) -> tuple[Forms, tuple]:
    cell = kind(UNITS)
    xs = jax.random.normal(jax.random.key(0), (steps, BATCH, UNITS))
    params = cell.init(jax.random.key(1), xs)

    def all_kept(params, xs):
        def step(state, x):
            state = cell.apply(params, state, x, method="step")
            return state, state[0]

        return lax.scan(step, cell.apply(params, xs[0], method="start"), xs)[1]

    def projected_before(params, xs):
        weights = params["params"]
        gates = dense(xs, weights["entering"]) + weights["bias"].reshape(1, 1, -1)

        def step(state, x):
            state = cell.cell(x, dense(state[0], weights["hidden"]), state)
            return state, state[0]

        return lax.scan(step, cell.apply(params, xs[0], method="start"), gates)[1]

    def unrolled(params, xs):
        state, states = cell.apply(params, xs[0], method="start"), []
        for x in xs:
            state = cell.apply(params, state, x, method="step")
            states.append(state[0])
        return jnp.stack(states)

    forms: Forms = {
        "restorax": lambda params, xs: cell.apply(params, xs)[0],
        "gates kept": all_kept,
        "projected before": projected_before,
    }
    if steps <= longest_loop:
        forms["Python loop"] = unrolled
    return forms, (params, xs)


def _torch(kind: type, steps: int) -> tuple[Callable, Callable] | None:
    """Forward pass, and forward with backward, of the PyTorch layer of the same size, on CPUs only."""
    if jax.default_backend() != "cpu":
        return None
    try:
        import torch
    except ImportError:
        return None
    layer = getattr(torch.nn, kind.__name__)(UNITS, UNITS)
    xs = torch.randn(steps, BATCH, UNITS, requires_grad=True)

    def forward(*_):
        with torch.no_grad():
            return layer(xs)[0].numpy()

    def both(*_):
        layer.zero_grad()
        xs.grad = None
        (layer(xs)[0] ** 2).sum().backward()
        return xs.grad.numpy()

    return forward, both


def _gradient(run: Callable) -> Callable:
    return jax.jit(jax.grad(lambda *arguments: (run(*arguments) ** 2).sum(), (0, 1)))


def _measure(name: str, steps: int, forms: Forms, arguments: tuple, peer: tuple | None, rounds: int) -> list[dict]:
    names = [*forms, *(["PyTorch"] if peer else [])]
    forwards = [jax.jit(run) for run in forms.values()] + ([peer[0]] if peer else [])
    gradients = [_gradient(run) for run in forms.values()]
    forward = interleaved(forwards, [arguments], rounds=rounds)
    both = interleaved([*gradients, *([peer[1]] if peer else [])], [arguments], rounds=rounds)
    memory = [g.lower(*arguments).compile().memory_analysis().temp_size_in_bytes / 2**20 for g in gradients]
    return [
        {
            "recurrence": name,
            "steps": steps,
            "form": form,
            **_milliseconds("forward", f),
            **_milliseconds("both", b),
            "compile_s": b.first if form != "PyTorch" else "",
            "backward_MiB": mib,
        }
        for form, f, b, mib in zip(names, forward, both, [*memory, ""], strict=False)
    ]


def _milliseconds(name: str, timing: Timing) -> dict[str, float]:
    return {f"{name}_ms": 1e3 * timing.median, f"{name}_p10": 1e3 * timing.p10, f"{name}_p90": 1e3 * timing.p90}


def _compile_times(names: tuple[str, ...]) -> list[dict]:
    """Measure the time to trace and compile each network, for one image and for the gradient of a batch."""
    rows = []
    for name in names:
        model = MODELS[name]()
        frames = (5,) if name == "burst_rnn" else ()
        image, batch = (jnp.zeros((n, *frames, side, side, 1)) for n, side in ((1, 256), (8, 96)))
        params = jax.eval_shape(model.init, jax.random.key(0), image)
        gradient = jax.grad(lambda params, x, model=model: (model.apply(params, x) ** 2).mean())
        seconds = []
        for run, x in ((model.apply, image), (gradient, batch)):
            start = time.perf_counter()
            jax.jit(run).lower(params, x).compile()
            seconds.append(time.perf_counter() - start)
        count = sum(int(np.prod(p.shape)) for p in jax.tree.leaves(params))
        rows.append({"network": name, "parameters": count, "forward_s": seconds[0], "gradient_s": seconds[1]})
    return rows


def _table(title: str, rows: list[dict]) -> Table:
    columns = [key for key in rows[0] if not key.endswith(("_p10", "_p90")) and key != "recurrence"]
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for key in columns))
    return table


def main(
    steps: Annotated[list[int] | None, option("Sequence length, repeatable [64, 256, 1024].")] = None,
    rounds: Annotated[int, option("Timed calls of each implementation.")] = 20,
    longest_loop: Annotated[int, option("Longest Python loop; longer ones compile for minutes.")] = 64,
    only: Annotated[str, option("linear, LSTM, GRU or compile [all].")] = "",
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Time every implementation interleaved with PyTorch, and measure the memory of the backward pass."""
    makers = {
        "linear": (_linear, None),
        "LSTM": (partial(_cell, LSTM), LSTM),
        "GRU": (partial(_cell, GRU), GRU),
    }
    if only not in ("", "compile", *makers):
        raise typer.BadParameter(f"{only!r} is unknown; expected one of {', '.join(makers)}, compile")
    if quick:
        steps, rounds, longest_loop = [8], 3, 8
    console = Console()
    for name, (make, kind) in makers.items():
        if only in ("", name):
            rows = []
            for length in steps or (64, 256, 1024):
                forms, arguments = make(length, longest_loop)
                rows += _measure(name, length, forms, arguments, _torch(kind, length) if kind else None, rounds)
            console.print(_table(f"{name}, {jax.devices()[0]}", rows))
            if not quick:
                record("recurrence", rows, publish=publish)
    if only in ("", "compile"):
        rows = _compile_times(RECURRENT[: 1 if quick else None])
        console.print(_table(f"compile time, {jax.devices()[0]}", rows))
        if not quick:
            record("recurrence_compile", rows, publish=publish)


if __name__ == "__main__":
    typer.run(main)
