"""Commands on image files: restore and degrade."""

import collections
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from .common import Model, Source, Target, console
from .tables import print_line

Force = Annotated[bool, typer.Option("--force", help="Allow OUT to replace IN or the mask.")]
Quality = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        help="Quality of JPEG, WebP, AVIF and HEIC. Default: that of IN or 95, the higher.",
    ),
]
Range = Annotated[
    str | None,
    typer.Option("--range", metavar="LOW,HIGH", help="Stored values of black and white, e.g. of floating-point TIFF."),
]
MaxPixels = Annotated[int | None, typer.Option(min=1, help="Largest image to read. Default: 178956970 pixels.")]


def restore(
    source: Source,
    target: Target,
    model: Model,
    mask: Annotated[
        Path | None,
        typer.Option(help="Mask image, white where pixels are known, or a folder with NAME-mask.png for each image."),
    ] = None,
    mask_marks: Annotated[
        str | None, typer.Option(help="What white marks in the mask: known (default) or damaged pixels.")
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Noise level in [0, 1], or JPEG quality / 100, for restorers that need it.")
    ] = None,
    tile: Annotated[int | None, typer.Option(help="Side of a tile in pixels. Default: what fits in memory.")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Average over flips and rotations: better, 8 times slower.")
    ] = False,
    quality: Quality = None,
    value_range: Range = None,
    max_pixels: MaxPixels = None,
    force: Force = False,
) -> None:
    """Restore an image, or every image of a folder; video restorers take a folder of frames or an animation.

    White in a mask marks known pixels, as in NAME-mask.png of 'restorax degrade'. For masks in which white marks the
    damage, as inpainting tools often paint it, give --mask-marks damaged.
    """
    from .. import video, zoo
    from ..files.image import list_pictures, read
    from ..inference import describe_fit, restore_file

    restorer = zoo.load(model)
    if restorer.model.takes_frames:
        if tile or ensemble:
            raise ValueError(f"{restorer.card.name} restores whole frames; omit --tile and --ensemble")
        if strength is not None:
            raise ValueError(f"{restorer.card.name} takes no strength")
        frames = list_pictures(source) if source.is_dir() else [source]
        _check_replaced([target / one.name for one in frames] if source.is_dir() else [target], [*frames, mask], force)
        with Progress(console=console) as bar:
            task = bar.add_task("restoring frames", total=1.0)
            progress = lambda share: bar.update(task, completed=share)  # noqa: E731
            video.restore_video(
                restorer,
                source,
                target,
                mask=mask,
                mask_marks=mask_marks,
                value_range=_limits(value_range),
                max_pixels=max_pixels,
                quality=quality,
                progress=progress,
            )
        return
    pairs = [(one, out) for one, out in _pairs(source, target) if not (mask and one.stem.endswith("-mask"))]
    if not pairs:
        raise ValueError(f"{source} contains only masks; add the images")
    masks = [_mask_of(one, mask) for one, _ in pairs]
    _check_replaced([out for _, out in pairs], [*(one for one, _ in pairs), *masks], force)
    limits = _limits(value_range)
    if remark := describe_fit(restorer, read(pairs[0][0], value_range=limits, max_pixels=max_pixels).pixels):
        print_line(console, f"{pairs[0][0].name}: {remark}.")
    with Progress(console=console) as bar:
        task = bar.add_task("restoring", total=len(pairs))
        for done, (one, out) in enumerate(pairs):
            bar.update(task, description=one.name)
            restore_file(
                restorer,
                one,
                out,
                mask=_mask_of(one, mask),
                mask_marks=mask_marks,
                strength=strength,
                tile=tile,
                ensemble=ensemble,
                value_range=limits,
                max_pixels=max_pixels,
                quality=quality,
                progress=lambda share, done=done: bar.update(task, completed=done + share),
            )
            bar.update(task, completed=done + 1)


def degrade(
    source: Source,
    target: Target,
    operators: Annotated[
        str,
        typer.Option(
            "--with", help="Degradation, e.g. 'gaussian_noise(sigma=25/255) + jpeg(quality=30)', or a preset."
        ),
    ],
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    quality: Quality = None,
    value_range: Range = None,
    max_pixels: MaxPixels = None,
    force: Force = False,
) -> None:
    """Degrade an image, or every image of a folder. A mask or noise level is written as NAME-mask.png."""
    import jax
    import numpy as np

    from ..degrade import parse
    from ..files import image
    from ..files.frames import read_single

    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be from -2**63 to 2**63 - 1, got {seed}")
    operation, pairs = parse(operators), _pairs(source, target)
    _check_replaced([out for _, out in pairs], [one for one, _ in pairs], force)
    masks = [out.with_name(f"{out.stem}-mask.png") for _, out in pairs]
    written = collections.Counter(masks + [out for _, out in pairs])
    twice = next((mask.name for mask in masks if written[mask] > 1), None)
    for index, (one, out) in enumerate(pairs):
        picture = read_single(one, value_range=_limits(value_range), max_pixels=max_pixels)
        inputs = jax.random.fold_in(jax.random.key(seed), index), jax.numpy.asarray(picture.pixels)
        if jax.eval_shape(operation, *inputs).image.shape != picture.pixels.shape:
            raise ValueError(f"{operators!r} returns several images; use a degradation that returns one")
        observed = operation(*inputs)
        if observed.condition is not None and twice:
            raise ValueError(f"{twice} would be written twice; file names must differ in more than suffix and -mask")
        if observed.condition is not None:
            _check_replaced(masks, [one for one, _ in pairs], force)
        image.write(out, picture.with_pixels(np.asarray(observed.image)), quality=quality)
        if observed.condition is not None:
            image.write(masks[index], image.Picture(np.asarray(observed.condition[..., :1])))


def _limits(value_range: str | None) -> tuple[float, float] | None:
    """Read ``LOW,HIGH``."""
    if value_range is None:
        return None
    try:
        low, high = map(float, value_range.split(","))
    except ValueError:
        raise ValueError(f"--range must be two numbers LOW,HIGH, got {value_range!r}") from None
    return low, high


def _mask_of(picture: Path, mask: Path | None) -> Path | None:
    """Return the mask of an image file."""
    return mask / f"{picture.stem}-mask.png" if mask and mask.is_dir() else mask


def _check_replaced(outputs: Iterable[Path], inputs: Iterable[Path | None], force: bool) -> None:
    """Refuse to replace an input, also by another path or link to it, without --force."""
    originals = {_identity(path) for path in inputs if path and path.exists()}
    for path in outputs:
        if not force and path.exists() and _identity(path) in originals:
            raise ValueError(f"{path} is an input file; give another OUT, or --force to replace it")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Pair input and output files; fail before anything is computed."""
    from ..files.image import SUFFIXES, list_pictures

    if source.is_dir():
        pictures = list_pictures(source)
        target.mkdir(parents=True, exist_ok=True)
        return [(one, target / one.name) for one in pictures]
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file")
    if target.is_dir():
        target = target / source.name
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{target}: unknown suffix {target.suffix!r}; use one of {', '.join(SUFFIXES)}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: no such folder; cannot write {target.name}")
    return [(source, target)]
