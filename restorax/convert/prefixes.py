"""Prefixes that training programs put before the names of tensors."""

import re
from typing import TypeVar

T = TypeVar("T")

# torch.compile, BasicSR's networks and checkpoints, Lightning, DataParallel.
PREFIXES = ("_orig_mod.", "net_g.", "params_ema.", "params.", "model.", "module.")
_SHOWN = 4


def strip_prefixes(tensors: dict[str, T], wanted: str, source: str, architecture: str) -> dict[str, T]:
    """Strip the prefixes of tensor names, in any combination.

    Of several copies of a network, that under ``params_ema.`` is taken.

    Args:
        tensors: values by name.
        wanted: name without prefixes of a tensor that the architecture has.
        source: name of the file in error messages.
        architecture: name of the architecture in error messages.

    Returns:
        Values by name without the prefix; names without it are unchanged.

    Raises:
        ValueError: if no name is ``wanted`` after prefixes; the message states the names found.

    Example:
        >>> strip_prefixes({"module.net_g.model.0.weight": 1}, "model.0.weight", "x.pth", "dncnn")
        {'model.0.weight': 1}
    """
    prefix = "|".join(map(re.escape, PREFIXES))
    form = re.compile(rf"((?:{prefix})*){re.escape(wanted)}")
    found = [match[1] for name in tensors if (match := form.fullmatch(name))]
    if not found:
        names = sorted(tensors)
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        raise ValueError(
            f"{source} lacks the tensor {wanted} of {architecture}; it holds {shown}; accepted prefixes are "
            f"{', '.join(PREFIXES)}"
        )
    chosen = max(found, key=lambda prefix: ("params_ema." in prefix, -len(prefix)))
    stripped = {name.removeprefix(chosen): value for name, value in tensors.items() if name.startswith(chosen)}
    others = {name: value for name, value in tensors.items() if not name.startswith(chosen)}
    copies = tuple(other for other in found if other != chosen)
    return stripped | {
        name: value
        for name, value in others.items()
        if not any(name.startswith(copy) and name.removeprefix(copy) in stripped for copy in copies)
    }
