"""Train the diagnosis network on degraded crops of clean images.

``python -m restorax.diagnosis.training DATA OUT`` writes the parameters and their card to the folder OUT.
"""

import time
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from ..files.atomic import written_beside
from ..types import Array, Params
from .network import BLURS, FLAGS, STRENGTHS, DiagnosisNetwork, Outputs, angle_of, apply_network, save_network
from .samples import Labels, make_samples
from .statistics import ANGLES

LIMITS = (
    "Trained on crops of 128 and 256 pixels of photographs and drawings with up to three damages. Not known to it: "
    "other damages, strengths beyond the ranges of restorax.diagnosis.samples, camera shake, and resizing after "
    "compression."
)


def loss(outputs: Outputs, labels: Labels) -> Array:
    """Sum the cross entropies of flags, blur and angle, and the negative log-likelihoods of the strengths."""
    import optax

    flags, known = labels.flags, labels.flags >= 0
    total = (optax.sigmoid_binary_cross_entropy(outputs.flags, jnp.clip(flags, 0, 1)) * known).sum(1)
    total += optax.softmax_cross_entropy_with_integer_labels(outputs.blurs, labels.blur)
    present = jnp.isfinite(labels.strengths)
    error = (jnp.where(present, labels.strengths, 0) - outputs.strengths) * jnp.exp(-outputs.deviations)
    total += (jnp.where(present, error**2 / 2 + outputs.deviations, 0)).sum(1)
    moving = jnp.isfinite(labels.angle) & (labels.blur == BLURS.index("motion"))
    steps = jnp.where(moving, labels.angle, 0)[:, None] * (ANGLES / 180) - jnp.arange(ANGLES)[None]
    near = jnp.exp(-((((steps + ANGLES / 2) % ANGLES) - ANGLES / 2) ** 2) / 2)
    total += jnp.where(moving, optax.softmax_cross_entropy(outputs.angles, near / near.sum(1, keepdims=True)), 0)
    return total.mean()


