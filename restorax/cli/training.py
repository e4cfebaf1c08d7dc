"""Command ``restorax train``."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..train.options import Options
from . import batch as batch_options
from .common import DataDir, console
from .tables import print_line

if TYPE_CHECKING:
    from numpy import ndarray
else:
    ndarray = object  # --help starts without NumPy

_LEAST = 64  # side of images in which noise is measured
STOPPED = 75  # EX_TEMPFAIL of sysexits.h: the same command, run again, continues


def train(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A zoo name that has a recipe; with --recipe, the name of the result.")
    ],
    data: Annotated[
        list[str],
        typer.Option(
            help="Clean images: a folder, or tfds:NAME or tfds:NAME@SPLIT. Also pairs:DIR, frames:DIR, noisy:DIR and "
            "tfds:NAME\\[NOISY,CLEAN]; repeat for stages that mix clean images and pairs."
        ),
    ],
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe as JSON, a model card, or recipe.json of a training directory.")
    ] = None,
    workdir: Annotated[str | None, typer.Option(help="Training directory, also gs://... Default: runs/NAME.")] = None,
    validate: Annotated[
        str | None,
        typer.Option(
            help="Folder of clean validation images, pairs:DIR or frames:DIR. Default: images of scikit-image, or "
            "every tenth of one's own pairs, bursts or noisy images."
        ),
    ] = None,
    value_range: batch_options.Range = None,
    data_name: Annotated[str | None, typer.Option(help="Name of the training images on the card.")] = None,
    data_licence: Annotated[
        str, typer.Option(help="Licence of the training images, for the card.")
    ] = Options.data_licence,
    weights_licence: Annotated[
        str, typer.Option(help="Licence of the parameters, for the card.")
    ] = Options.weights_licence,
    data_dir: DataDir = None,
    in_memory: Annotated[bool, typer.Option("--in-memory", help="Keep all images in device memory.")] = False,
    hardware: Annotated[str, typer.Option(help="Note that the card adds to the detected hardware.")] = "",
    steps: Annotated[int | None, typer.Option(help="Train only the first stage, for N steps.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Global batch size, instead of the recipe's.", min=1)] = None,
    accumulate: Annotated[int | None, typer.Option(help="Gradient accumulation steps per batch.", min=1)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak of the first stage; other stages scale in proportion.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="Loss instead of the recipe's, e.g. neighbor2neighbor.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16, instead of the recipe's.")] = None,
    start: Annotated[str | None, typer.Option(help="Entry, folder or hf:OWNER/NAME to fine-tune; '' for none.")] = None,
    shards: Annotated[int, typer.Option(help="Devices that share one copy of the parameters.", min=1)] = Options.shards,
    resume: Annotated[str, typer.Option(help="auto, or never: refuse a directory with checkpoints.")] = Options.resume,
    log_every: Annotated[int, typer.Option(help="Steps between log lines.", min=1)] = Options.log_every,
    validate_every: Annotated[
        int, typer.Option(help="Steps between validations and checkpoints.", min=1)
    ] = Options.validate_every,
    save_every: Annotated[int | None, typer.Option(help="Steps between further checkpoints.", min=1)] = None,
    keep: Annotated[int, typer.Option(help="Newest checkpoints to keep, besides the best.", min=1)] = Options.keep,
    max_skipped: Annotated[
        int, typer.Option(help="Consecutive non-finite updates that end the training.", min=1)
    ] = Options.max_skipped,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard files too.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Write a profile of ten steps.")] = False,
    coordinator: Annotated[str | None, typer.Option(help="ADDRESS:PORT of process 0 of several.")] = None,
    num_processes: Annotated[int | None, typer.Option(help="Number of processes.", min=1)] = None,
    process_id: Annotated[int | None, typer.Option(help="Index of this process, from 0.", min=0)] = None,
) -> None:
    """Train a recipe and write its zoo entry; an interrupted training resumes.

    Exit codes: 0 when training has finished, 75 when it was stopped and can be resumed, 2 after an error.

    On several hosts, run the same command on each; TPU pods and SLURM jobs are detected automatically, elsewhere give
    --coordinator, --num-processes and --process-id.
    """
    from .. import sources
    from ..memory import keep_freed_memory
    from ..recipe import read_recipe
    from ..recipes import RECIPES
    from ..train import parallel
    from ..train.loop import train as run
    from ..train.step import build_model
    from ..train.validation import validation_of
    from ..zoo import unknown_name

    if recipe is None and name not in RECIPES:
        raise ValueError(unknown_name("recipe", name, list(RECIPES)))
    chosen = (RECIPES[name] if recipe is None else read_recipe(recipe)).adjusted(
        steps=steps,
        batch=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        dtype=dtype,
        start=start,
        loss=loss,
    )
    kinds = sources.kinds_of(data)
    if (adjusted := chosen.for_kinds(kinds)) != chosen:
        print_line(console, f"all stages train on {' and '.join(kinds)} images, not on clean images as in the recipe")
    chosen, limits = adjusted, batch_options.parse_range(value_range)
    options = Options(
        data=data,
        workdir=workdir or str(Path("runs") / name),
        data_name=data_name,
        data_licence=data_licence,
        weights_licence=weights_licence,
        data_dir=data_dir,
        value_range=limits,
        hold_out=validate is None and kinds != ("clean",),
        in_memory=in_memory,
        hardware=hardware,
        shards=shards,
        resume=resume,
        log_every=log_every,
        validate_every=validate_every,
        save_every=save_every,
        keep=keep,
        max_skipped=max_skipped,
        tensorboard=tensorboard,
        profile=profile,
    )
    keep_freed_memory()
    parallel.initialize(coordinator, num_processes, process_id)
    channels = build_model(chosen).channels
    validation = validation_of(validate, data, channels, limits)
    if kinds == ("noisy",) and validate is None:
        _check_noise(list(validation.images.values()))
    entry = run(name, chosen, options, validation)
    if parallel.is_first():
        stopped = f"stopped; the same command resumes from {options.workdir}"
        print_line(console, stopped if entry is None else f"trained: {entry}")
        if entry is not None:
            print_line(console, f"results for its card: restorax eval {entry} --data DIR --write")
    if entry is None:
        raise typer.Exit(STOPPED)


def _check_noise(images: list[ndarray]) -> None:
    """Refuse noisy images without noise, and warn of noise that one image does not tell from the scene."""
    from ..adaptation import measure_noise

    large = [image for image in images if min(image.shape[:2]) >= _LEAST]
    if not large:
        return
    noise = measure_noise(large)
    if not noise.visible:
        raise ValueError(f"{noise.obstacle}; give pairs of degraded and clean images")
    if noise.obstacle:
        warnings.warn(
            f"{noise.obstacle}; a loss for such noise, two shots of each scene, or pairs are needed", stacklevel=2
        )
