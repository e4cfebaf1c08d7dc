"""Export a restorer with its parameters to StableHLO, to run with JAX alone."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import export as jax_export

from .zoo import Restorer

PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    restorer: Restorer, *, size: tuple[int, int] | None = None, platforms: Sequence[str] = PLATFORMS
) -> jax_export.Exported:
    """Export a restorer, with its output clipped to [0, 1], to a function that needs only JAX.

    Args:
        restorer: from :func:`restorax.load`; its parameters and computation type become part of the function.
        size: height and width of the images. Default: any size, which inpainting networks, blur-estimating networks
            and most networks with recurrence over pixels do not support.
        platforms: target platforms, of ``"cpu"``, ``"cuda"``, ``"rocm"`` and ``"tpu"``.

    Returns:
        A ``jax.export.Exported``: ``call(image)`` takes float32 ``[batch, height, width, channels]``, or
        ``call(image, condition)`` if the card requires a condition; ``serialize()`` returns bytes for
        ``jax.export.deserialize``. For a burst restorer, both inputs are ``[batch, frames, height, width, channels]``.
        Serialized bytes expire: they can be read by JAX versions up to six months newer than the one that wrote them
        (https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees).

    Raises:
        ValueError: if ``size`` is invalid, or omitted for a network that requires it, or platforms are unknown.

    Example:
        >>> import restorax
        >>> exported = export(restorax.load("arcnn-gray-jpeg"), platforms=["cpu"])
        >>> exported.call(jnp.full((2, 20, 30, 1), 0.5)).shape
        (2, 20, 30, 1)
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"`size` must be (height, width) of at least 1 pixel each, got {size}")
    if not platforms or (unknown := set(platforms) - {*PLATFORMS, "rocm"}):
        names = ", ".join(sorted(unknown)) if platforms else "none"
        raise ValueError(f"`platforms` must be of cpu, cuda, rocm and tpu, got {names}")
    needs_size = f"{restorer.card.name} cannot be exported for any size; give one, such as 512 x 512"
    if size is None and restorer.model.fills_holes:
        raise ValueError(needs_size)  # holes are filled across scales down to one pixel: tracing would not terminate

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
    function = jax.jit(lambda *inputs: jnp.clip(restorer(*inputs), 0, 1))
    try:
        return jax_export.export(function, platforms=tuple(platforms))(*inputs)
    except (ValueError, NotImplementedError, jax.errors.InconclusiveDimensionOperation) as error:
        if size is None:
            raise ValueError(needs_size) from error
        raise
