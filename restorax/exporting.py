"""A restorer as one file that needs JAX alone: StableHLO, with the parameters inside."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import export as jax_export

from .zoo import Restorer

PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    restorer: Restorer, *, size: tuple[int, int] | None = None, platforms: Sequence[str] = PLATFORMS
) -> jax_export.Exported:
    """Lower a restorer, clipped to [0, 1] as by :func:`restorax.restore`, to a function that needs JAX alone.

    Args:
        restorer: from :func:`restorax.load`; parameters and the type that it computes in go into the function.
        size: height and width of the images; by default any, which networks for missing pixels, those that read blur
            and most that are recurrent over pixels do not allow.
        platforms: on which it shall run, of ``"cpu"``, ``"cuda"``, ``"rocm"`` and ``"tpu"``.

    Returns:
        What :mod:`jax.export` knows: ``call(image)`` for float32 ``[batch, height, width, channels]``, or
        ``call(image, condition)`` where the card asks for a condition; ``serialize()`` gives bytes for
        ``jax.export.deserialize``. A restorer of bursts takes ``[batch, frames, height, width, channels]``, and
        such a condition. Serialized bytes expire: JAX up to six months newer than the one that wrote them reads them,
        later versions may refuse them (https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees).

    Raises:
        ValueError: if the network cannot take any size and none is given, or size or platforms are not understood.

    Example:
        >>> import restorax
        >>> exported = export(restorax.load("arcnn-gray-jpeg"), platforms=["cpu"])
        >>> exported.call(jnp.full((2, 20, 30, 1), 0.5)).shape
        (2, 20, 30, 1)
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"size is {size}; a height and a width of at least 1 pixel are accepted")
    if not platforms or (unknown := set(platforms) - {*PLATFORMS, "rocm"}):
        said = ", ".join(sorted(unknown)) if platforms else "none"
        raise ValueError(f"platforms are {said}; accepted are cpu, cuda, rocm and tpu")
    refusal = f"{restorer.card.name} cannot be exported for any size; give one, such as 512 x 512"
    if size is None and restorer.model.fills_holes:
        raise ValueError(refusal)  # holes are filled from scale to scale, down to one pixel: tracing would not end

    frames = ("frames",) if restorer.model.takes_frames else ()
    height, width = size or ("height", "width")
    shapes = [("batch", *frames, height, width, restorer.card.channels)]
    if condition_channels := restorer.model.required_condition.channels:
        shapes.append(("batch", *frames, height, width, condition_channels))
    scope = jax_export.SymbolicScope()
    inputs = (
        jax.ShapeDtypeStruct(jax_export.symbolic_shape(", ".join(map(str, shape)), scope=scope), jnp.float32)
        for shape in shapes
    )
    function = jax.jit(lambda *given: jnp.clip(restorer(*given), 0, 1))
    try:
        return jax_export.export(function, platforms=tuple(platforms))(*inputs)
    except (ValueError, NotImplementedError, jax.errors.InconclusiveDimensionOperation) as error:
        if size is None:
            raise ValueError(refusal) from error
        raise
