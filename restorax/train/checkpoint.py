"""Training checkpoints: Orbax arrays, verified by a manifest of SHA-256 checksums."""

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

from ..files.atomic import absolute
from ..types import Params
from .step import TrainState

_MANIFEST, _QUALITY = "manifest.sha256", "quality.json"


class Checkpoints:
    """Checkpoints of one training directory: the newest few and the best.

    Saving is asynchronous; leaving the ``with`` block waits for it. A checkpoint is valid only while its manifest
    exists, which makes saving and deleting atomic. All hosts of a job write their part and must call :meth:`save`,
    :meth:`restore` and :meth:`best` together.
    """

    def __init__(self, workdir: str | os.PathLike, *, keep: int = 2, tell: Callable[[str], Any] = print):
        """Open ``workdir/checkpoints``; the first :meth:`save` creates it.

        Args:
            workdir: training directory.
            keep: number of newest checkpoints to keep, besides the best.
            tell: callback for messages about damaged checkpoints.
        """
        self._folder = absolute(workdir) / "checkpoints"  # Orbax requires absolute paths
        self._keep, self._tell = keep, tell
        self._orbax = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler())
        self._finisher, self._finishing = ThreadPoolExecutor(1), Future()
        self._finishing.set_result(None)
        self._saved, self._swept = None, False

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._finishing.result()
        self._finisher.shutdown()
        self._orbax.close()

    def steps(self) -> list[int]:
        """Return the steps of complete checkpoints, oldest first."""
        if not self._folder.exists():
            return []
        found = sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdecimal())
        return [step for step in found if (self._folder / str(step) / _MANIFEST).exists()]

    def latest(self) -> int | None:
        """Return the newest complete step, or ``None``."""
        return _agree(max(self.steps(), default=None) if jax.process_index() == 0 else None)

    def best(self) -> int | None:
        """Return the intact step with the highest quality, or ``None`` if no checkpoint was saved with a quality.

        Damaged checkpoints are reported and set aside.
        """
        self._finishing.result()
        return _agree(self._last_intact(self._rated(self.steps()))[0] if jax.process_index() == 0 else None)

    def save(self, state: TrainState, quality: float | None = None) -> None:
        """Start writing the state, unless its step has just been saved or restored.

        Args:
            state: training state.
            quality: validation quality of its averaged parameters; the best checkpoint is kept.
        """
        step = int(state.step)
        if step == self._saved:
            return
        self._finishing.result()
        if not self._swept and jax.process_index() == 0:
            self._sweep()
        # Copy: the caller donates the state to the next step before writing ends.
        copy = jax.tree.map(jnp.copy, state)
        self._orbax.save(self._folder / str(step), args=ocp.args.PyTreeSave(copy))
        self._saved, self._finishing = step, self._finisher.submit(self._finish, step, quality)

    def restore(self, like: TrainState) -> TrainState:
        """Read the newest intact state; damaged ones are reported and set aside.

        Args:
            like: a state of the same structure, or its shapes; it determines types and sharding.

        Returns:
            The stored state.

        Raises:
            FileNotFoundError: if there is no checkpoint.
            ValueError: if all are damaged, or the structure differs.
        """
        self._saved = self._intact()
        return self._read(self._saved, like)

    def restore_average(self, like: Params, step: int) -> Params:
        """Read only the averaged parameters.

        Args:
            like: parameters of the same structure, or their shapes; they determine types and sharding.
            step: step of the checkpoint.

        Returns:
            The parameters to publish.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            ValueError: if it is damaged, or the structure differs.
        """
        return self._read(self._intact(step), {"ema": like})["ema"]

    def _read(self, step: int, like: Any) -> Any:
        folder = self._folder / str(step)
        # Check first: Orbax casts types silently, and leaves pending reads if a shape is wrong.
        stored, expected = _shapes(cast(Any, self._orbax.metadata(folder).item_metadata).tree), _shapes(like)
        for name in sorted(expected.keys() | (stored.keys() if isinstance(like, TrainState) else set())):
            if stored.get(name) != expected.get(name):
                found, required = (tree.get(name, "nothing") for tree in (stored, expected))
                raise ValueError(f"checkpoint {step} is of another training: {name} must be {required}, got {found}")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        arguments = ocp.args.PyTreeRestore(
            abstract,
            restore_args=ocp.checkpoint_utils.construct_restore_args(abstract),
            partial_restore=not isinstance(like, TrainState),
        )
        return self._orbax.restore(folder, args=arguments)

    def _intact(self, requested: int | None = None) -> int:
        """Return the requested step, or the newest, if intact; process 0 decides for all."""
        self._finishing.result()
        chosen, damage, message = None, "", f"{self._folder} contains no checkpoint"
        if jax.process_index() == 0:
            steps = self.steps()
            if requested is not None:
                message += f" of step {requested}; available: {', '.join(map(str, steps)) or 'none'}"
                steps = [step for step in steps if step == requested]
            chosen, damage = self._last_intact(steps)
        chosen = _agree(chosen)
        if chosen is None:
            raise ValueError(damage) if damage else FileNotFoundError(message)
        return chosen

    def _last_intact(self, steps: list[int]) -> tuple[int | None, str]:
        """Return the last intact step and the latest message about damage; set damaged checkpoints aside."""
        message = ""
        for step in reversed(steps):
            problem = self._problem(step)
            if problem is None:
                return step, message
            names = (f"damaged-{step}" + f"-{number}" * (number > 1) for number in itertools.count(1))
            aside = next(path for name in names if not (path := self._folder / name).exists())
            message = f"checkpoint {step} is damaged: {problem}; set aside as {aside.name}"
            self._tell(message)
            (self._folder / str(step)).rename(aside)
        return None, message

    def _problem(self, step: int) -> str | None:
        """Describe a mismatch with the manifest of a step, or return ``None``."""
        folder = self._folder / str(step)
        expected, found = (folder / _MANIFEST).read_bytes(), _manifest(folder)
        if expected == found:
            return None
        differing = set(found.splitlines()) - set(expected.splitlines())
        names = sorted(line.decode().partition("  ")[2] for line in differing)
        more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        return f"{names[0] if names else 'its manifest'}{more} changed since saving"

    def _finish(self, step: int, quality: float | None) -> None:
        """Wait for the arrays, write the manifest, and remove old checkpoints."""
        self._orbax.wait_until_finished()
        if jax.process_index() != 0:
            return
        folder = self._folder / str(step)
        if quality is not None:
            (folder / _QUALITY).write_text(json.dumps(quality))
        beside = folder / f".{_MANIFEST}"
        beside.write_bytes(_manifest(folder))
        beside.replace(folder / _MANIFEST)
        steps = self.steps()
        for old in set(steps[: -self._keep]) - set(self._rated(steps)[-1:]):
            self._delete(self._folder / str(old))

    def _rated(self, steps: list[int]) -> list[int]:
        """Return the steps with a readable quality, best last."""
        qualities = ((self._quality(step), step) for step in steps)
        return [step for _, step in sorted(pair for pair in qualities if pair[0] is not None)]

    def _quality(self, step: int) -> float | None:
        path = self._folder / str(step) / _QUALITY
        try:
            return float(json.loads(path.read_text())) if path.exists() else None
        except (ValueError, TypeError):  # a damaged quality file must not end the training
            return None

    def _sweep(self) -> None:
        """Remove partial checkpoints of a killed process."""
        self._swept = True
        self._folder.mkdir(parents=True, exist_ok=True)
        complete = {str(step) for step in self.steps()}
        for path in self._folder.iterdir():
            if path.name not in complete and path.name.partition(".orbax")[0].isdecimal():
                self._delete(path)

    def _delete(self, folder: epath.Path) -> None:
        (folder / _MANIFEST).unlink(missing_ok=True)
        folder.rmtree()


