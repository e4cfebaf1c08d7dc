"""The command line: restorax restore | degrade | convert | export | list | info | demo | train | eval | data."""

import collections
import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Image restoration in JAX.",
)
data_app = typer.Typer(no_args_is_help=True, help="Training data.")
app.add_typer(data_app, name="data")
console = Console()
errors = Console(stderr=True)

Name = Annotated[str, typer.Argument(help="A zoo name (see 'restorax list') or a folder with a card.")]
Model = Annotated[str, typer.Option("--model", help="A zoo name (see 'restorax list') or a folder with a card.")]
Source = Annotated[Path, typer.Argument(metavar="IN", help="A picture, or a folder of pictures.")]
DataDir = Annotated[str | None, typer.Option(help="Where TFDS datasets lie [TFDS's own place].")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="Picture to write; a folder if IN is one.")]


def main() -> None:
    """Run the command line; a mistake of the user's ends in one line and exit code 2."""
    try:
        app()
    except (ValueError, TypeError, OSError, FloatingPointError, ImportError) as error:
        errors.print(
            f"restorax: {' '.join(str(error).split())}",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        sys.exit(2)


@app.command()
def restore(
    source: Source,
    target: Target,
    model: Model,
    mask: Annotated[
        Path | None,
        typer.Option(help="Picture that is white where pixels are known, or a folder with NAME-mask.png for each."),
    ] = None,
    strength: Annotated[
        float | None, typer.Option(help="Noise level in [0, 1], or JPEG quality / 100, for restorers that take one.")
    ] = None,
    tile: Annotated[int | None, typer.Option(help="Side of tiles in pixels; chosen from memory by default.")] = None,
    ensemble: Annotated[bool, typer.Option("--ensemble", help="Average over eight turns: better, 8 x slower.")] = False,
) -> None:
    """Restore a picture, or every picture of a folder; with a network of frames, a folder of frames or an animation."""
    from . import video, zoo
    from .image import read
    from .restore import restore_file

    restorer = zoo.load(model)
    if video.takes_frames(restorer):
        if tile or ensemble:
            raise ValueError(f"{restorer.card.name} restores whole frames, each once: no --tile, no --ensemble")
        if strength is not None:
            raise ValueError(f"{restorer.card.name} takes no strength")
        with Progress(console=console) as bar:
            task = bar.add_task("restoring frames", total=1.0)
            video.restore_video(
                restorer, source, target, mask=mask, progress=lambda share: bar.update(task, completed=share)
            )
        return
    pairs = [(one, out) for one, out in _pairs(source, target) if not (mask and one.stem.endswith("-mask"))]
    if not pairs:
        raise ValueError(f"{source} holds nothing but masks; a picture beside them is needed")
    if restorer.card.channels == 1 and read(pairs[0][0]).pixels.shape[2] == 3:
        console.print(f"{restorer.card.name} is a gray restorer: it is applied to each colour channel by itself.")
    with Progress(console=console) as bar:
        task = bar.add_task("restoring", total=len(pairs))
        for done, (one, out) in enumerate(pairs):
            bar.update(task, description=one.name)
            restore_file(
                restorer,
                one,
                out,
                mask=mask / f"{one.stem}-mask.png" if mask and mask.is_dir() else mask,
                strength=strength,
                tile=tile,
                ensemble=ensemble,
                progress=lambda share, done=done: bar.update(task, completed=done + share),
            )
            bar.update(task, completed=done + 1)


@app.command()
def degrade(
    source: Source,
    target: Target,
    operators: Annotated[
        str, typer.Option("--with", help="e.g. 'gaussian_noise(sigma=25/255) + jpeg(quality=30)', or a preset.")
    ],
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Degrade a picture, or every picture of a folder; a mask, or a noise level, goes beside it as NAME-mask.png."""
    import jax
    import numpy as np

    from . import image
    from .degrade import parse

    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed {seed} is out of range; whole numbers from -2**63 to 2**63 - 1 are accepted")
    operation, pairs = parse(operators), _pairs(source, target)
    masks = [out.with_name(f"{out.stem}-mask.png") for _, out in pairs]
    written = collections.Counter(masks + [out for _, out in pairs])
    twice = next((mask.name for mask in masks if written[mask] > 1), None)
    for index, (one, out) in enumerate(pairs):
        picture = image.read(one)
        observed = operation(jax.random.fold_in(jax.random.key(seed), index), jax.numpy.asarray(picture.pixels))
        if observed.image.shape != picture.pixels.shape:
            raise ValueError(f"{operators!r} makes several pictures of one; an operator that makes one is needed")
        if observed.condition is not None and twice:
            raise ValueError(f"{twice} would be written twice; names must differ by more than the suffix, or -mask")
        image.write(out, picture.with_pixels(np.asarray(observed.image)))
        if observed.condition is not None:
            image.write(masks[index], image.Picture(np.asarray(observed.condition[..., :1])))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Weights: .safetensors, .pth or .mat.")],
    architecture: Annotated[str, typer.Option("--as", help="Architecture, e.g. dncnn, drunet, nafnet.")],
    out: Annotated[Path, typer.Option(help="Folder of the new entry.")],
    licence: Annotated[str, typer.Option(help="Of the weights, for the card.")] = "not stated",
    degradation: Annotated[
        str, typer.Option(help="What they undo, e.g. 'gaussian_noise(sigma=25/255)'.")
    ] = "not stated",
    member: Annotated[str | None, typer.Option(help="Which network, if SOURCE holds several.")] = None,
) -> None:
    """Turn published weights of PyTorch or MatConvNet into an entry for --model."""
    from .convert import convert as run
    from .degrade import parse

    if degradation != "not stated":
        parse(degradation)
    card = run(source, architecture, out, licence=licence, degradation=degradation, member=member)
    console.print(
        f"{card.architecture} with {card.parameters:,} parameters: {out} (restorax info {out} shows its card)"
    )


@app.command()
def export(
    name: Name,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH of the images [any, where the network can].")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="Where it shall run [cpu, cuda and tpu].")] = None,
) -> None:
    """Write a restorer as one file of StableHLO that needs JAX alone, neither this package nor Flax."""
    from . import zoo
    from .export import PLATFORMS
    from .export import export as run
    from .files import written_beside

    sides = (size or "").split("x")
    if size and not (len(sides) == 2 and all(side.isdecimal() for side in sides)):
        raise ValueError(f"size {size!r} is not understood; write e.g. 512x768, height first")
    shape = (int(sides[0]), int(sides[1])) if size else None
    content = run(zoo.load(name), size=shape, platforms=platform or PLATFORMS).serialize()
    with written_beside(target) as beside:
        beside.write_bytes(content)
    console.print(f"{target}: {len(content) / 1e6:.1f} MB, for jax.export.deserialize")


@app.command("list")
def list_() -> None:
    """List the published restorers."""
    from . import zoo

    table = Table()
    for heading in ("name", "undoes", "parameters", "TFLOP/Mpx", "result"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for name in zoo.list_models():
        card = zoo.Card.read(zoo.find(name))
        middle = card.evaluation[len(card.evaluation) // 2] if card.evaluation else None
        result = next((r for r in card.results if r.degradation == middle), None)
        shown = f"{result.psnr:.2f} dB on {result.dataset}, {result.degradation}" if result else ""
        size = f"{card.parameters / 1e6:.2f} M"
        table.add_row(name, card.degradation, size, f"{card.flops_per_megapixel / 1e12:.2f}", shown)
    console.print(table)


@app.command()
def info(name: Name) -> None:
    """Show the card of a restorer."""
    from . import zoo

    card = zoo.verify(name)
    table = Table(show_header=False)
    for field in dataclasses.fields(card):
        if field.name not in ("results", "elsewhere"):
            table.add_row(field.name, str(getattr(card, field.name)))
    console.print(table)
    if card.results:
        console.print(_results_table(card.results))
    if card.elsewhere:
        console.print(_results_table(card.elsewhere, title="on what it was not trained for"))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the side-by-side pictures.")] = Path("demo"),
) -> None:
    """Restore photographs with every published restorer: pictures on disk, quality as a table."""
    from . import demo as demonstration

    console.print(_results_table(demonstration.run(out, console), by="model"))
    console.print(f"degraded | restored | clean, side by side: {out.resolve()}")


@app.command()
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
    from . import data as sources
    from .memory import keep_freed_memory
    from .recipes import RECIPES
    from .train import parallel
    from .train.loop import train as run
    from .train.step import build_model
    from .zoo import unknown_name

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


@app.command("eval")
def evaluate(
    data: Annotated[list[Path], typer.Option(help="Folder of clean test pictures; may be given several times.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Zoo names or folders.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every published restorer.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Store the results in the cards.")] = False,
) -> None:
    """Measure PSNR and SSIM by the protocol of the cards, also of what the restorers were not trained on."""
    from . import zoo
    from .data import other_images, test_images
    from .evaluation import evaluate as measure
    from .restore import restore

    if bool(names) == every:
        raise ValueError("name the restorers to measure, or give --all")
    folders = {folder.resolve().name: folder for folder in data}
    if len(folders) < len(data):
        raise ValueError(f"{', '.join(map(str, data))}: two have one name, by which cards tell test sets apart")
    for name in names or zoo.list_models():
        restorer = zoo.load(name)
        run = lambda *observed, restorer=restorer: restore(restorer, *observed)  # noqa: E731
        card, channels = restorer.card, restorer.card.channels
        if not card.evaluation:
            raise ValueError(f"the card of {card.name} has no evaluation; name at least one degradation in it")
        sets = {title: test_images(folder, channels) for title, folder in folders.items()}
        results, outside, kinds = (
            [
                measure(run, pictures, degradation, dataset=name)
                for name, pictures in these.items()
                for degradation in degradations
            ]
            for these, degradations in (
                (sets, card.evaluation),
                (sets, card.beyond),
                (other_images(channels), card.evaluation),
            )
        )
        console.print(_results_table(results, title=card.name))
        console.print(_results_table(outside + kinds, title=f"{card.name}, on what it was not trained for"))
        if write:
            dataclasses.replace(card, results=results, elsewhere=outside + kinds).write(zoo.find(name))


@data_app.command("prepare")
def prepare_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of clean pictures.")],
    name: Annotated[str, typer.Option(help="Of the dataset.")],
    data_dir: DataDir = None,
    validation: Annotated[float, typer.Option(help="Share of pictures for the split 'validation'.")] = 0.0,
    licence: Annotated[str, typer.Option(help="Terms of the pictures, for the card.")] = "not stated",
) -> None:
    """Turn a folder into a TFDS dataset, which 'restorax train --data tfds:NAME' reads."""
    from .prepare import prepare

    card = prepare(folder, name, data_dir=data_dir, validation=validation, licence=licence)
    for line in card["skipped"]:
        console.print(f"skipped: {line}", highlight=False, markup=False)
    splits = ", ".join(f"{count} in {split}" for split, count in card["splits"].items())
    console.print(f"{name}: {splits}, {len(card['skipped'])} skipped; restorax train ... --data tfds:{name} reads it")


@data_app.command("check")
def check_data(name: Annotated[str, typer.Argument(help="Of the dataset.")], data_dir: DataDir = None) -> None:
    """Compare the files of a prepared dataset with the sums in its card."""
    from .prepare import check

    console.print(f"{name}: {len(check(name, data_dir=data_dir)['sha256'])} files are what was written")


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Input and output files; says what is wrong before anything is computed."""
    from .image import SUFFIXES, list_pictures

    if source.is_dir():
        pictures = list_pictures(source)
        target.mkdir(parents=True, exist_ok=True)
        return [(one, target / one.name) for one in pictures]
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file")
    if target.is_dir():
        target = target / source.name
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{target}: unknown suffix {target.suffix!r}; accepted are {', '.join(SUFFIXES)}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: no such folder to write {target.name} in")
    return [(source, target)]


def _results_table(results: list, title: str | None = None, by: str = "set") -> Table:
    table = Table(title=title)
    blocks = any(r.psnr_b is not None for r in results)
    for heading in (by, "degradation", "images", "PSNR before", "PSNR after", "SSIM after", *["PSNR-B after"] * blocks):
        table.add_column(heading, overflow="fold", no_wrap=heading == by)
    for r in results:
        numbers = [f"{r.input_psnr:.2f}", f"{r.psnr:.2f}", f"{r.ssim:.4f}"]
        numbers += ["" if r.psnr_b is None else f"{r.psnr_b:.2f}"] * blocks
        table.add_row(r.dataset, r.degradation, str(r.images), *numbers)
    return table


if __name__ == "__main__":
    main()
