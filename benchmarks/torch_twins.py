"""PyTorch twins of the convolutional networks: equal layers and parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorax.convert.layouts import CONVERTERS, to_params
from restorax.models import MODELS
from restorax.types import Condition

from .torch_networks import FBCNN, Chain, DRUNet, FFDNet, MIMOUNet, NAFNet, conv

# Networks without published PyTorch weights use the names of their JAX parameters, see copy_params.


class Named(nn.Module):
    """Layers by name."""

    def __init__(self, **layers: nn.Module):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def __getitem__(self, name: str) -> nn.Module:
        return getattr(self, name)


class ARCNN(Named):
    def __init__(self, channels: int, widths: Sequence[int], sizes: Sequence[int]):
        sides = (channels, *widths, channels)
        super().__init__(**{f"conv{i}": conv(sides[i], sides[i + 1], size) for i, size in enumerate(sizes)})

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.children()
        for layer in inner:
            x = F.relu(layer(x))
        return last(x)


class UNet(Named):
    def __init__(self, channels: int, widths: Sequence[int]):
        coarsest = len(widths) - 1
        layers: dict[str, nn.Module] = {"tail": conv(widths[0], channels, 1)}
        for i, width in enumerate(widths):
            name = "bottom" if i == coarsest else f"down{i}"
            layers[f"{name}_conv0"] = conv(widths[i - 1] if i else channels, width)
            layers[f"{name}_conv1"] = conv(width, width)
            if i < coarsest:
                layers[f"grow{i}"] = nn.ConvTranspose2d(widths[i + 1], width, 2, 2)
                layers[f"up{i}_conv0"], layers[f"up{i}_conv1"] = conv(2 * width, width), conv(width, width)
        super().__init__(**layers)
        self.coarsest = coarsest

    def _pair(self, x: Tensor, name: str) -> Tensor:
        return F.relu(self[f"{name}_conv1"](F.relu(self[f"{name}_conv0"](x))))

    def forward(self, image: Tensor) -> Tensor:
        x, skips = image, []
        for i in range(self.coarsest):
            skips.append(self._pair(x, f"down{i}"))
            x = F.max_pool2d(skips[-1], 2)
        x = self._pair(x, "bottom")
        for i in reversed(range(self.coarsest)):
            x = self._pair(torch.cat([self[f"grow{i}"](x), skips.pop()], 1), f"up{i}")
        return image + self["tail"](x)


def _unshuffle(x: Tensor) -> Tensor:
    """Pixel unshuffle with the channel order of the JAX layer."""
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def _shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


class ResUNet(Named):
    """Further inputs are condition maps, together of ``maps`` channels."""

    def __init__(self, channels: int, widths: Sequence[int], blocks: int, maps: int = 0):
        bottom = len(widths) - 1
        head, tail = conv(4 * (channels + maps), widths[0]), conv(widths[0], 4 * channels)
        layers: dict[str, nn.Module] = {"head": head, "tail": tail}
        for i, width in enumerate(widths):
            for way in ("bottom",) if i == bottom else ("down", "up"):
                for j in range(blocks):
                    pair = Named(conv1=conv(width, width), conv2=conv(width, width))
                    layers[f"{way}{i}_block{j}"] = pair
            if i < bottom:
                layers[f"shrink{i}"] = conv(4 * width, widths[i + 1], 1)
                layers[f"grow{i}"] = conv(widths[i + 1], 4 * width, 1)
        super().__init__(unet=Named(**layers))
        self.bottom, self.blocks = bottom, blocks

    def _level(self, x: Tensor, name: str) -> Tensor:
        for j in range(self.blocks):
            block = self.unet[f"{name}_block{j}"]
            x = x + block.conv2(F.relu(block.conv1(x)))
        return x

    def forward(self, image: Tensor, *maps: Tensor) -> Tensor:
        x, skips = self.unet["head"](_unshuffle(torch.cat([image, *maps], 1))), []
        for i in range(self.bottom):
            skips.append(self._level(x, f"down{i}"))
            x = self.unet[f"shrink{i}"](_unshuffle(skips[-1]))
        x = self._level(x, f"bottom{self.bottom}")
        for i in reversed(range(self.bottom)):
            x = self._level(_shuffle(self.unet[f"grow{i}"](x)) + skips.pop(), f"up{i}")
        return image + _shuffle(self.unet["tail"](x))


class ConvAutoencoder(Named):
    def __init__(self, channels: int, patch: int, widths: Sequence[int], code: int):
        side, depth = patch // 2 ** len(widths), len(widths)
        layers: dict[str, nn.Module] = {"tail": conv(widths[0], channels)}
        for i, width in enumerate(widths):
            layers[f"encoder{i}"] = conv(widths[i - 1] if i else channels, width)
            layers[f"decoder{i}"] = nn.ConvTranspose2d(width, widths[max(i - 1, 0)], 2, 2)
        flat = side * side * widths[-1]
        super().__init__(code=nn.Linear(flat, code), expand=nn.Linear(code, flat), **layers)
        self.patch, self.depth, self.shape = patch, depth, (side, side, widths[-1])
        ramp = torch.sin(torch.pi * (torch.arange(patch) + 0.5) / patch) ** 2
        self.register_buffer("window", torch.outer(ramp, ramp), persistent=False)

    def _autoencode(self, x: Tensor) -> Tensor:
        for i in range(self.depth):
            x = F.max_pool2d(F.relu(self[f"encoder{i}"](x)), 2)
        x = F.relu(self["expand"](F.relu(self["code"](x.permute(0, 2, 3, 1).flatten(1)))))
        x = x.view(-1, *self.shape).permute(0, 3, 1, 2)
        for i in reversed(range(self.depth)):
            x = F.relu(self[f"decoder{i}"](x))
        return self["tail"](x)

    def forward(self, image: Tensor) -> Tensor:
        n, channels, height, width = image.shape
        patch, half = self.patch, self.patch // 2
        padded = F.pad(image, (half,) * 4, mode="reflect")
        patches = F.unfold(padded, patch, stride=half).transpose(1, 2).reshape(-1, channels, patch, patch)
        out = (self._autoencode(patches) * self.window).reshape(n, -1, channels * patch * patch).transpose(1, 2)
        return F.fold(out, padded.shape[2:], patch, stride=half)[:, :, half : half + height, half : half + width]


class Skip(nn.Module):
    """A network whose output is added to its first argument."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, *maps: Tensor) -> Tensor:
        return image + self.network(image, *maps)


