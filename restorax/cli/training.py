"""The command that trains."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from .common import DataDir, console


def train(
    name: Annotated[str, typer.Argument(help="A zoo name that has a recipe.")],
    data: Annotated[str, typer.Option(help="Clean pictures: a folder, or tfds:NAME[@SPLIT].")],
    workdir: Annotated[str | None, typer.Option(help="Training directory, also gs://... [runs/NAME].")] = None,
    validate: Annotated[Path | None, typer.Option(help="Folder of validation pictures [scikit-image's].")] = None,
    data_name: Annotated[str | None, typer.Option(help="What the card calls the training pictures.")] = None,
    data_licence: Annotated[str, typer.Option(help="Their terms, for the card.")] = "not stated",
    data_dir: DataDir = None,
    in_memory: Annotated[bool, typer.Option("--in-memory", help="Keep all pictures in device memory.")] = False,
    hardware: Annotated[str, typer.Option(help="What the card adds to the hardware that was found.")] = "",
    steps: Annotated[int | None, typer.Option(help="In one cycle, instead of the recipe's.", min=1)] = None,
    batch: Annotated[int | None, typer.Option(help="Over all devices, instead of the recipe's.", min=1)] = None,
    accumulate: Annotated[int | None, typer.Option(help="Parts of a batch, one after the other.", min=1)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak of the first cycle, instead of the recipe's.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16, instead of the recipe's.")] = None,
    start: Annotated[
        str | None, typer.Option(help="Entry or folder whose parameters to begin with; '' for fresh ones.")
    ] = None,
    shards: Annotated[int, typer.Option(help="Devices that share one copy of the parameters.", min=1)] = 1,
    resume: Annotated[str, typer.Option(help="auto, or never: refuse a directory with checkpoints.")] = "auto",
    validate_every: Annotated[int, typer.Option(help="Steps between validations and checkpoints.", min=1)] = 2500,
    save_every: Annotated[int | None, typer.Option(help="Steps between further checkpoints.", min=1)] = None,
    keep: Annotated[int, typer.Option(help="Newest checkpoints that stay, besides the best.", min=1)] = 2,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard files too.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Write a profile of ten steps.")] = False,
    coordinator: Annotated[str | None, typer.Option(help="ADDRESS:PORT of process 0 of several.")] = None,
    num_processes: Annotated[int | None, typer.Option(help="How many processes there are.", min=1)] = None,
    process_id: Annotated[int | None, typer.Option(help="Which one this is, from 0.", min=0)] = None,
) -> None:
    """Train a recipe and write its zoo entry; an interrupted training resumes.

    On several hosts, run the same command on each; TPU pods and SLURM jobs find each other, elsewhere give
    --coordinator, --num-processes and --process-id.
    """
    from .. import data as sources
    from ..memory import keep_freed_memory
    from ..recipes import RECIPES
    from ..train import parallel
    from ..train.loop import train as run
    from ..train.step import build_model
    from ..zoo import unknown_name

    if name not in RECIPES:
        raise ValueError(unknown_name("recipe", name, list(RECIPES)))
    for option, value, accepted in (
        ("dtype", dtype, (None, "float32", "bfloat16")),
        ("resume", resume, ("auto", "never")),
    ):
        if value not in accepted:
            raise ValueError(f"{option} {value!r} is unknown; accepted are {' and '.join(filter(None, accepted))}")
    keep_freed_memory()
    parallel.initialize(coordinator, num_processes, process_id)
    changes = {"cycles": None if steps is None else (steps,), "batch": batch, "accumulate": accumulate, "dtype": dtype}
    changes |= {"learning_rate": learning_rate, "start": start}
    changes = {key: value for key, value in changes.items() if value is not None}
    later = {} if steps else {key: value for key, value in RECIPES[name].later.items() if key not in changes}
    recipe = dataclasses.replace(RECIPES[name], later=later, **changes)
    channels = build_model(recipe).channels
    pictures = sources.test_images(validate, channels) if validate else sources.sample_images(channels)
    workdir = workdir or str(Path("runs") / name)
    entry = run(
        name,
        recipe,
        folder=data,
        workdir=workdir,
        validation=pictures,
        data_name=data_name,
        data_licence=data_licence,
        data_dir=data_dir,
        in_memory=in_memory,
        hardware=hardware,
        shards=shards,
        resume=resume,
        validate_every=validate_every,
        save_every=save_every,
        keep=keep,
        tensorboard=tensorboard,
        profile=profile,
    )
    if not parallel.is_first():
        return
    if entry is None:
        console.print(f"stopped; the same command resumes from {workdir}")
    else:
        said = f"trained: {entry} (restorax eval {entry} --data DIR --write measures it for its card)"
        console.print(said, soft_wrap=True, markup=False)
