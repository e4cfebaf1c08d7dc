"""Sections of the benchmark report: for each suite, its question and the rows that answer it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from restorax import zoo

from . import networks
from .hardware import machines
from .record import newest
from .zoo_table import CHOICES

Row = Mapping[str, str]
SIZE = "512x512"  # image size of the speeds in README and cards
SPEED = ("device", "entry", "form", "dtype", "size", "batch")
ORIGIN = ("date", "device", "driver", "jax", "xla", "torch", "commit")
LIMIT = 10  # rows per table


class Section(NamedTuple):
    """Summary of a suite.

    Attributes:
        suite: name of the CSV file in ``benchmarks/results``.
        question: what the suite answers; the heading.
        key: columns that identify a measurement, of which the newest row counts.
        columns: columns of the table.
        select: chooses and condenses rows of one device.
        timed: whether results depend on the device.
        note: explanation of the columns.
        limit: rows per table.
    """

    suite: str
    question: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    select: Callable[[Sequence[Row]], Sequence[Row]] = list
    timed: bool = True
    note: str = ""
    limit: int = LIMIT


def speeds(rows: Sequence[Row]) -> list[Row]:
    """Return the newest rows of ``throughput`` by network, under the current names of the network.

    A row holds the names at the time of measuring, the first of which was loaded; entries may have been added since.
    """
    current = {name: " ".join(together) for together in networks.groups() for name in together}
    return newest([row | {"entry": current.get(row["entry"].split()[0], row["entry"])} for row in rows], SPEED)


def is_latency(row: Row) -> bool:
    """Return whether a row of ``throughput`` is the time of one 512 x 512 image in float32 in JAX."""
    return (row["form"], row["dtype"], row["size"], row["batch"]) == ("JAX", "float32", SIZE, "1")


def milliseconds_per_megapixel(row: Row) -> float:
    """Return the median time of one image relative to its 10^6 pixels."""
    height, width = map(int, row["size"].split("x"))
    return 1e6 * float(row["median_ms"]) / (height * width)


def head(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Put JAX and PyTorch side by side: latency of one image, and the best throughput of any batch.

    Rows of machines that are not comparable stay on separate lines.
    """
    return [line for alike in machines(rows) for line in _side_by_side(alike)]


def _side_by_side(rows: Sequence[Row]) -> list[dict[str, str]]:
    lines = []
    for same in _groups(rows, "device", "entry", "dtype", "size"):
        key = (same[0][column] for column in ("device", "entry", "dtype", "size"))
        line = dict(zip(("device", "entry", "dtype", "size"), key, strict=True)) | {
            k: same[-1].get(k, "") for k in ORIGIN if k != "device"
        }
        for form in ("JAX", "PyTorch", "torch.compile"):
            line[f"{form} ms"] = next(
                (r["median_ms"] for r in same if r["form"].split(",")[0] == form and r["batch"] == "1"), ""
            )
        ours, theirs = _fastest(same, jax=True), _fastest(same, jax=False)
        line |= {"JAX Mpix/s": ours["mpix_per_s"]} | {key: ours[key] for key in ("batch", "share", "memory_MiB")}
        if theirs:
            line["PyTorch Mpix/s"] = theirs["mpix_per_s"]
            line["JAX / PyTorch"] = f"{float(ours['mpix_per_s']) / float(theirs['mpix_per_s']):.2f}"
        lines.append(line)
    return lines


def _fastest(rows: Sequence[Row], *, jax: bool) -> Row | None:
    candidates = (row for row in rows if row["form"].startswith("JAX") == jax)
    return max(candidates, key=lambda row: float(row["mpix_per_s"]), default=None)


def short_names(entries: str) -> str:
    """Return the first of several entries, and how many others have the same network."""
    first, *others = entries.split()
    return f"{first} and {len(others)} like it" if others else first


