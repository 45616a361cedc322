"""The classifier: a plain convolutional network on normalised pixels, calibrated probabilities."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from volano.schemas.registry import ImageSpec
from volano.training.networks.layers import Convolution

STAGED_PX = 40
"""Pictures larger than this are halved by the first layer."""
LAST_PX = 10
"""Stages are added until a picture is as small as this."""


class Classifier(nn.Module):
    """What is exported: pixels in, probabilities and logits out."""

    def __init__(self, classes: int, spec: ImageSpec, *, width: int, dropout: float) -> None:
        super().__init__()
        self.classes, self.spec = classes, spec
        self.register_buffer("mean", torch.zeros(1, spec.channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, spec.channels, 1, 1))
        self.register_buffer("temperature", torch.ones(()))
        self.network = nn.Sequential(*_layers(classes, spec, width, dropout))
        self.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def normalise_by(self, pixels: NDArray[np.uint8]) -> None:
        """Take mean and deviation of each channel from training pictures."""
        self.mean[:] = torch.from_numpy(pixels.mean((0, 1, 2))).view(1, -1, 1, 1)
        deviation = torch.from_numpy(pixels.std((0, 1, 2))).view(1, -1, 1, 1)
        self.deviation[:] = deviation.clamp_min(1.0)  # one grey level: pictures may be all alike

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(pixels)
        return torch.softmax(logits / self.temperature, dim=1), logits

    def logits(self, pixels: Tensor) -> Tensor:
        """Return logits (B, classes) before any temperature of uint8 pixels (B, H, W, C)."""
        return self.network(self.normalised(pixels))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return pixels as (B, C, H, W) with mean 0 and deviation 1 over the training pictures."""
        return (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.deviation


def _layers(classes: int, spec: ImageSpec, width: int, dropout: float) -> Iterator[nn.Module]:
    """Yield the layers: stages of two convolutions, each half as large and twice as wide."""
    rows, columns, ins, outs = spec.height, spec.width, int(spec.channels), width
    if max(rows, columns) > STAGED_PX:
        yield Convolution(ins, width, kernel=(5, 5), stride=2)
        rows, columns, ins = (rows + 1) // 2, (columns + 1) // 2, width
    while True:
        yield Convolution(ins, outs)
        yield Convolution(outs, outs)
        ins = outs
        if max(rows, columns) <= LAST_PX:
            break
        half = min(2, rows), min(2, columns)
        yield nn.MaxPool2d(half)
        rows, columns, outs = rows // half[0], columns // half[1], min(2 * outs, 8 * width)
    yield nn.AdaptiveAvgPool2d(1)
    yield nn.Flatten()
    yield nn.Dropout(dropout)
    yield nn.Linear(outs, classes)
