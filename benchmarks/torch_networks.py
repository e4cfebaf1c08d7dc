"""PyTorch networks with the layer names of published weights."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
