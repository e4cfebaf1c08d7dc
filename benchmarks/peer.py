"""PyTorch peers of JAX networks: same weights, same kind of device, same run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from . import hardware, torch_twins

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# Match XLA: its number of threads, TF32 for float32 products, and the fastest cuDNN algorithms.
torch.set_num_threads(hardware.cores())
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
torch.backends.cudnn.benchmark = True


def matched(model: Any, params: Any) -> tuple[Any, torch.nn.Module]:
    """Return :func:`torch_twins.matched` with the twin on the device, channels last."""
    params, twin = torch_twins.matched(model, params)
    return params, twin.to(DEVICE, memory_format=torch.channels_last)


def tensor(x: Any) -> torch.Tensor:
    """Convert an image to a ``[batch, channel, height, width]`` tensor on the device, channels last in memory."""
    return torch.tensor(np.asarray(x)).to(DEVICE).permute(0, 3, 1, 2)


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().float().cpu().permute(0, 2, 3, 1).numpy()


def precision(dtype: str) -> torch.autocast:
    return torch.autocast(DEVICE, torch.bfloat16, enabled=dtype == "bfloat16")


def restorers(twin: torch.nn.Module, dtype: str, *, compiled: bool) -> dict[str, Callable]:
    """Return inference functions of tensors: eager and, if asked for, compiled."""

    def restore(network, *observed):
        with torch.inference_mode(), precision(dtype):
            return network(*observed)

    return forms(restore, twin, compiled=compiled)


def trainers(twin: torch.nn.Module, dtype: str, *, sigma: float, compiled: bool) -> dict[str, Callable]:
    """Return training steps on clean images in [0, 1] (noise, network, L1, backward, Adam) that return the loss."""
    twin.train()
    adam = torch.optim.Adam(twin.parameters(), lr=1e-6, fused=True)

    def step(network, clean):
        adam.zero_grad(set_to_none=True)
        with precision(dtype):
            restored = network(clean + sigma * torch.randn_like(clean))
        loss = (restored.float() - clean).abs().mean()
        loss.backward()
        adam.step()
        return loss.detach()

    return forms(step, twin, compiled=compiled)


def forms(function: Callable, twin: torch.nn.Module, *, compiled: bool) -> dict[str, Callable]:
    """Bind ``function(network, ...)`` to the twin and, if asked for, to the compiled twin."""
    torch._dynamo.reset()  # compile every size separately, as XLA does
    networks = {"PyTorch": twin} | ({"torch.compile": torch.compile(twin, dynamic=False)} if compiled else {})
    return {form: lambda *x, network=network: function(network, *x) for form, network in networks.items()}


def works(form: str, function: Callable, *arguments: Any) -> bool:
    """Return whether an implementation runs here; torch.compile needs a C++ compiler."""
    try:
        function(*arguments)
    except Exception as error:
        if form != "torch.compile":
            raise
        print(f"{form} failed: {str(error).splitlines()[0]}", flush=True)
        return False
    return True
