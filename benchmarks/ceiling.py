"""Peak speed of matrix products and copies on this device: ``python -m benchmarks ceiling``.

Other suites measure it first to report their share of peak. float32 products have JAX's default precision (TF32 on
GPUs). The best of several sizes and, where PyTorch is installed, of JAX and PyTorch counts.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .options import Publish, Quick
from .record import record, table
from .timing import interleaved


class Ceiling(NamedTuple):
    """FLOP/s of matrix products by data type, and bytes read and written per second by a copy."""

    float32: float
    bfloat16: float
    copy: float

    def share(self, flops: float, seconds: float, dtype: str) -> float:
        """Return the share of the peak of matrix products."""
        return flops / seconds / getattr(self, dtype)


def measure(*, quick: bool = False, seconds: float = 2.0) -> tuple[Ceiling, list[dict[str, Any]]]:
    """Measure the ceilings; return them with one row per size and implementation.

    Args:
        quick: small sizes, as a smoke test.
        seconds: approximate time per size.
    """
    on_cpu = jax.default_backend() == "cpu"
    sides = (256,) if quick else (1024, 2048, 4096) if on_cpu else (4096, 8192, 16384)
    rows = []
    for dtype in ("float32", "bfloat16"):
        for side in sides:
            rows += _time(_products(side, dtype), "matrix product", dtype, side, 2.0 * side**3, quick, seconds)
    side = 1024 if quick else 8192 if on_cpu else 16384
    rows += _time(_copies(side), "copy", "float32", side, 2 * 4.0 * side**2, quick, seconds)
    best = lambda what, dtype: max(  # noqa: E731
        1e9 * r["giga_per_s"] for r in rows if (r["what"], r["dtype"]) == (what, dtype)
    )
    return Ceiling(*(best("matrix product", d) for d in ("float32", "bfloat16")), best("copy", "float32")), rows


def _products(side: int, dtype: str) -> dict[str, Callable]:
    x = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)
    # On CPU, XLA multiplies bfloat16 four times faster if the result may be float32.
    forms = {
        "JAX": partial(jax.jit(jnp.dot), x, x),
        "JAX, float32 result": partial(jax.jit(partial(jnp.dot, preferred_element_type=jnp.float32)), x, x),
    }
    if dtype == "float32":
        del forms["JAX, float32 result"]
    if torch := _torch():
        y = torch.tensor(
            jax.device_get(x.astype(jnp.float32)), dtype=getattr(torch, dtype), device=_torch_device(torch)
        )
        forms["PyTorch"] = lambda: y @ y
    return forms


def _copies(side: int) -> dict[str, Callable]:
    x = jnp.ones((side, side))
    forms = {"JAX": partial(jax.jit(lambda x: x + 1), x)}
    if torch := _torch():
        y = torch.ones((side, side), device=_torch_device(torch))
        forms["PyTorch"] = y.clone
    return forms


def _time(forms, what, dtype, side, work, quick, seconds) -> list[dict[str, Any]]:
    timings = interleaved(list(forms.values()), [()], rounds=3 if quick else 30, seconds=seconds)
    return [
        {"what": what, "dtype": dtype, "side": side, "by": by, **t.columns(), "giga_per_s": work / t.median / 1e9}
        for by, t in zip(forms, timings, strict=True)
    ]


def _torch() -> Any:
    """Return PyTorch if it is installed and runs on the same kind of device as JAX."""
    try:
        from .peer import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() == (jax.default_backend() == "gpu") else None


def _torch_device(torch: Any) -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def start(*, quick: bool = False, publish: bool = False) -> Ceiling:
    """Measure, print and record the ceilings at the start of another suite."""
    ceiling, rows = measure(quick=quick, seconds=1.0)
    print(
        f"ceilings of this device: float32 {ceiling.float32 / 1e9:.0f} and bfloat16 {ceiling.bfloat16 / 1e9:.0f} "
        f"GFLOP/s, copy {ceiling.copy / 1e9:.1f} GB/s",
        flush=True,
    )
    if not quick:
        record("ceiling", rows, publish=publish)
    return ceiling


def main(quick: Quick = False, publish: Publish = False) -> None:
    """Time matrix products and copies, print and record the results."""
    rows = measure(quick=quick)[1]
    print(table(rows))
    if not quick:
        record("ceiling", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
