"""Entries as ONNX files: size, agreement and speed of onnxruntime: ``python -m benchmarks onnx``.

Every group of identical networks is exported for any size, or for 512 x 512 where that is not possible. The difference
is the largest of a photograph, degraded as the card's first result, between onnxruntime and JAX. Times are those of one
512 x 512 image in float32, beside PyTorch's where the network has a twin.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import zoo
from restorax.data import sample_images
from restorax.degrade import parse
from restorax.exporting import export_onnx
from restorax.zoo import Restorer

from . import networks, throughput
from .options import Names, Publish, Quick, Seconds, option
from .record import record, table
from .timing import interleaved

NAMES = ("image", "condition")


def session(model: Any) -> Any:
    """Return an onnxruntime session of an exported model, with as many threads as JAX has."""
    import onnxruntime

    from . import hardware

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = hardware.cores()
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def runner(model: Any) -> Any:
    """Return a function of the inputs of an exported model."""
    running = session(model)
    return lambda *inputs: running.run(None, dict(zip(NAMES, map(np.asarray, inputs), strict=False)))[0]


def exported(restorer: Restorer, side: int) -> tuple[Any, str, str]:
    """Return the model, the sizes that it takes, and why there is none."""
    try:
        return export_onnx(restorer), "any", ""
    except ValueError:
        try:
            return export_onnx(restorer, size=(side, side)), f"{side}x{side}", ""
        except ValueError as error:
            return None, "", str(error)


def observed(restorer: Restorer, side: int) -> tuple[jax.Array, ...]:
    """Return a photograph, degraded as the first result of the card, with its condition if that is required."""
    card = restorer.card
    photograph = np.asarray(next(iter(sample_images(card.channels).values())))
    clean = jnp.asarray(np.tile(photograph, (-(-side // photograph.shape[0]), -(-side // photograph.shape[1]), 1)))
    clean = clean[:side, :side]
    if restorer.model.takes_frames:
        return tuple(x[:, :, :side, :side] for x in networks.observed(restorer.model, 1, side, side))
    image, condition = parse(card.results[0].degradation)(jax.random.key(0), clean)
    maps = () if not restorer.model.required_condition.channels else (jnp.asarray(condition)[None],)
    return (image[None], *maps)


def measure(restorer: Restorer, side: int, *, compiled: bool, seconds: float) -> dict[str, Any]:
    """Return the row of a network."""
    model, sizes, reason = exported(restorer, side)
    if model is None:
        return {"sizes": sizes, "reason": reason}
    ours, inputs = jax.jit(lambda *x: jnp.clip(restorer(*x), 0, 1)), observed(restorer, side)
    theirs = runner(model)
    difference = float(np.abs(theirs(*inputs) - np.asarray(ours(*inputs))).max())
    forms, arguments = {"JAX": ours, "onnxruntime": theirs}, [(inputs, tuple(map(np.asarray, inputs)), ())]
    if twin := throughput.twin(restorer):
        from . import peer

        arguments = [(*arguments[0][:2], tuple(map(peer.tensor, inputs)))]
        candidates = peer.restorers(twin[1], "float32", compiled=compiled)
        forms |= {form: f for form, f in candidates.items() if peer.works(form, f, *arguments[0][2])}
    places = [0, 1, *[2] * (len(forms) - 2)]
    functions = [lambda *given, f=f, at=at: f(*given[at]) for f, at in zip(forms.values(), places, strict=True)]
    timings = interleaved(functions, arguments, rounds=10, seconds=seconds)
    times = {f"{form}_ms": 1e3 * timing.median for form, timing in zip(forms, timings, strict=True)}
    content = len(model.SerializeToString())
    return {"sizes": sizes, "reason": "", "file_MB": content / 1e6, "difference": f"{difference:.1e}", **times}


def main(
    name: Names = None,
    compiled: Annotated[bool, option("Compare with torch.compile.")] = True,
    seconds: Seconds = 5.0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Export entries, run them, print and record the results."""
    side = 64 if quick else 512
    entries: Sequence[str] = name or (networks.QUICK[:1] if quick else zoo.list_models())
    for group in networks.groups(entries):
        row = measure(restorax.load(group[0]), side, compiled=compiled and not quick, seconds=seconds)
        columns = dict.fromkeys(("PyTorch_ms", "torch.compile_ms"), "")
        rows = [{"entry": " ".join(group), "reason": "", **columns, **row}]
        print(table(rows), flush=True)
        if not quick:
            record("onnx", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
