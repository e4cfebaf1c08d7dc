"""Read weight files (safetensors, PyTorch, MatConvNet) without executing their content."""

from pathlib import Path
from typing import Any

import numpy as np

from .matconvnet import read_matconvnet

TORCH = (".pth", ".pt", ".pkl", ".ckpt")
SUFFIXES = (".safetensors", *TORCH, ".mat")
# Keys under which training checkpoints store the weights.
_WRAPPERS = ("params_ema", "params", "state_dict", "model")


def read_tensors(source: Path, member: str | None = None) -> dict[str, np.ndarray]:
    """Read named tensors from a file without executing its content.

    Args:
        source: ``.safetensors``, a PyTorch checkpoint or a MatConvNet ``.mat``.
        member: name of the network, if the file holds several.

    Returns:
        float32 arrays in PyTorch's axis order; MatConvNet tensors get the names that KAIR uses.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, holds other objects than tensors, or requires a missing library.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file")
    suffix = source.suffix.lower()
    if suffix == ".safetensors":
        content = _read_safetensors(source)
    elif suffix in TORCH:
        content = _read_torch(source)
    elif suffix == ".mat":
        content = read_matconvnet(source)
    else:
        raise ValueError(f"{source}: unknown suffix {suffix!r}; expected one of {', '.join(SUFFIXES)}")
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    several = [name for name, value in content.items() if isinstance(value, dict)]
    if several or member is not None:
        if member is None or member not in several:
            held = (
                f"several networks; `member` must be one of {', '.join(several)}"
                if several
                else "one network; omit `member`"
            )
            raise ValueError(f"{source} holds {held}")
        content = content[member]
    tensors = {name: value for name, value in content.items() if hasattr(value, "shape")}
    if not tensors:
        raise ValueError(f"{source} holds no tensors")
    return {name: np.asarray(value, np.float32) for name, value in tensors.items()}


def _read_safetensors(source: Path) -> dict[str, Any]:
    import safetensors
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(source)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{source} is damaged or not a safetensors file: {error}") from None


def _read_torch(source: Path) -> dict[str, Any]:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError(f"{source}: reading it needs PyTorch: pip install 'restorax[convert]'") from None
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises many types
        reason = str(error).splitlines()[0][:200]
        raise ValueError(
            f"{source} is damaged or holds other objects than tensors, which are not executed: {reason}"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{source} must hold a dictionary of tensors, got {type(content).__name__}")

    def plain(value):
        if isinstance(value, dict):
            return {str(name): plain(part) for name, part in value.items()}
        return value.float().numpy() if isinstance(value, torch.Tensor) else value

    return plain(content)
