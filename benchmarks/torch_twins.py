"""PyTorch twins of the convolutional networks: equal layers, and the names of published weights."""

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


def conv(entering: int, features: int, size: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(entering, features, size, padding=size // 2, **options)


class Residual(nn.Module):
    """``x + conv(relu(conv(x)))`` under KAIR's names."""

    def __init__(self, features: int, bias: bool = True):
        super().__init__()
        self.res = nn.Sequential(conv(features, features, bias=bias), nn.ReLU(), conv(features, features, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.res(x)


class Chain(nn.Module):
    """DnCNN and IRCNN: a chain of convolutions whose output is subtracted from the input."""

    def __init__(self, channels: int, width: int, dilations: Sequence[int], norm: bool = False):
        super().__init__()
        layers: list[nn.Module] = []
        for i, dilation in enumerate(dilations):
            first, last = i == 0, i == len(dilations) - 1
            sides = (channels if first else width, channels if last else width)
            layers.append(nn.Conv2d(*sides, 3, padding=dilation, dilation=dilation))
            if norm and not first and not last:
                layers.append(nn.BatchNorm2d(width, eps=1e-4))
            if not last:
                layers.append(nn.ReLU())
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.model(x)


class FFDNet(nn.Module):
    def __init__(self, channels: int, width: int, depth: int):
        super().__init__()
        sides = [4 * channels + 1, *[width] * (depth - 1), 4 * channels]
        layers = [layer for i in range(depth) for layer in (conv(sides[i], sides[i + 1]), nn.ReLU())]
        self.model = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        halves = torch.cat([F.pixel_unshuffle(x, 2), F.avg_pool2d(level, 2)], 1)
        return F.pixel_shuffle(self.model(halves), 2)


class DRUNet(nn.Module):
    """KAIR's UNetRes; the noise level is the last channel of the input."""

    def __init__(self, channels: int, widths: Sequence[int] = (64, 128, 256, 512), blocks: int = 4):
        super().__init__()
        self.m_head = conv(channels + 1, widths[0], bias=False)
        for i in range(3):
            chain = [Residual(widths[i], bias=False) for _ in range(blocks)]
            down = nn.Conv2d(widths[i], widths[i + 1], 2, 2, bias=False)
            self.add_module(f"m_down{i + 1}", nn.Sequential(*chain, down))
            chain = [Residual(widths[i], bias=False) for _ in range(blocks)]
            up = nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2, bias=False)
            self.add_module(f"m_up{i + 1}", nn.Sequential(up, *chain))
        self.m_body = nn.Sequential(*[Residual(widths[3], bias=False) for _ in range(blocks)])
        self.m_tail = conv(widths[0], channels, bias=False)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        skips = [self.m_head(torch.cat([x, level], 1))]
        for down in (self.m_down1, self.m_down2, self.m_down3):
            skips.append(down(skips[-1]))
        x = self.m_body(skips[-1])
        for up in (self.m_up3, self.m_up2, self.m_up1):
            x = up(x + skips.pop())
        return self.m_tail(x + skips.pop())


class Modulated(Residual):
    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return x + gamma * self.res(x) + beta


class FBCNN(nn.Module):
    """With the authors' layer names; the optional second argument is ``1 - quality / 100``, ``[batch, 1]``."""

    def __init__(
        self, channels: int, widths: Sequence[int] = (64, 128, 256, 512), blocks: int = 4, embedding: int = 512
    ):
        super().__init__()
        self.m_head = conv(channels, widths[0])
        for i in range(3):
            chain = [Residual(widths[i]) for _ in range(blocks)]
            self.add_module(f"m_down{i + 1}", nn.Sequential(*chain, nn.Conv2d(widths[i], widths[i + 1], 2, 2)))
            modulated = [Modulated(widths[i]) for _ in range(blocks)]
            up = nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2)
            self.add_module(f"m_up{i + 1}", nn.ModuleList([up, *modulated]))
            self.add_module(f"to_gamma_{i + 1}", nn.Sequential(nn.Linear(embedding, widths[i]), nn.Sigmoid()))
            self.add_module(f"to_beta_{i + 1}", nn.Sequential(nn.Linear(embedding, widths[i]), nn.Tanh()))
        self.m_body_encoder = nn.Sequential(*[Residual(widths[3]) for _ in range(blocks)])
        self.m_body_decoder = nn.Sequential(*[Residual(widths[3]) for _ in range(blocks)])
        self.m_tail = conv(widths[0], channels)
        dense = (nn.Linear(widths[3], embedding), nn.ReLU(), nn.Linear(embedding, embedding), nn.ReLU())
        pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        chain = [Residual(widths[3]) for _ in range(blocks)]
        self.qf_pred = nn.Sequential(*chain, *pooled, *dense, nn.Linear(embedding, 1), nn.Sigmoid())
        sides = (1, embedding, embedding, embedding)
        layers = [layer for i in range(3) for layer in (nn.Linear(sides[i], sides[i + 1]), nn.ReLU())]
        self.qf_embed = nn.Sequential(*layers)

    def forward(self, x: Tensor, loss: Tensor | None = None) -> Tensor:
        skips = [self.m_head(x)]
        for down in (self.m_down1, self.m_down2, self.m_down3):
            skips.append(down(skips[-1]))
        x = self.m_body_encoder(skips[-1])
        embedded = self.qf_embed(self.qf_pred(x) if loss is None else loss)
        x = self.m_body_decoder(x)
        for i in (3, 2, 1):
            up, *blocks = getattr(self, f"m_up{i}")
            gamma, beta = (getattr(self, f"to_{part}_{i}")(embedded)[:, :, None, None] for part in ("gamma", "beta"))
            x = up(x + skips.pop())
            for block in blocks:
                x = block(x, gamma, beta)
        return self.m_tail(x + skips.pop())


class PixelNorm(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        normal = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return normal.permute(0, 3, 1, 2)


class NAFBlock(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        twice = 2 * features
        self.conv1, self.conv3 = conv(features, twice, 1), conv(features, features, 1)
        self.conv2 = conv(twice, twice, groups=twice)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(features, features, 1))
        self.conv4, self.conv5 = conv(features, twice, 1), conv(features, features, 1)
        self.norm1, self.norm2 = PixelNorm(features), PixelNorm(features)
        self.beta = nn.Parameter(torch.zeros(1, features, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, features, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.conv2(self.conv1(self.norm1(x))).chunk(2, 1)
        y = first * second
        x = x + self.conv3(y * self.sca(y)) * self.beta
        first, second = self.conv4(self.norm2(x)).chunk(2, 1)
        return x + self.conv5(first * second) * self.gamma


class NAFNet(nn.Module):
    def __init__(self, channels: int, width: int, encoder: Sequence[int], middle: int, decoder: Sequence[int]):
        super().__init__()

        def chain(features: int, blocks: int) -> nn.Sequential:
            return nn.Sequential(*[NAFBlock(features) for _ in range(blocks)])

        widths = [width * 2**i for i in range(len(encoder) + 1)]
        self.intro, self.ending = conv(channels, width), conv(width, channels)
        self.encoders = nn.ModuleList([chain(w, n) for w, n in zip(widths[:-1], encoder, strict=True)])
        self.downs = nn.ModuleList([nn.Conv2d(w, 2 * w, 2, 2) for w in widths[:-1]])
        self.middle_blks = chain(widths[-1], middle)
        ups = [nn.Sequential(conv(w, 2 * w, 1, bias=False), nn.PixelShuffle(2)) for w in widths[:0:-1]]
        self.ups = nn.ModuleList(ups)
        self.decoders = nn.ModuleList([chain(w, n) for w, n in zip(widths[-2::-1], decoder, strict=True)])

    def forward(self, image: Tensor) -> Tensor:
        x, skips = self.intro(image), []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = self.middle_blks(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(up(x) + skips.pop())
        return image + self.ending(x)


class BasicConv(nn.Module):
    """Layer of MIMO-UNet: a convolution (transposed for size 4) with optional ReLU."""

    def __init__(self, entering: int, features: int, size: int, relu: bool, stride: int = 1):
        super().__init__()
        if size == 4:
            layer: nn.Module = nn.ConvTranspose2d(entering, features, 4, 2, 1)
        else:
            layer = conv(entering, features, size, stride=stride)
        self.main = nn.Sequential(layer, nn.ReLU()) if relu else nn.Sequential(layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class MIMOResidual(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.main = nn.Sequential(BasicConv(features, features, 3, True), BasicConv(features, features, 3, False))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


class MIMOChain(nn.Module):
    def __init__(self, features: int, blocks: int):
        super().__init__()
        self.layers = nn.Sequential(*[MIMOResidual(features) for _ in range(blocks)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class SCM(nn.Module):
    def __init__(self, channels: int, features: int):
        super().__init__()
        quarter, half = features // 4, features // 2
        shapes = ((channels, quarter, 3), (quarter, half, 1), (half, half, 3), (half, features - channels, 1))
        self.main = nn.Sequential(*[BasicConv(*shape, relu=True) for shape in shapes])
        self.conv = BasicConv(features, features, 1, False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.cat([x, self.main(x)], 1))


class FAM(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.merge = BasicConv(features, features, 3, False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.merge(x * y)


class AFF(nn.Module):
    def __init__(self, entering: int, features: int):
        super().__init__()
        self.conv = nn.Sequential(BasicConv(entering, features, 1, True), BasicConv(features, features, 3, False))

    def forward(self, *scales: Tensor) -> Tensor:
        return self.conv(torch.cat(scales, 1))


class MIMOUNet(nn.Module):
    """With the authors' layer names; returns the full-resolution output."""

    def __init__(self, channels: int, width: int, blocks: int):
        super().__init__()
        w = width
        self.Encoder = nn.ModuleList([MIMOChain(w * k, blocks) for k in (1, 2, 4)])
        self.Decoder = nn.ModuleList([MIMOChain(w * k, blocks) for k in (4, 2, 1)])
        sides = ((channels, w, 3, True, 1), (w, 2 * w, 3, True, 2), (2 * w, 4 * w, 3, True, 2))
        sides += ((4 * w, 2 * w, 4, True, 2), (2 * w, w, 4, True, 2), (w, channels, 3, False, 1))
        self.feat_extract = nn.ModuleList([BasicConv(*side) for side in sides])
        self.Convs = nn.ModuleList([BasicConv(4 * w, 2 * w, 1, True), BasicConv(2 * w, w, 1, True)])
        self.ConvsOut = nn.ModuleList([BasicConv(4 * w, channels, 3, False), BasicConv(2 * w, channels, 3, False)])
        self.AFFs = nn.ModuleList([AFF(7 * w, w), AFF(7 * w, 2 * w)])
        self.FAM1, self.SCM1 = FAM(4 * w), SCM(channels, 4 * w)
        self.FAM2, self.SCM2 = FAM(2 * w), SCM(channels, 2 * w)

    def forward(self, image: Tensor) -> Tensor:
        features, scale = self.feat_extract, F.interpolate
        half = scale(image, scale_factor=0.5)
        quarter = scale(half, scale_factor=0.5)
        fine = self.Encoder[0](features[0](image))
        middle = self.Encoder[1](self.FAM2(features[1](fine), self.SCM2(half)))
        coarse = self.Encoder[2](self.FAM1(features[2](middle), self.SCM1(quarter)))
        coarse_twice = scale(coarse, scale_factor=2)
        skip1 = self.AFFs[1](scale(fine, scale_factor=0.5), middle, coarse_twice)
        skip0 = self.AFFs[0](fine, scale(middle, scale_factor=2), scale(coarse_twice, scale_factor=2))
        x = features[3](self.Decoder[0](coarse))
        x = features[4](self.Decoder[1](self.Convs[0](torch.cat([x, skip1], 1))))
        x = self.Decoder[2](self.Convs[1](torch.cat([x, skip0], 1)))
        return image + features[5](x)


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
    def __init__(self, channels: int, widths: Sequence[int], blocks: int):
        bottom = len(widths) - 1
        layers: dict[str, nn.Module] = {"head": conv(4 * channels, widths[0]), "tail": conv(widths[0], 4 * channels)}
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

    def forward(self, image: Tensor) -> Tensor:
        x, skips = self.unet["head"](_unshuffle(image)), []
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
        "ResUNet": lambda: ResUNet(model.channels, model.widths, model.blocks),
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
    for field in ("residual", "condition"):
        if getattr(model, field) != getattr(type(model), field):
            raise ValueError(f"{type(model).__name__} with a non-default `{field}` has no twin in PyTorch")
    twin = build(model)
    architecture = next((name for name in CONVERTERS if type(MODELS[name]()) is type(model)), None)
    if architecture is None:
        copy_params(twin, params)
        return params, twin
    randomise(twin)
    state = {key: value.numpy() for key, value in twin.state_dict().items()}
    return jax.tree.map(jnp.asarray, to_params(state, architecture, architecture)[1]), twin
