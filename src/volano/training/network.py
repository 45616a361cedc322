"""The recogniser: a picture, a small convolutional network, calibrated probabilities."""

import torch
from torch import Tensor, nn

from volano.training.raster import CHANNELS, Raster, turned


class Network(nn.Sequential):
    """Pictures (B, CHANNELS, S, S) to logits (B, classes); the first layer halves the picture."""

    def __init__(self, classes: int, width: int, dropout: float) -> None:
        super().__init__(
            Convolution(CHANNELS, width, kernel=5, stride=2),
            Convolution(width, width),
            Convolution(width, width),
            nn.MaxPool2d(2),
            Convolution(width, 2 * width),
            Convolution(2 * width, 2 * width),
            nn.MaxPool2d(2),
            Convolution(2 * width, 4 * width),
            Convolution(4 * width, 4 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, classes),
        )


class Convolution(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, ins: int, outs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(ins, outs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outs, momentum=0.5),  # the averaged weights smooth its statistics
            nn.ReLU(inplace=True),
        )


class Recogniser(nn.Module):
    """What is exported: segments and their count in, probabilities and logits out.

    The network knows each class twice, upright and upside down, and reads every drawing both ways.
    Source: Lee et al., "Self-supervised Label Augmentation via Input Transformations", ICML 2020.
    """

    def __init__(self, classes: int, *, size_px: int, width: int, dropout: float) -> None:
        super().__init__()
        self.classes = classes
        self.raster = Raster(size_px)
        self.network = Network(2 * classes, width, dropout).to(memory_format=torch.channels_last)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, segments: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(segments, count)
        return torch.softmax(logits / self.temperature, dim=1), logits

    def logits(self, segments: Tensor, count: Tensor) -> Tensor:
        """Logits (B, classes) before any temperature: the mean of both ways up."""
        pictures = self.raster(segments, count)
        upright, upside_down = self.network(pictures), self.network(turned(pictures))
        return (upright[:, : self.classes] + upside_down[:, self.classes :]) / 2