def _groups(rows: Sequence[Row], *keys: str) -> list[list[Row]]:
    """Rows with equal values of the keys, in order of appearance."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(key, "") for key in keys), []).append(row)
    return list(found.values())


def _chosen(rows: Sequence[Row]) -> Sequence[Row]:
    """Rows of the entries and degradations in ``zoo_table.CHOICES``, or all where there are none."""
    chosen = {(name, degradation) for _, name, degradation in CHOICES}
    return [row for row in rows if (row["entry"], row["degradation"]) in chosen] or rows


def _throughput(rows: Sequence[Row]) -> list[Row]:
    lines = [line for line in head(rows) if (line["dtype"], line["size"]) == ("float32", SIZE)]
    lines.sort(key=lambda line: "PyTorch Mpix/s" not in line)
    return [line | {"entry": short_names(line["entry"])} for line in lines]


def _ceilings(rows: Sequence[Row]) -> list[Row]:
    best = [max(group, key=lambda row: float(row["giga_per_s"])) for group in _groups(rows, "what", "dtype")]
    return [row | {"rate": f"{row['giga_per_s']} {'GB/s' if row['what'] == 'copy' else 'GFLOP/s'}"} for row in best]


def _against_pytorch(rows: Sequence[Row]) -> list[Row]:
    """One line per architecture and type: images per second of JAX and PyTorch."""
    rows = [row for row in rows if row["what"].startswith("Adam, ")]
    return [
        group[0] | {row["what"].removeprefix("Adam, "): row["images_per_s"] for row in group}
        for group in _groups(rows, "name", "dtype")
    ]


def _growth(rows: Sequence[Row]) -> list[Row]:
    """One line per part: exponents of the power laws over all sizes, and the overhead at the largest."""
    lines = []
    for group in _groups(rows, "part"):
        line = group[-1] | {"sizes": f"{group[0]['size']} to {group[-1]['size']}"}
        for column in ("exponent", "memory_exponent", "overhead"):
            line[column] = f"{float(line[column]) + 0.0:.2f}".replace("-0.00", "0.00") if line.get(column) else ""
        lines.append(line)
    return lines


def _mean_of_clips(rows: Sequence[Row]) -> list[Row]:
    """One line per method and noise level, averaged over the clips."""
    lines = []
    for group in _groups(rows, "method", "sigma"):
        means = {
            column: f"{statistics.mean(float(row[column]) for row in group):.{digits}g}"
            for column, digits in (*((f"psnr_{n}", 4) for n in (1, 2, 5, 20, "mean")), ("warping_error", 3))
            if all(row.get(column) for row in group)
        }
        lines.append(group[-1] | means | {"clips": str(len(group))})
    return sorted(lines, key=lambda line: (int(line["sigma"]), float(line["psnr_mean"])))


def _pods(rows: Sequence[Row]) -> list[Row]:
    largest = max((int(row["chips"]) for row in rows), default=0)
    return sorted((row for row in rows if row["chips"] == str(largest)), key=lambda row: float(row["efficiency"]))


def _largest_programs(rows: Sequence[Row]) -> list[Row]:
    programs = [row for row in rows if row["program"] == "training step"]
    return sorted(programs, key=lambda row: -float(row["scratch MiB"]))


def _best_methods(rows: Sequence[Row]) -> list[Row]:
    """One line per degradation of ``CHOICES``: the best classical method and the best entry."""
    lines, entries = [], set(zoo.list_models())
    for group in _groups(rows, "dataset", "degradation"):
        degraded = next((row["psnr"] for row in group if row["method"] == "none"), "")
        line = dict(group[0]) | {"input": degraded}
        for title, names in (
            ("classical", {row["method"] for row in group if "true kernel" not in row["method"]} - entries - {"none"}),
            ("entry", entries),
        ):
            best = max((row for row in group if row["method"] in names), key=lambda row: float(row["psnr"]), default={})
            line |= {title: best.get("method", ""), f"{title} PSNR": best.get("psnr", "")}
        if line["classical"] and line["entry"]:
            lines.append(line)
    chosen = {degradation for *_, degradation in CHOICES}
    return [line for line in lines if line["degradation"] in chosen] or lines


def _extremes(rows: Sequence[Row]) -> list[Row]:
    """The operators that are slowest and fastest relative to their peers."""
    ranked = sorted(rows, key=lambda row: float(row["ratio"]))
    return ranked if len(ranked) <= LIMIT else [*ranked[: LIMIT // 2], *ranked[-LIMIT // 2 :]]


def _longest(rows: Sequence[Row]) -> list[Row]:
    steps = max((int(row["steps"]) for row in rows), default=0)
    return [row for row in rows if row["steps"] == str(steps) and row["recurrence"] in ("linear", "LSTM", "GRU")]


def _halos(rows: Sequence[Row]) -> list[Row]:
    """Per entry the degradation that needs most context, with the loss of tiles without a halo."""
    lines = []
    for group in _groups([row for row in rows if row["halo"] == "0"], "entry"):
        needed = lambda row: float(row["needed"]) if row["needed"].isdigit() else float("inf")  # noqa: E731
        most = max(group, key=needed)
        lines.append(most | {"loss without halo [dB]": most["mean"], "halo needed [px]": most["needed"]})
    chosen = {name for _, name, _ in CHOICES}
    return sorted(lines, key=lambda line: line["entry"] not in chosen)


def _variants(rows: Sequence[Row]) -> list[Row]:
    """One line per variant and degradation: the mean over seeds at the number of steps that was used most."""
    steps = statistics.mode(row["steps"] for row in rows)
    lines = []
    for group in _groups(
        [r for r in rows if r["steps"] == steps and not r["variant"].endswith("_rotating")], "degradation", "variant"
    ):
        psnr = statistics.mean(float(row["psnr"]) for row in group)
        lines.append(group[0] | {"seeds": str(len(group)), "psnr": f"{psnr:.2f}"})
    return sorted(lines, key=lambda line: (line["degradation"], -float(line["psnr"])))


def _out_of_distribution(rows: Sequence[Row]) -> list[Row]:
    """One line per entry: its gains on degradations whose operators it was not trained on."""
    lines = []
    for group in _groups([row for row in rows if row.get("trained") != "True"], "entry"):
        gains = [float(row["gain"]) for row in group]
        worst = min(group, key=lambda row: float(row["gain"]))
        improved = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        lines.append(
            group[0]
            | {"improved": improved, "median gain [dB]": f"{statistics.median(gains):.2f}"}
            | {"worst gain [dB]": worst["gain"], "worst degradation": worst["degradation"]}
        )
    chosen = {name for _, name, _ in CHOICES}
    return sorted(lines, key=lambda line: line["entry"] not in chosen)


def _best_gains(rows: Sequence[Row]) -> list[Row]:
    """The best method on each degradation of colour images."""
    colour = [row for row in rows if row["channels"] == "3" and row["degradation"]]
    return [max(group, key=lambda row: float(row["gain"])) for group in _groups(colour, "degradation")]


def _solved(rows: Sequence[Row]) -> list[Row]:
    """One line per degradation: the best form of ``solve`` beside the best of the other methods."""
    lines = []
    for group in _groups(rows, "part", "dataset", "degradation"):
        forms = [row for row in group if row["method"].startswith("solve")]
        others = [row for row in group if row not in forms]
        best, other = (max(some, key=lambda row: float(row["psnr"])) for some in (forms, others))
        lines.append(
            best
            | {"best of the others": other["method"], "its PSNR": other["psnr"]}
            | {"solve": best["method"], "solve PSNR": best["psnr"]}
        )
    return lines


def _without_details(rows: Sequence[Row]) -> list[Row]:
    """The rows over all sets."""
    parts = ("estimate", "gain", "harm", "time")
    return [row for row in rows if row["part"] in parts and not row["name"].endswith(("kodak24", "live1"))]


SECTIONS = (
    Section(
        "quality",
        "How do the entries compare with oracle-tuned classical baselines?",
        ("dataset", "degradation", "method"),
        ("dataset", "degradation", "input", "classical", "classical PSNR", "entry", "entry PSNR"),
        _best_methods,
        timed=False,
    ),
    Section(
        "robustness",
        "How much do the entries gain on degradations that they were not trained on?",
        ("entry", "degradation", "dataset"),
        ("entry", "improved", "median gain [dB]", "worst gain [dB]", "worst degradation"),
        _out_of_distribution,
        timed=False,
        note="Gain in PSNR over the degraded image, clipped to [0, 1].",
    ),
    Section(
        "harm",
        "How far do blind restorers change clean images?",
        ("entry",),
        ("entry", "photographs", "odd", "worst", "of", "black", "white"),
        lambda rows: sorted(rows, key=lambda row: -float(row["odd"])),
        timed=False,
        note="PSNR of the output for clean input, at most 60 dB; black and white in 8-bit units.",
    ),
    Section(
        "solve",
        "How does `restorax.solve` with a known degradation compare with trained entries and classical methods?",
        ("part", "dataset", "degradation", "method"),
        ("part", "dataset", "images", "size", "degradation", "best of the others", "its PSNR", "solve", "solve PSNR"),
        _solved,
        timed=False,
        note="The best method beside the best form of solve; the first images of each set, cropped to size.",
    ),
    Section(
        "solve_speed",
        "How fast is `restorax.solve`, compared with deepinv in PyTorch with the same denoiser?",
        ("border", "size", "method", "denoiser"),
        ("border", "size", "method", "psnr", "median_ms", "compile_s", "memory_MiB"),
        note="Motion blur of 15 pixels and noise of 2.55/255 on gray photographs; 8 iterations of half-quadratic\n"
        "splitting. Images of 2048 x 2048 are solved in tiles by restorax and whole by deepinv.",
        limit=20,
    ),
    Section(
        "gains",
        "How much do entries and chains of two gain, from which `restorax.choose` ranks them?",
        ("method", "channels", "degradation"),
        ("degradation", "method", "gain", "worst"),
        _best_gains,
        timed=False,
        note="The best on each degradation of colour images; PSNR counts up to 50 dB.",
    ),
    Section(
        "diagnosis",
        "Does the diagnosis find the damage, and how near is the automatic choice to the best?",
        ("part", "name"),
        ("part", "name", "images", "value", "unit"),
        _without_details,
        timed=False,
        note="Crops of sets that neither the network nor the choice has seen; the oracle tries all candidates.",
    ),
    Section(
        "throughput",
        "How fast is restoration, compared with PyTorch with the same weights?",
        SPEED,
        ("entry", "JAX ms", "PyTorch ms", "torch.compile ms", "JAX Mpix/s", "JAX / PyTorch", "memory_MiB"),
        _throughput,
    ),
    Section(
        "video",
        "How much does the past of a video gain, and how much does the result flicker?",
        ("method", "clip", "size", "sigma", "frames"),
        ("method", "sigma", "clips", "psnr_1", "psnr_2", "psnr_5", "psnr_20", "psnr_mean", "warping_error"),
        _mean_of_clips,
        timed=False,
        note="PSNR of the first, second, fifth and twentieth frame and of all, averaged over clips;\n"
        "`warping_error`: mean squared difference of consecutive frames along their motion.",
    ),
    Section(
        "video_still",
        "How does the noise of a still camera fall with the number of frames?",
        ("method", "sigma", "frame"),
        ("method", "sigma", "frame", "psnr"),
        lambda rows: [row for row in rows if int(row["frame"]) in (1, 2, 4, 8, 16, 32)],
        timed=False,
    ),
    Section(
        "video_speed",
        "How many frames per second does a video restorer take?",
        ("method", "size"),
        ("method", "size", "median_ms", "frames_per_s"),
    ),
    Section(
        "training",
        "How many images per second does a training step take, compared with PyTorch?",
        ("name", "what", "dtype", "devices", "batch", "patch"),
        ("name", "dtype", "batch", "patch", "JAX", "PyTorch", "torch.compile"),
        _against_pytorch,
    ),
    Section(
        "models",
        "How fast are the architectures, compared with PyTorch with the same weights?",
        ("model",),
        ("model", "inference_jax_ms", "inference_torch_ms", "inference_ratio", "training_ratio"),
        lambda rows: sorted(rows, key=lambda row: -float(row["inference_ratio"])),
        note="Ratio: time of JAX / time of the faster of PyTorch and torch.compile, the largest first.",
    ),
    Section(
        "operators",
        "How fast are degradation operators, compared with other libraries?",
        ("operator", "batch"),
        ("operator", "ms", "peer", "peer_ms", "ratio"),
        _extremes,
        note="Ratio: time of the fastest peer / time of restorax; the five smallest and the five largest.",
    ),
    Section(
        "scaling",
        "How do time and memory grow with pixels, tiles, batch, depth and simulated devices?",
        ("part", "name", "size", "dtype"),
        ("part", "name", "sizes", "exponent", "memory_exponent", "overhead"),
        _growth,
    ),
    Section(
        "ceiling",
        "How fast are matrix products and copies on this device?",
        ("what", "dtype", "side", "by"),
        ("what", "dtype", "side", "by", "rate"),
        _ceilings,
    ),
    Section(
        "onnx",
        "Which entries run as ONNX files, and how do onnxruntime and JAX compare?",
        ("entry",),
        (
            "entry",
            "sizes",
            "reason",
            "file_MB",
            "difference",
            "JAX_ms",
            "onnxruntime_ms",
            "PyTorch_ms",
            "torch.compile_ms",
        ),
        lambda rows: [row | {"entry": short_names(row["entry"])} for row in rows],
        note="One 512 x 512 image in float32; the difference is the largest on a degraded photograph in [0, 1].",
        limit=25,
    ),
    Section(
        "large_image",
        "What does a large image cost on the command line?",
        ("model", "size"),
        ("model", "size", "seconds", "peak_GiB", "psnr"),
    ),
    Section(
        "folders",
        "What do images of many sizes cost on the command line?",
        ("model", "images", "sizes", "sides", "run"),
        ("model", "images", "sizes", "run", "seconds", "images_per_s", "first_third_MiB", "last_third_MiB"),
    ),
    Section(
        "halo",
        "How much context does a tile need?",
        ("entry", "degradation", "core", "halo"),
        ("entry", "degradation", "loss without halo [dB]", "halo needed [px]"),
        _halos,
        timed=False,
    ),
    Section(
        "explain",
        "How far do the entries look, and do error estimates agree with the true error?",
        ("entry", "dataset", "degradation"),
        ("entry", "degradation", "reach_50", "reach_90", "reach_99", "error_rank", "psnr", "sure"),
        _chosen,
        timed=False,
        note="Reach: pixels within which 50, 90 and 99 % of the influence on an output pixel lie; `error_rank`: rank\n"
        "correlation of estimated and true error; `sure`: PSNR estimated without ground truth.",
    ),
    Section(
        "ablation",
        "What does recurrence gain at equal parameters and training?",
        ("variant", "trained", "degradation", "steps", "batch", "dtype", "seed"),
        ("degradation", "variant", "parameters", "steps", "seeds", "psnr"),
        _variants,
        note="`_convolutional`: convolutional blocks of equal size in place of the scans.",
    ),
    Section(
        "self_supervised",
        "What does training without clean images cost?",
        ("noise", "loss", "dataset", "steps", "seed"),
        ("noise", "loss", "dataset", "input_psnr", "psnr", "to_supervised", "steps"),
        timed=False,
        note="One network of 0.37 M parameters, trained equally long on images degraded once; `to_supervised`:\n"
        "difference to the same network trained on pairs of noisy and clean images.",
    ),
    Section(
        "adapt",
        "What does adapting an entry to one's own images gain?",
        ("entry", "dataset", "degradation", "learned_from"),
        (
            "entry",
            "dataset",
            "degradation",
            "learned_from",
            "input_psnr",
            "start",
            "psnr",
            "gain",
            "worst",
            "outcome",
            "minutes",
        ),
        timed=False,
        note="Damages that the entry was not trained for; `start` and `psnr`: before and after; `gain` and `worst`:\n"
        "mean and smallest difference in dB.",
    ),
    Section(
        "recurrence",
        "Which form of a recurrence is fastest, and how much memory does its gradient take?",
        ("recurrence", "steps", "form"),
        ("recurrence", "steps", "form", "forward_ms", "both_ms", "backward_MiB"),
        _longest,
    ),
    Section(
        "recurrence_compile",
        "How long do recurrent networks compile?",
        ("network",),
        ("network", "parameters", "forward_s", "gradient_s"),
    ),
    Section(
        "conv",
        "Are tuned convolutions faster than plain XLA, forward and backward?",
        ("what", "input"),
        ("what", "input", "plain_median_ms", "tuned_median_ms", "plain / tuned"),
    ),
    Section(
        "input",
        "Is the input pipeline faster than the training step?",
        ("recipe", "source"),
        ("recipe", "source", "pipeline_images_per_s", "step_images_per_s", "ratio"),
    ),
    Section(
        "tpu_compile",
        "How much memory per chip do the largest training steps need on TPU pods?",
        ("recipe", "topology", "shards", "program"),
        ("recipe", "topology", "per chip", "held MiB", "scratch MiB", "collectives"),
        _largest_programs,
    ),
    Section(
        "pods",
        "Which recipes would scale worst on the largest TPU pods, estimated from compiler output?",
        ("name", "chip", "chips"),
        ("name", "chip", "chips", "per_chip", "efficiency"),
        _pods,
        timed=False,
    ),
)
