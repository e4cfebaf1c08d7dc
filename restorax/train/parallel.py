"""Data-parallel and sharded training steps on multiple devices and hosts.

The devices form a mesh with axes ``data`` and ``model``. Every device computes its own rows of the batch; devices along
``model`` share one copy of parameters and optimiser state. An n x 1 mesh is plain data parallelism, 1 x n is fully
sharded.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ..hosts import has_tpus, slurm_tasks
from ..recipe import Recipe, Stage
from ..types import Array
from .step import init_state, make_step

_BATCH = P(("data", "model"))


def initialize(coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Connect the hosts of a job; call this before any JAX computation.

    TPU pods and SLURM jobs are detected automatically; elsewhere all three arguments are required. On a single host
    this does nothing.

    Args:
        coordinator: ``ADDRESS:PORT`` of process 0.
        num_processes: number of processes.
        process_id: index of this process, from 0.

    Raises:
        ValueError: if only some of the arguments are given.
    """
    present = [value is not None for value in (coordinator, num_processes, process_id)]
    if all(present):
        jax.distributed.initialize(coordinator, num_processes, process_id)
    elif any(present):
        raise ValueError("`coordinator`, `num_processes` and `process_id` belong together; give all or none")
    elif slurm_tasks() > 1 or has_tpus():
        jax.distributed.initialize()


def is_first() -> bool:
    """Return whether this process writes logs and cards."""
    return jax.process_index() == 0


def devices_for(recipe: Recipe, shards: int = 1) -> list[Any]:
    """Return the most devices that every batch divides among; on several hosts, all devices."""
    devices = jax.devices()
    counts = range(len(devices), 0, -1) if jax.process_count() == 1 else ()
    divides = lambda n: all(stage.batch % (n * stage.accumulate) == 0 for stage in recipe.stages)  # noqa: E731
    fitting = (n for n in counts if n % shards == 0 and divides(n))
    return devices[: next(fitting, len(devices))]