def build(model: Any) -> nn.Module:
    """Return the twin of a JAX network, with random weights.

    Raises:
        ValueError: if the network has no twin.
    """
    builders: dict[str, Callable[[], nn.Module]] = {
        "ARCNN": lambda: ARCNN(model.channels, model.widths, model.sizes),
        "ConvAutoencoder": lambda: ConvAutoencoder(model.channels, model.patch, model.widths, model.code),
        "DRUNet": lambda: DRUNet(model.channels, model.widths, model.blocks),
        "DnCNN": lambda: Chain(model.channels, model.width, [1] * model.depth),
        "FBCNN": lambda: FBCNN(model.channels, model.widths, model.blocks, model.embedding),
        "FFDNet": lambda: FFDNet(model.channels, model.width, model.depth),
        "IRCNN": lambda: Chain(model.channels, model.width, model.dilations),
        "MIMOUNet": lambda: MIMOUNet(model.channels, model.width, model.blocks),
        "NAFNet": lambda: NAFNet(model.channels, model.width, model.encoder, model.middle, model.decoder),
        "ResUNet": lambda: ResUNet(model.channels, model.widths, model.blocks, model.condition.channels),
        "UNet": lambda: UNet(model.channels, model.widths),
    }
    name = type(model).__name__
    if name not in builders or getattr(model, "kind", "plain") != "plain":
        raise ValueError(f"{name} {getattr(model, 'kind', '')} has no twin in PyTorch")
    return builders[name]()


def randomise(twin: nn.Module, seed: int = 0) -> None:
    """Draw weights that preserve the signal's scale, with non-trivial statistics and scales."""
    generator = torch.Generator().manual_seed(seed)
    for module in twin.modules():
        for name, value in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if not value.is_floating_point() or name == "window":
                continue
            if value.ndim > 1 and name == "weight":
                transposed = isinstance(module, nn.ConvTranspose2d)
                inputs = value.shape[0] if transposed else value[0].numel()
                value.data.normal_(0, inputs**-0.5, generator=generator)
            else:
                value.data.normal_(0, 0.2, generator=generator)
                if name in ("running_var", "weight"):
                    value.data.abs_().add_(0.5)


def copy_params(twin: nn.Module, params: dict[str, Any]) -> None:
    """Copy JAX parameters into a twin that uses their names."""
    for path, layer in twin.named_modules():
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            continue
        layer_params: Any = params
        for name in path.split("."):
            layer_params = layer_params[name]
        kernel = np.asarray(layer_params["kernel"])
        if isinstance(layer, nn.ConvTranspose2d):
            kernel = kernel.reshape(kernel.shape[2], 2, 2, -1).transpose(0, 3, 1, 2)
        else:
            kernel = kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)
        layer.weight.data.copy_(torch.tensor(np.ascontiguousarray(kernel)))
        layer.bias.data.copy_(torch.tensor(np.asarray(layer_params["bias"])))


def matched(model: Any, params: dict[str, Any]) -> tuple[dict[str, Any], nn.Module]:
    """Return parameters for a JAX network, and its twin with the same weights.

    These are the given parameters, or random ones where weights can only be converted from PyTorch to JAX.

    Raises:
        ValueError: if the network has no twin.
    """
    name, default = type(model).__name__, type(model)()
    told = name == "ResUNet" and model.condition is Condition.NOISE_LEVEL
    if model.condition is not default.condition and not told:
        raise ValueError(f"{name} with a non-default `condition` has no twin in PyTorch")
    if default.residual and not model.residual:
        raise ValueError(f"{name} with a non-default `residual` has no twin in PyTorch")
    twin = build(model)
    architecture = next((name for name in CONVERTERS if type(MODELS[name]()) is type(model)), None)
    if architecture is None:
        copy_params(twin, params)
    elif name == "FFDNet" and model.channels == 1:
        copy_params(twin, {"model": {str(2 * i): params[f"conv{i}"] for i in range(model.depth)}})
    else:
        randomise(twin)
        state = {key: value.numpy() for key, value in twin.state_dict().items()}
        params = jax.tree.map(jnp.asarray, to_params(state, architecture, architecture)[1])
    return params, Skip(twin) if model.residual and not default.residual else twin
