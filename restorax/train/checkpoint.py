"""Training checkpoints: Orbax underneath, newest few kept, restored bit for bit."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from .step import TrainState


class Checkpoints:
    """The checkpoints of one training directory. Saving is asynchronous; leaving the ``with`` block waits for it."""

    def __init__(self, workdir: str | os.PathLike, *, keep: int = 2):
        """Open, or create, ``workdir/checkpoints``.

        Args:
            workdir: training directory.
            keep: how many of the newest checkpoints stay.
        """
        folder = (Path(workdir) / "checkpoints").resolve()  # Orbax takes absolute paths only
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def latest(self) -> int | None:
        """The newest step on disk, or ``None``."""
        return self._manager.latest_step()

    def save(self, state: TrainState) -> None:
        """Start writing the state under its step; a step that is there already is left alone."""
        step = int(state.step)
        if step != self.latest():
            # The caller donates its state to the next step while this one is still being written.
            self._manager.save(step, args=ocp.args.StandardSave(jax.tree.map(jnp.copy, state)))

    def restore(self, like: TrainState) -> TrainState:
        """Read the newest state.

        Args:
            like: a state of the same structure; its types, shapes and placement are asked for.

        Returns:
            The stored state.

        Raises:
            FileNotFoundError: if there is no checkpoint.
            ValueError: if the stored state has another structure.
        """
        step = self.latest()
        if step is None:
            raise FileNotFoundError(f"{self._manager.directory} holds no checkpoint")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