def make_mesh(shards: int = 1, devices: Any = None) -> Mesh:
    """Arrange the devices in a mesh.

    Args:
        shards: devices that share one copy of parameters and optimiser state.
        devices: devices of the mesh; by default those of all hosts.

    Returns:
        A mesh ``(data, model)`` of shape ``(devices / shards, shards)``.

    Raises:
        ValueError: if the devices do not split into groups of ``shards``.
    """
    devices = np.asarray(jax.devices() if devices is None else devices)
    if shards < 1 or devices.size % shards:
        raise ValueError(f"{devices.size} devices do not split into groups of {shards}")
    return Mesh(devices.reshape(-1, shards), ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of arrays that are whole on every device."""
    return NamedSharding(mesh, P())


def state_sharding(state: Any, mesh: Mesh) -> Any:
    """Return the shardings of a training state: the longest divisible axis is split along ``model``."""

    def place(leaf):
        fitting = [axis for axis, size in enumerate(leaf.shape) if size % mesh.shape["model"] == 0]
        if mesh.shape["model"] == 1 or not fitting:
            return replicated(mesh)
        longest = max(fitting, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, P(*(None,) * longest, "model"))

    return jax.tree.map(place, state)


def abstract_state(init: Callable[[], Any], mesh: Mesh) -> Any:
    """Return shapes, types and shardings of the result of ``init()``."""
    place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # noqa: E731
    shapes = jax.eval_shape(init)
    return jax.tree.map(place, shapes, state_sharding(shapes, mesh))


def make_state(init: Callable[[], Any], mesh: Mesh) -> Any:
    """Compute ``init()`` sharded on the mesh; the values do not depend on the mesh."""
    return jax.jit(init, out_shardings=state_sharding(jax.eval_shape(init), mesh))()


def jit_step(
    recipe: Recipe, stage: Stage, mesh: Mesh, *, pictures: bool = False
) -> Callable[..., tuple[Any, dict[str, Array]]]:
    """Compile the step of a stage for a mesh.

    Args:
        recipe: recipe with the network and the optimiser.
        stage: stage of the recipe; its batch is the global batch.
        mesh: mesh from :func:`make_mesh`.
        pictures: whether the step takes ``DeviceImages`` instead of patches.

    Returns:
        ``(state, patches, key, rows) -> (state, metrics)``; the state is donated.

    Raises:
        ValueError: if the batch does not divide among the devices.
    """
    _check_batch(stage, mesh.size)
    # Every device differentiates its rows with whole parameters; gradients are averaged in float32.
    spread = partial(
        jax.shard_map, mesh=mesh, in_specs=(P(), _BATCH, P() if pictures else _BATCH), out_specs=P(), check_vma=False
    )
    step = make_step(recipe, stage, spread=spread, mean=partial(jax.lax.pmean, axis_name=mesh.axis_names))
    template = jax.eval_shape(partial(init_state, recipe), jax.random.key(0))
    state, batch, whole = state_sharding(template, mesh), NamedSharding(mesh, _BATCH), replicated(mesh)
    places = (state, whole if pictures else batch, whole, batch)
    return jax.jit(step, in_shardings=places, out_shardings=(state, whole), donate_argnums=0)


def pmap_step(recipe: Recipe, stage: Stage, *, pictures: bool = False) -> Callable[..., tuple[Any, dict[str, Array]]]:
    """Compile the step with ``pmap`` for the devices of one host; parameters are replicated.

    Args:
        recipe: recipe with the network and the optimiser.
        stage: stage of the recipe.
        pictures: whether the step takes ``DeviceImages`` instead of patches.

    Returns:
        ``(state, patches, key, rows) -> (state, metrics)``; the state is donated.

    Raises:
        ValueError: if the batch does not divide among the devices.
    """
    count = jax.local_device_count()
    _check_batch(stage, count)
    step = make_step(recipe, stage, mean=partial(jax.lax.pmean, axis_name="data"))
    axes = (None, None if pictures else 0, None, 0)
    mapped = jax.pmap(step, axis_name="data", in_axes=axes, out_axes=None, donate_argnums=0)
    split = lambda x: x.reshape(count, -1, *x.shape[1:])  # noqa: E731
    return lambda state, patches, key, rows: mapped(state, patches if pictures else split(patches), key, split(rows))


def local_rows(batch: int, mesh: Mesh) -> list[int]:
    """Return the sorted rows of the batch that the devices of this host compute."""
    slices = NamedSharding(mesh, _BATCH).addressable_devices_indices_map((batch,)).values()
    return sorted(row for index in slices if index is not None for row in range(batch)[index[0]])


def assemble(local: np.ndarray, batch: int, mesh: Mesh) -> Array:
    """Assemble the global batch from the rows of this host, in the order of :func:`local_rows`."""
    place = {row: i for i, row in enumerate(local_rows(batch, mesh))}

    def part(index):
        rows = range(batch)[index[0]]
        return local[place[rows[0]] : place[rows[-1]] + 1]

    return jax.make_array_from_callback((batch, *local.shape[1:]), NamedSharding(mesh, _BATCH), part)


def place(tree: Any, places: Any) -> Any:
    """Shard arrays that are present on every host like ``places``, from :func:`abstract_state`."""
    put = lambda x, to: jax.make_array_from_callback(to.shape, to.sharding, lambda index: x[index])  # noqa: E731
    return jax.tree.map(put, tree, places)


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Copy arrays that are present on every host to every device."""
    whole = lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype, sharding=replicated(mesh))  # noqa: E731
    return place(tree, jax.tree.map(whole, tree))


def to_host(tree: Any, mesh: Mesh) -> Any:
    """Gather whole arrays on one device of this host; all hosts must call this."""
    whole = jax.jit(lambda tree: tree, out_shardings=replicated(mesh))(tree)
    return jax.tree.map(lambda x: x.addressable_data(0), whole)


def _check_batch(stage: Stage, devices: int) -> None:
    if stage.batch % (devices * stage.accumulate):
        parts = f" in {stage.accumulate} parts" if stage.accumulate > 1 else ""
        raise ValueError(f"a batch of {stage.batch} does not divide among {devices} devices{parts}")
