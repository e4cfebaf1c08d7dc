"""Training progress: a progress bar, JSON lines, TensorBoard."""

import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..files import is_remote, write_atomically
from ..recipe import Recipe
from ..types import Array
from .options import Options


class TrainingLogger:
    """Shows and writes training progress; on all hosts but the first it only counts.

    Attributes:
        lines: what has been logged, oldest first.
        skipped: updates that were skipped because loss or gradient were not finite.
    """

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        options: Options,
        workdir: epath.Path,
        done: int,
        console: Console,
    ):
        """Continue the log of a training.

        Args:
            name: of the result.
            recipe: what is trained.
            options: whether to write ``workdir/tensorboard`` too, and how many skipped updates end the training.
            workdir: absolute training directory.
            done: steps so far; lines of later ones, which will be repeated, are dropped.
            console: where to print.
        """
        self._recipe, self._console, self._max_skipped = recipe, console, options.max_skipped
        self._first = jax.process_index() == 0
        self._path = workdir / "log.jsonl"
        self.lines = [line for line in read_log(self._path) if line["step"] <= done]
        self._seconds_before = max((line.get("seconds", 0.0) for line in self.lines), default=0.0)
        self.skipped = max((line.get("skipped", 0) for line in self.lines), default=0)
        self._in_a_row, self._pending, self._named = 0, deque(), 0
        self._start = time.monotonic()
        self._mark = (done, self._start)
        self._board = _open_tensorboard(workdir) if options.tensorboard and self._first else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  psnr {task.fields[psnr]}  {task.fields[rate]} images/s"),
            TimeRemainingColumn(),
            refresh_per_second=2,
            console=console,
            disable=not (self._first and console.is_terminal),
        )
        self._task = self._bar.add_task(name, total=recipe.steps, completed=done, loss="", psnr="", rate="")
        if self._first:
            write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in self.lines))

    def __enter__(self) -> "TrainingLogger":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._board is not None:
            self._board.close()

    @property
    def qualities(self) -> dict[int, float]:
        """Mean PSNR of all validations by step, oldest first."""
        validations = (line for line in self.lines if "validation_psnr" in line)
        return {line["step"]: float(np.mean(list(line["validation_psnr"].values()))) for line in validations}

    def seconds_at(self, step: int) -> float:
        """Wall-clock time of the training when it reached a step."""
        return next((line["seconds"] for line in reversed(self.lines) if line["step"] <= step), self.seconds)

    @property
    def seconds(self) -> float:
        """Wall-clock time of the training so far, earlier runs included."""
        return self._seconds_before + time.monotonic() - self._start

    def count(self, done: int, metrics: Mapping[str, Array], lag: int = 2) -> None:
        """Count skipped updates, a few steps late so that the device never waits.

        Raises:
            FloatingPointError: if too many updates in a row were skipped.
        """
        self._pending.append((done, metrics["skipped"]))
        while len(self._pending) > lag:
            step, skipped = self._pending.popleft()
            self._in_a_row = (self._in_a_row + 1) * int(skipped)
            self.skipped += int(skipped)
            if self._in_a_row >= self._max_skipped:
                raise FloatingPointError(
                    f"the loss or its gradient was not finite in {self._in_a_row} steps in a row, the last of them "
                    f"step {step}; lower the learning rate, or look at the pictures and the degradation"
                )

    def log(self, done: int, metrics: Mapping[str, Array]) -> None:
        """Write a line of metrics; waits for the step."""
        values = {key: float(value) for key, value in metrics.items() if key != "skipped"}
        now = time.monotonic()
        rate = self._recipe.stage_of(done).batch * (done - self._mark[0]) / (now - self._mark[1])
        self._mark = (done, now)
        numbers = {key: value if math.isfinite(value) else None for key, value in values.items()}
        counts = {"skipped": self.skipped, "skipped_pictures": self._named}
        self._write(step=done, seconds=self.seconds, images_per_second=rate, **numbers, **counts)
        self._show(done, loss=f"{values['loss']:.4f}", rate=f"{rate:.0f}")

    def validated(self, done: int, quality: Mapping[str, float], pictures: Mapping[str, np.ndarray]) -> None:
        """Write PSNR by degradation, and restored pictures ``[height, width, channels]`` for TensorBoard."""
        self._write(step=done, seconds=self.seconds, validation_psnr=dict(quality))
        self._show(done, psnr=" ".join(f"{value:.2f}" for value in quality.values()))
        if self._board is not None:
            for name, picture in pictures.items():
                self._board.add_image(f"validation/{name}", np.asarray(picture), done, dataformats="HWC")
        self._mark = (done, time.monotonic())

    def name_skipped(self, pictures: Sequence[str]) -> None:
        """Name the pictures that turned out to be of no use, each once, on every host that meets them."""
        for line in pictures[self._named :]:
            self._console.print(f"skipped: {line}", highlight=False, markup=False)
        self._named = len(pictures)

    def _write(self, **values: Any) -> None:
        self.lines.append(values)
        if not self._first:
            return
        if is_remote(self._path):  # objects in a bucket cannot grow
            write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in self.lines))
        else:
            with self._path.open("a") as file:
                file.write(json.dumps(values) + "\n")
        if self._board is not None:
            quality = {f"validation_psnr/{d}": value for d, value in values.get("validation_psnr", {}).items()}
            for key, value in (values | quality).items():
                if isinstance(value, (int, float)) and key != "step":
                    self._board.add_scalar(key, value, values["step"])

    def _show(self, done: int, **fields: str) -> None:
        self._bar.update(self._task, completed=done)
        self._bar.tasks[0].fields.update(fields)
        if self._first and not self._console.is_terminal:
            shown = "  ".join(f"{'images/s' if key == 'rate' else key} {value}" for key, value in fields.items())
            self._console.print(f"step {done} of {self._recipe.steps}  {shown}", highlight=False)


def read_log(path: epath.Path) -> list[dict[str, Any]]:
    """The complete lines of a log; none if there is no log."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _open_tensorboard(workdir: epath.Path) -> Any:
    try:
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("--tensorboard needs the package tensorboardX: pip install 'restorax[tensorboard]'") from None
    return SummaryWriter(str(workdir / "tensorboard"))