def fit(samples: tuple[np.ndarray, np.ndarray], labels: Labels, *, steps: int, seed: int = 0) -> Params:
    """Train the network on statistics.

    Args:
        samples: vectors ``[n, d]`` and spectra ``[n, ANGLES, RADII]``.
        labels: their labels.
        steps: optimiser steps of 256 samples.
        seed: random seed.

    Returns:
        The parameters.
    """
    import optax

    vectors, spectra = map(jnp.asarray, samples)
    network, labels = DiagnosisNetwork(jitter=0.03), Labels(*map(jnp.asarray, labels))
    params = dict(DiagnosisNetwork().init(jax.random.key(seed), vectors[:1], spectra[:1])["params"])
    fixed = {
        "vector_mean": vectors.mean(0),
        "vector_deviation": vectors.std(0) + 1e-3,
        "spectrum_mean": spectra.mean((0, 1)),
        "spectrum_deviation": spectra.std((0, 1)) + 1e-3,
    }
    params = {name: value for name, value in params.items() if name not in fixed}
    schedule = optax.warmup_cosine_decay_schedule(0, 2e-3, min(200, steps // 10), steps)
    optimiser = optax.adamw(schedule, weight_decay=2e-2)

    @jax.jit
    def step(params: Any, state: Any, key: Array) -> tuple[Any, Any, Array]:
        chosen = jax.random.randint(key, (256,), 0, len(vectors))

        def objective(params: Any) -> Array:
            rngs = {"jitter": key, "dropout": jax.random.fold_in(key, 1)}
            outputs = network.apply({"params": {**params, **fixed}}, vectors[chosen], spectra[chosen], rngs=rngs)
            return loss(cast(Outputs, outputs), Labels(*(value[chosen] for value in labels)))

        value, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    state = optimiser.init(params)
    for number in range(steps):
        params, state, value = step(params, state, jax.random.fold_in(jax.random.key(seed + 1), number))
        if number % 500 == 0:
            print(f"step {number}: {value:.3f}", flush=True)
    return {**params, **fixed}


def measure(params: Params, samples: tuple[np.ndarray, np.ndarray], labels: Labels) -> dict[str, float]:
    """Measure the network on samples: recall and false alarms in percent, median errors of the strengths.

    Args:
        params: of the network.
        samples: vectors and spectra.
        labels: their labels.

    Returns:
        Numbers by name, without those of which the samples have no case.
    """
    outputs = jax.tree.map(np.asarray, apply_network(params, *map(jnp.asarray, samples)))
    flags, blur, strengths, angle = map(np.asarray, labels)
    shares: dict[str, np.ndarray] = {}
    for index, name in enumerate(FLAGS):
        known = flags[:, index] >= 0
        hit, there = outputs.flags[known, index] > 0, flags[known, index] > 0
        shares |= {f"{name} recall %": hit[there], f"{name} false alarms %": hit[~there]}
    shares["blur class right %"] = outputs.blurs.argmax(1) == blur
    errors: dict[str, np.ndarray] = {}
    for index, name in enumerate(STRENGTHS):
        present = np.isfinite(strengths[:, index])
        error = np.abs(outputs.strengths[present, index] - strengths[present, index])
        unit, scale = ("quality", 20) if name == "jpeg" else ("logarithm", 1)
        errors[f"{name} median error ({unit})"] = scale * error
    long = (blur == BLURS.index("motion")) & (np.exp(strengths[:, 3]) * 12**0.5 >= 7)
    apart = np.array([angle_of(logits)[0] for logits in outputs.angles[long]]) - angle[long]
    shares["motion angle within 10 degrees %"] = np.abs((apart + 90) % 180 - 90) <= 10
    found: dict[str, Any] = {"samples": len(blur)}
    found |= {name: 100 * hits.mean() for name, hits in shares.items() if hits.size}
    found |= {name: np.median(error) for name, error in errors.items() if error.size}
    return {name: round(float(value), 3) for name, value in found.items()}


def main() -> None:
    """Make samples, train, and write the parameters; samples that were made before are used again."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of clean images")
    parser.add_argument("out", type=Path, help="folder of the parameters and their card")
    parser.add_argument("--work", type=Path, default=Path("runs/diagnosis"), help="folder of samples")
    parser.add_argument("--shards", type=int, default=24, help="number of files of samples")
    parser.add_argument("--batches", type=int, default=150, help="batches per file")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--data-name", default="")
    parser.add_argument("--data-licence", default="not stated")
    parser.add_argument("--weights-licence", default="not stated")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    files = sorted(p for p in options.data.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    parts = [_shard(files, options, shard) for shard in range(options.shards)]
    arrays = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    held = len(parts[-1][0])
    train = [array[:-held] for array in arrays]
    start = time.perf_counter()
    params = fit((train[0], train[1]), Labels(*train[2:]), steps=options.steps)
    test = [array[-held:] for array in arrays]
    facts = {
        "name": "diagnosis-color",
        "reads": "noise, impulses, JPEG and blur of crops of 128 or 256 pixels",
        "data": options.data_name or options.data.name,
        "data_licence": options.data_licence,
        "weights_licence": options.weights_licence,
        "limits": LIMITS,
        "samples": len(train[0]),
        "steps": options.steps,
        "fit_seconds": round(time.perf_counter() - start),
        "command": f"python -m restorax.diagnosis.training DATA OUT --shards {options.shards} --batches "
        f"{options.batches} --steps {options.steps}",
        "parameter_dtype": "float16",
        "held_out": measure(params, (test[0], test[1]), Labels(*test[2:])),
    }
    save_network(params, facts, options.out)


def _shard(files: list[Path], options: Any, shard: int) -> list[np.ndarray]:
    """Read a file of samples, or make it."""
    path = options.work / f"samples-{shard}.npz"
    if not path.is_file():
        samples, labels = make_samples(files, options.batches, shard)
        with written_beside(path) as beside, beside.open("wb") as file:
            np.savez(file, *samples, *labels)
        print(path, flush=True)
    with np.load(path) as stored:
        return [stored[name] for name in stored.files]


if __name__ == "__main__":
    main()
