"""The contract of every restorer network, and what all of them do around their own body."""

from collections.abc import Callable
from typing import ClassVar, cast

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp

from ..layers.resample import pull_push
from ..layers.sparse import sparse_fill
from ..types import Array, Condition, ConditionMap, DTypeLike, Image, Params, check_image


class RestorationNetwork(nn.Module):
    """Base class of restorer networks: images of any size and batch in, restored images of the same shape out.

    ``__call__`` checks its arguments, fills holes, pads, runs :meth:`body`, crops, adds the input back and copies known
    pixels through. An architecture writes :meth:`body`; where they differ from the defaults, it also gives
    :attr:`multiple`, :attr:`body_receptive_field` and the class variables. ``params`` is the only collection.

    Attributes:
        channels: image channels.
        residual: predict the difference to the (filled) input instead of the image.
        condition: what the network is told besides the image. A mask of known pixels also has holes filled before the
            body sees them and known pixels copied to the output.
        sparse: rounds of sparse filling (see ``layers/sparse.py``) after the smooth one, for textures; 0 for none.
        dtype: type of the activations; parameters stay float32, and so do the gates and states of recurrences.
        accepts: kinds of condition that the architecture can use.
        condition_optional: whether the network also runs without its condition.
        takes_frames: whether the input is a burst ``[*batch, frames, height, width, channels]``.

    Raises:
        ValueError: if the architecture does not accept the condition, or ``sparse`` is given without a mask.
    """

    channels: int = 1
    residual: bool = True
    condition: Condition = Condition.NONE
    sparse: int = 0
    dtype: DTypeLike = jnp.float32

    accepts: ClassVar[tuple[Condition, ...]] = tuple(Condition)
    condition_optional: ClassVar[bool] = False
    takes_frames: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse a condition that the architecture cannot use; text, as JSON has it, becomes a ``Condition``."""
        self.condition = Condition(self.condition)
        if self.condition not in self.accepts:
            accepted = ", ".join(self.accepts)
            raise ValueError(f"condition is {str(self.condition)!r}; {type(self).__name__} accepts {accepted}")
        if self.sparse and not self.fills_holes:
            raise ValueError(f"sparse is {self.sparse}; sparse filling needs the mask, give condition='mask'")
        super().__post_init__()

    @property
    def multiple(self) -> int:
        """Both sides of what :meth:`body` sees are multiples of this."""
        return 1

    @property
    def fills_holes(self) -> bool:
        """Whether the condition is a mask of known pixels."""
        return self.condition is Condition.MASK

    @property
    def required_condition(self) -> Condition:
        """The condition without which the network does not run, ``Condition.NONE`` if there is none."""
        return Condition.NONE if self.condition_optional else self.condition

    @property
    def has_auxiliary_loss(self) -> bool:
        """Whether :meth:`auxiliary_loss` can be added to the training loss."""
        return False

    def input_shapes(self, height: int, width: int) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return the shapes of a batch of one image and, if the network takes one, of its condition.

        Example:
            >>> from restorax.models import FFDNet
            >>> [x.shape for x in FFDNet(channels=3).input_shapes(8, 9)]
            [(1, 8, 9, 3), (1, 8, 9, 1)]
        """
        depths = (self.channels, self.condition.channels)
        return tuple(jax.ShapeDtypeStruct((1, height, width, depth), jnp.float32) for depth in depths if depth)

    def body(self, x: Array) -> Array:
        """The network itself.

        Args:
            x: padded image, holes filled, and the condition after it if there is one,
                ``[batch, height, width, channels + condition.channels]`` in ``dtype``.

        Returns:
            ``[batch, height, width, channels]``: the restored image, or its difference to the input if ``residual``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no body")

    def __call__(self, image: Image, condition: ConditionMap | None = None) -> Image:
        """Restore images of any height and width.

        Args:
            image: degraded, ``[*batch, height, width, channels]`` in [0, 1].
            condition: ``[*batch, height, width, 1]``, or ``None`` if the network takes none.

        Returns:
            Restored image in the shape and type of ``image``, not clipped.

        Raises:
            TypeError: if image or condition are not floating point.
            ValueError: if channels or condition are not what the network was built for.
        """
        return self.apply_padded(self.body, image, condition)

    def run(self, params: Params, image: Image, condition: ConditionMap | None = None) -> Array:
        """Restore images with given parameters, as :meth:`__call__` does once they are bound."""
        return cast(Array, self.apply({"params": params}, image, condition))

    def auxiliary_loss(self, image: Image, clean: Image) -> Array:
        """A scalar that training adds to its loss; both images are ``[*batch, height, width, channels]``.

        Raises:
            ValueError: if the network has none.
        """
        raise ValueError(f"{type(self).__name__} has no auxiliary loss")

    def start(self, frame: Image) -> tuple[Array, ...]:
        """The state before the first frame of a stream, for networks that stream.

        Raises:
            ValueError: if the network does not stream.
        """
        raise ValueError(f"{type(self).__name__} cannot restore a stream")

    def step(
        self, carry: tuple[Array, ...], frame: Image, condition: ConditionMap | None = None
    ) -> tuple[tuple[Array, ...], Image]:
        """Restore the next frame of a stream, for networks that stream: ``(carry, frame) -> (carry, restored)``.

        Raises:
            ValueError: if the network does not stream.
        """
        raise ValueError(f"{type(self).__name__} cannot restore a stream")

    def apply_padded(
        self,
        body: Callable[[Array], Array],
        image: Image,
        condition: ConditionMap | None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Array:
        """Run a body of fixed rank and multiple on an image of any size and batch, as ``__call__`` does with its own.

        Args:
            body: as :meth:`body`.
            image: ``[*batch, height, width, channels]``.
            condition: ``[*batch, height, width, 1]`` or ``None``.
            dtype: type of what ``body`` sees, by default that of the activations.

        Returns:
            Restored image in the shape and type of ``image``, not clipped.
        """
        image = check_image(image)
        *batch, height, width, channels = image.shape
        if channels != self.channels:
            raise ValueError(f"the image has {channels} channels; this network was built for {self.channels}")
        if condition is None and self.required_condition.channels:
            raise ValueError(f"this network needs a condition ({self.condition.description}); none was given")
        if condition is not None:
            condition = check_image(condition, "condition").astype(image.dtype)
            expected = (*batch, height, width, self.condition.channels) if self.condition.channels else None
            if condition.shape != expected:
                raise ValueError(f"the condition has shape {condition.shape}; this network expects {expected}")

        flat = image.reshape(-1, height, width, channels)
        base, inputs = flat, [flat]
        if condition is not None:
            condition = condition.reshape(-1, height, width, condition.shape[-1])
            if self.fills_holes:
                base = sparse_fill(flat, condition, rounds=self.sparse) if self.sparse else pull_push(flat, condition)
            inputs = [base, condition]
        # Reflected noise still looks like noise; a repeated edge does not, and costs 0.4 dB on 481 x 321 pixels.
        x = jnp.concatenate(inputs, -1).astype(self.dtype if dtype is None else dtype)
        for axis in (1, 2):
            x = _reflected_to(self.multiple, x, axis)
        out = body(x)[:, :height, :width].astype(image.dtype)
        if self.residual:
            out = base + out
        if condition is not None and self.fills_holes:
            out = jnp.where(condition > 0, flat, out)
        return out.reshape(image.shape)


def _reflected_to(multiple: int, x: Array, axis: int) -> Array:
    """Reflect an image at its end until a side is a multiple."""
    length = x.shape[axis]
    if not jax.export.is_symbolic_dim(length):
        pads = [(0, 0)] * x.ndim
        pads[axis] = (0, -length % multiple)
        return jnp.pad(x, pads, mode="reflect")
    # jnp.pad needs to know by how much.
    length = cast(Array, length)  # symbolic sizes take part in arithmetic as arrays do
    period = 2 * jnp.maximum(length - 1, 1)
    place = jnp.arange((length + multiple - 1) // multiple * multiple) % period
    return jnp.take(x, jnp.minimum(jnp.minimum(place, period - place), length - 1), axis=axis)