def _shapes(tree: Any) -> dict[str, str]:
    """Return types and shapes by name, for a state or for Orbax metadata."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    name = lambda path: jax.tree_util.keystr(path, simple=True, separator="/")  # noqa: E731
    return {name(path): f"{jnp.dtype(leaf.dtype)} {tuple(leaf.shape)}" for path, leaf in leaves}


def _manifest(folder: epath.Path) -> bytes:
    """Return the checksums of all files of a checkpoint, in the format of ``sha256sum``."""
    lines = []
    for path in sorted(_files(folder)):
        if path.name not in (_MANIFEST, f".{_MANIFEST}"):
            with path.open("rb") as file:
                digest = hashlib.file_digest(cast(Any, file), "sha256").hexdigest()
            lines.append(f"{digest}  {path.relative_to(folder)}\n")
    return "".join(lines).encode()


def _files(folder: epath.Path) -> Iterator[epath.Path]:
    for path in folder.iterdir():
        yield from _files(path) if path.is_dir() else (path,)


def _agree(step: int | None) -> int | None:
    """Broadcast the step of process 0 to all processes."""
    if jax.process_count() == 1:
        return step
    step = int(multihost_utils.broadcast_one_to_all(jnp.int32(-1 if step is None else step)))
    return None if step < 0 else step
