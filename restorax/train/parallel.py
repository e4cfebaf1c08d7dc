"""One training step on any number of devices and hosts.

The devices form a mesh of two axes, ``data`` and ``model``. Every device computes its own rows of the batch; those
along ``model`` share one copy of parameters and optimiser state, so a mesh of n x 1 is plain data parallelism and one
of 1 x n is fully sharded.
"""

import glob
import importlib.util
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ..recipe import Recipe, Stage
from ..types import Array
from .step import init_state, make_step

_BATCH = P(("data", "model"))


def initialize(coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Join the other hosts of a job; call it before anything is computed.

    TPU pods and SLURM jobs are recognised by themselves; elsewhere all three values are needed. Alone on one host it
    does nothing.

    Args:
        coordinator: ``ADDRESS:PORT`` of process 0.
        num_processes: how many processes there are.
        process_id: which one this is, from 0.

    Raises:
        ValueError: if only some of the values are given.
    """
    given = [value is not None for value in (coordinator, num_processes, process_id)]
    if all(given):
        jax.distributed.initialize(coordinator, num_processes, process_id)
    elif any(given):
        raise ValueError("of the coordinator, the number of processes and the process id, give all or none")
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 or _has_tpus():
        jax.distributed.initialize()


def _has_tpus() -> bool:
    # JAX itself may not be asked before it is initialised. The devices alone could be of another kind.
    return bool(importlib.util.find_spec("libtpu") and (glob.glob("/dev/accel*") or glob.glob("/dev/vfio/[0-9]*")))


def is_first() -> bool:
    """Whether this process is the one that writes logs and cards."""
    return jax.process_index() == 0


def devices_for(recipe: Recipe, shards: int = 1) -> list[Any]:
    """The most devices among which every batch divides; those of several hosts must all be used."""
    devices = jax.devices()
    counts = range(len(devices), 0, -1) if jax.process_count() == 1 else ()
    divides = lambda n: all(stage.batch % (n * stage.accumulate) == 0 for stage in recipe.stages)  # noqa: E731
    fitting = (n for n in counts if n % shards == 0 and divides(n))
    return devices[: next(fitting, len(devices))]


def make_mesh(shards: int = 1, devices: Any = None) -> Mesh:
    """Arrange the devices.

    Args:
        shards: how many of them share one copy of the parameters and of the optimiser state.
        devices: by default all of all hosts.

    Returns:
        A mesh ``(data, model)`` of ``devices / shards`` times ``shards``.

    Raises:
        ValueError: if the devices do not split into groups of ``shards``.
    """
    devices = np.asarray(jax.devices() if devices is None else devices)
    if shards < 1 or devices.size % shards:
        raise ValueError(f"{devices.size} devices do not split into groups of {shards}")
    return Mesh(devices.reshape(-1, shards), ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole."""
    return NamedSharding(mesh, P())


def state_sharding(state: Any, mesh: Mesh) -> Any:
    """Where each array of a training state lies: its longest axis that divides is split along ``model``."""

    def place(leaf):
        fitting = [axis for axis, size in enumerate(leaf.shape) if size % mesh.shape["model"] == 0]
        if mesh.shape["model"] == 1 or not fitting:
            return replicated(mesh)
        longest = max(fitting, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, P(*(None,) * longest, "model"))

    return jax.tree.map(place, state)


def abstract_state(init: Callable[[], Any], mesh: Mesh) -> Any:
    """Shapes, types and places of what ``init()`` returns."""
    place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # noqa: E731
    shapes = jax.eval_shape(init)
    return jax.tree.map(place, shapes, state_sharding(shapes, mesh))


def make_state(init: Callable[[], Any], mesh: Mesh) -> Any:
    """Compute ``init()`` in its place on the mesh; the values do not depend on the mesh."""
    return jax.jit(init, out_shardings=state_sharding(jax.eval_shape(init), mesh))()


def jit_step(
    recipe: Recipe, stage: Stage, mesh: Mesh, *, pictures: bool = False
) -> Callable[..., tuple[Any, dict[str, Array]]]:
    """Compile the step of a stage for a mesh.

    Args:
        recipe: gives the network and the optimiser.
        stage: which stage; its batch is the whole batch, whatever the number of devices.
        mesh: of :func:`make_mesh`.
        pictures: whether the step gets pictures in device memory instead of patches.

    Returns:
        ``(state, patches, key, rows) -> (state, metrics)``; the state is donated.

    Raises:
        ValueError: if the batch does not divide among the devices.
    """
    _share(stage, mesh.size)
    # Every device differentiates alone, on whole parameters, and sums are exchanged in float32.
    spread = partial(
        jax.shard_map, mesh=mesh, in_specs=(P(), _BATCH, P() if pictures else _BATCH), out_specs=P(), check_vma=False
    )
    step = make_step(recipe, stage, spread=spread, mean=partial(jax.lax.pmean, axis_name=mesh.axis_names))
    template = jax.eval_shape(partial(init_state, recipe), jax.random.key(0))
    state, batch, whole = state_sharding(template, mesh), NamedSharding(mesh, _BATCH), replicated(mesh)
    places = (state, whole if pictures else batch, whole, batch)
    return jax.jit(step, in_shardings=places, out_shardings=(state, whole), donate_argnums=0)


def pmap_step(recipe: Recipe, stage: Stage, *, pictures: bool = False) -> Callable[..., tuple[Any, dict[str, Array]]]:
    """Compile the same step through ``pmap``, for the devices of one host; parameters are whole on each of them.

    Args:
        recipe: gives the network and the optimiser.
        stage: which stage.
        pictures: whether the step gets pictures in device memory instead of patches.

    Returns:
        ``(state, patches, key, rows) -> (state, metrics)``; the state is donated.

    Raises:
        ValueError: if the batch does not divide among the devices.
    """
    count = jax.local_device_count()
    _share(stage, count)
    step = make_step(recipe, stage, mean=partial(jax.lax.pmean, axis_name="data"))
    axes = (None, None if pictures else 0, None, 0)
    mapped = jax.pmap(step, axis_name="data", in_axes=axes, out_axes=None, donate_argnums=0)
    split = lambda x: x.reshape(count, -1, *x.shape[1:])  # noqa: E731
    return lambda state, patches, key, rows: mapped(state, patches if pictures else split(patches), key, split(rows))


def local_rows(batch: int, mesh: Mesh) -> list[int]:
    """Which rows of the batch the devices of this host compute, in order."""
    slices = NamedSharding(mesh, _BATCH).addressable_devices_indices_map((batch,)).values()
    return sorted(row for index in slices if index is not None for row in range(batch)[index[0]])


def assemble(local: np.ndarray, batch: int, mesh: Mesh) -> Array:
    """Make the batch of all hosts from this host's rows of it, as :func:`local_rows` lists them."""
    place = {row: i for i, row in enumerate(local_rows(batch, mesh))}

    def part(index):
        rows = range(batch)[index[0]]
        return local[place[rows[0]] : place[rows[-1]] + 1]

    return jax.make_array_from_callback((batch, *local.shape[1:]), NamedSharding(mesh, _BATCH), part)


def place(tree: Any, places: Any) -> Any:
    """Put arrays that every host has where :func:`abstract_state` says."""
    put = lambda x, to: jax.make_array_from_callback(to.shape, to.sharding, lambda index: x[index])  # noqa: E731
    return jax.tree.map(put, tree, places)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Put arrays that every host has onto every device."""
    whole = lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=replicated(mesh))  # noqa: E731
    return place(tree, jax.tree.map(whole, tree))


def to_host(tree: Any, mesh: Mesh) -> Any:
    """Whole copies of arrays, on one device of this host; every host must ask for them."""
    whole = jax.jit(lambda tree: tree, out_shardings=replicated(mesh))(tree)
    return jax.tree.map(lambda x: x.addressable_data(0), whole)


def _share(stage: Stage, devices: int) -> None:
    if stage.batch % (devices * stage.accumulate):
        parts = f" in {stage.accumulate} parts" if stage.accumulate > 1 else ""
        raise ValueError(f"a batch of {stage.batch} does not divide among {devices} devices{parts}")
