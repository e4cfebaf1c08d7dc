"""Half-quadratic splitting of deepinv in PyTorch, as a peer of :func:`restorax.solve`."""

from collections.abc import Callable

import numpy as np
import torch
from deepinv.optim import HQS
from deepinv.optim.data_fidelity import L2
from deepinv.optim.prior import PnP
from deepinv.physics import Blur, BlurFFT, Physics

from restorax.solvers import Schedule

from . import peer


def physics(kernel: np.ndarray, shape: tuple[int, int], steps: int, *, circular: bool) -> Physics:
    """Return a blur: circular and diagonal in the Fourier domain, or cropped and inverted by conjugate gradients.

    Args:
        kernel: of the blur, ``[side, side]``.
        shape: height and width of the unknown image.
        steps: of conjugate gradients.
        circular: whether the blur wraps around the border.
    """
    taps = torch.tensor(np.asarray(kernel, np.float32), device=peer.DEVICE)[None, None]
    if circular:
        return BlurFFT((1, *shape), taps, device=peer.DEVICE)
    options = {"max_iter": steps, "tol": 0.0, "implicit_backward_solver": False}
    return Blur(taps, padding="valid", use_fft=True, device=peer.DEVICE, **options)


def hqs(denoiser: Callable, schedule: Schedule, rim: int) -> Callable[[torch.Tensor, Physics], torch.Tensor]:
    """Return a solver ``(observed, physics) -> restored`` that starts at the observation with its border repeated.

    Args:
        denoiser: function ``(image, level map) -> image`` of tensors.
        schedule: noise levels of the denoiser and weights of its images.
        rim: pixels by which the unknown image exceeds the observation.
    """
    levels, weights = (torch.tensor(np.asarray(numbers)) for numbers in schedule)

    def denoise(image: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return denoiser(image, torch.ones_like(image) * level)

    # deepinv minimises step |Ax - y|^2 + |x - z|^2.
    algorithm = {"stepsize": list(1 / weights), "g_param": list(levels), "lambda": 1.0}
    solver = HQS(L2(), PnP(denoise), max_iter=len(levels), params_algo=algorithm, early_stop=False)

    def solve(observed: torch.Tensor, blur: Physics) -> torch.Tensor:
        start = torch.nn.functional.pad(observed, (rim,) * 4, mode="replicate")
        with torch.inference_mode():
            restored = solver(observed, blur, init=start)
        return restored[..., rim : restored.shape[-2] - rim, rim : restored.shape[-1] - rim].clip(0, 1)

    return solve
