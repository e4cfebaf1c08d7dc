"""Sections on the speed of restoration, training and operators, and on video."""

import statistics
from collections.abc import Sequence

from ..record import Row, groups
from ..speeds import KEY, SIZE, head, short_names
from .section import LIMIT, Section


def _throughput(rows: Sequence[Row]) -> list[Row]:
    lines = [line for line in head(rows) if (line["dtype"], line["size"]) == ("float32", SIZE)]
    lines.sort(key=lambda line: "PyTorch Mpix/s" not in line)
    return [line | {"entry": short_names(line["entry"])} for line in lines]


def _mean_of_clips(rows: Sequence[Row]) -> list[Row]:
    """One line per method and noise level or holes, averaged over the clips."""
    lines = []
    for group in groups(rows, "method", *(name for name in ("sigma", "holes", "way") if name in rows[0])):
        means = {
            column: f"{statistics.mean(float(row[column]) for row in group):.{digits}g}"
            for column, digits in (*((f"psnr_{n}", 4) for n in (1, 2, 5, 20, "mean")), ("warping_error", 3))
            if all(row.get(column) for row in group)
        }
        lines.append(group[-1] | means | {"clips": str(len(group))})
    return sorted(lines, key=lambda line: (int(line.get("sigma", 0)), line.get("holes", ""), float(line["psnr_mean"])))


def _against_pytorch(rows: Sequence[Row]) -> list[Row]:
    """One line per architecture and type: images per second of JAX and PyTorch."""
    rows = [row for row in rows if row["what"].startswith("Adam, ")]
    return [
        group[0] | {row["what"].removeprefix("Adam, "): row["images_per_s"] for row in group}
        for group in groups(rows, "name", "dtype")
    ]


def _extremes(rows: Sequence[Row]) -> list[Row]:
    """The operators that are slowest and fastest relative to their peers."""
    ranked = sorted(rows, key=lambda row: float(row["ratio"]))
    return ranked if len(ranked) <= LIMIT else [*ranked[: LIMIT // 2], *ranked[-LIMIT // 2 :]]


def _growth(rows: Sequence[Row]) -> list[Row]:
    """One line per part: exponents of the power laws over all sizes, and the overhead at the largest."""
    lines = []
    for group in groups(rows, "part"):
        line = group[-1] | {"sizes": f"{group[0]['size']} to {group[-1]['size']}"}
        for column in ("exponent", "memory_exponent", "overhead"):
            line[column] = f"{float(line[column]) + 0.0:.2f}".replace("-0.00", "0.00") if line.get(column) else ""
        lines.append(line)
    return lines


def _ceilings(rows: Sequence[Row]) -> list[Row]:
    best = [max(group, key=lambda row: float(row["giga_per_s"])) for group in groups(rows, "what", "dtype")]
    return [row | {"rate": f"{row['giga_per_s']} {'GB/s' if row['what'] == 'copy' else 'GFLOP/s'}"} for row in best]


SECTIONS = (
    Section(
        "throughput",
        "How fast is restoration, compared with PyTorch with the same weights?",
        KEY,
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
        "video_holes",
        "How much do earlier frames improve the inpainting of moving holes?",
        ("method", "way", "clip", "size", "holes", "frames"),
        ("method", "holes", "way", "clips", "psnr_1", "psnr_2", "psnr_5", "psnr_20", "psnr_mean"),
        _mean_of_clips,
        timed=False,
        note="PSNR of the first, second, fifth and twentieth frame and of all, averaged over clips.",
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
)
