"""Training progress: a progress bar, JSON lines, TensorBoard."""

import datetime
import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..files.atomic import AnyPath, is_remote, write_atomically
from ..recipe import Recipe
from ..types import Array
from .options import Options


class Validation(NamedTuple):
    """Result of a validation.

    Attributes:
        psnr: mean PSNR of the restored images in dB, by degradation.
        input_psnr: mean PSNR of the degraded images in dB, by degradation.
        images: images ``[height, width, channels]`` in [0, 1] for TensorBoard, by name.
    """

    psnr: dict[str, float]
    input_psnr: dict[str, float]
    images: dict[str, np.ndarray]


class TrainingLogger:
    """Show and write training progress; hosts other than the first only count skipped updates.

    Attributes:
        lines: log lines, oldest first.
        skipped: number of updates skipped because loss or gradient were not finite.
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
        """Open a new log, or continue an existing one.

        Args:
            name: name of the zoo entry.
            recipe: training recipe.
            options: training options.
            workdir: absolute training directory.
            done: steps so far; log lines of later steps, which will be repeated, are dropped.
            console: console for output.
        """
        self._recipe, self._console, self._max_skipped = recipe, console, options.max_skipped
        self._first = jax.process_index() == 0
        self._path = workdir / "log.jsonl"
        self.lines = [line for line in read_log(self._path) if line["step"] <= done] if done else []
        self._seconds_before = max((line.get("seconds", 0.0) for line in self.lines), default=0.0)
        self.skipped = max((line.get("skipped", 0) for line in self.lines), default=0)
        self._consecutive, self._pending, self._named = 0, deque(), 0
        self._start = time.monotonic()
        self._mark = (done, self._start)
        self._board = _open_tensorboard(workdir) if options.tensorboard and self._first else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(10),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  {task.fields[rate]} images/s"),
            TimeRemainingColumn(),
            refresh_per_second=2,
            console=console,
            disable=not (self._first and console.is_terminal),
        )
        self._task = self._bar.add_task(name, total=recipe.steps, completed=done, loss="", rate="")
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
        """Mean validation PSNR by step, oldest first."""
        validations = (line for line in self.lines if "validation_psnr" in line)
        return {line["step"]: float(np.mean(list(line["validation_psnr"].values()))) for line in validations}

    @property
    def start_psnr(self) -> dict[str, float]:
        """Validation PSNR of the entry that is fine-tuned, by degradation; empty for random parameters."""
        return next((line["start_psnr"] for line in self.lines if "start_psnr" in line), {})

    def seconds_at(self, step: int) -> float:
        """Return the wall-clock time of the training up to a step."""
        return next((line["seconds"] for line in reversed(self.lines) if line["step"] <= step), self.seconds)

    @property
    def seconds(self) -> float:
        """Wall-clock time of the training so far, including earlier runs."""
        return self._seconds_before + time.monotonic() - self._start

    def count(self, done: int, metrics: Mapping[str, Array], lag: int = 2) -> None:
        """Count skipped updates, ``lag`` steps late so that the device never waits.

        Raises:
            FloatingPointError: if too many consecutive updates were skipped.
        """
        self._pending.append((done, metrics["skipped"]))
        while len(self._pending) > lag:
            step, skipped = self._pending.popleft()
            self._consecutive = (self._consecutive + 1) * int(skipped)
            self.skipped += int(skipped)
            if self._consecutive >= self._max_skipped:
                raise FloatingPointError(
                    f"the loss or its gradient was not finite in {self._consecutive} steps in a row, the last of them "
                    f"step {step}; lower the learning rate, or check images and degradation"
                )

    def log(self, done: int, metrics: Mapping[str, Array]) -> None:
        """Write a line of metrics; blocks until the step is done."""
        values = {key: float(value) for key, value in metrics.items() if key != "skipped"}
        now = time.monotonic()
        steps, seconds = done - self._mark[0], now - self._mark[1]
        rate = self._recipe.stage_of(done).batch * steps / seconds if steps else None
        self._mark = (done, now)
        numbers = {key: value if math.isfinite(value) else None for key, value in values.items()}
        counts = {"skipped": self.skipped, "skipped_pictures": self._named}
        self._write(step=done, seconds=self.seconds, images_per_second=rate, **numbers, **counts)
        loss, speed = f"{values['loss']:.4f}", "" if rate is None else f"{rate:.0f}"
        self._bar.update(self._task, completed=done, loss=loss, rate=speed)
        if not self._console.is_terminal:
            left = datetime.timedelta(seconds=round((self._recipe.steps - done) * seconds / steps)) if steps else None
            timing = f"  {speed} images/s  time left {left}" if steps else ""
            self._print(f"{self._progress(done)}  loss {loss}{timing}")

    def started(self, validation: Validation) -> None:
        """Write the PSNR of the entry that is fine-tuned."""
        self._write(step=0, seconds=self.seconds, start_psnr=validation.psnr, input_psnr=validation.input_psnr)

    def validated(self, done: int, validation: Validation) -> None:
        """Write and print PSNR by degradation, beside that of the degraded images and of the starting entry."""
        psnr, input_psnr = validation.psnr, validation.input_psnr
        self._write(step=done, seconds=self.seconds, validation_psnr=psnr, input_psnr=input_psnr)
        columns = {"degraded": input_psnr, "start": self.start_psnr, "restored": psnr}
        columns = {name: column for name, column in columns.items() if column}
        self._print(f"{self._progress(done)}  validation PSNR [dB]")
        self._print("".join(f"{name:>10}" for name in columns))
        for degradation in psnr:
            values = "".join(f"{column[degradation]:>10.2f}" for column in columns.values())
            self._print(f"{values}  {degradation}")
        if self._board is not None:
            for name, image in validation.images.items():
                self._board.add_image(f"validation/{name}", np.asarray(image), done, dataformats="HWC")

    def restart_clock(self, done: int) -> None:
        """Exclude the time since the last log line, such as that of a validation, from the rate."""
        self._mark = (done, time.monotonic())

    def name_skipped(self, reasons: Sequence[str]) -> None:
        """Print the reason for each skipped image once, on every host that reads it."""
        for line in reasons[self._named :]:
            self._console.print(f"skipped: {line}", highlight=False, markup=False)
        self._named = len(reasons)

    def _write(self, **values: Any) -> None:
        self.lines.append(values)
        if not self._first:
            return
        if is_remote(self._path):  # bucket objects cannot be appended to
            write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in self.lines))
        else:
            with self._path.open("a") as file:
                file.write(json.dumps(values) + "\n")
        if self._board is not None:
            quality = {f"validation_psnr/{d}": value for d, value in values.get("validation_psnr", {}).items()}
            for key, value in (values | quality).items():
                if isinstance(value, (int, float)) and key != "step":
                    self._board.add_scalar(key, value, values["step"])

    def _progress(self, done: int) -> str:
        return f"step {done} of {self._recipe.steps}"

    def _print(self, text: str) -> None:
        if self._first:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def read_log(path: AnyPath) -> list[dict[str, Any]]:
    """Read the complete lines of a log; a missing log has none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _open_tensorboard(workdir: epath.Path) -> Any:
    try:
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("--tensorboard requires tensorboardX: pip install 'restorax[tensorboard]'") from None
    return SummaryWriter(str(workdir / "tensorboard"))
