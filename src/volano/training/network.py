"""The recogniser: two views of a drawing, a small network for each, calibrated probabilities."""

import torch
from torch import Tensor, nn

from volano.training import raster, trace
from volano.training.raster import Raster, normalised


class Convolution(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, ins: int, outs: int, *, kernel: tuple[int, int] = (3, 3), stride: int = 1
    ) -> None:
        padding = kernel[0] // 2, kernel[1] // 2
        super().__init__(
            nn.Conv2d(ins, outs, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(outs, momentum=0.5),  # the averaged weights smooth its statistics
            nn.ReLU(inplace=True),
        )


class Residual(Convolution):
    """What a convolution adds to its input, of as many channels.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self, channels: int, *, kernel: tuple[int, int]) -> None:
        super().__init__(channels, channels, kernel=kernel)

    def forward(self, values: Tensor) -> Tensor:
        added: Tensor = super().forward(values)
        return values + added


class Reader(nn.Module):
    """A network of its own: features of a drawing, and logits by one matrix of them."""

    layers: nn.Sequential
    head: nn.Linear

    def features(self, ends: Tensor, there: Tensor) -> Tensor:
        """Features (B, F) of drawings as `placed` gives them."""
        raise NotImplementedError

    def forward(self, ends: Tensor, there: Tensor) -> Tensor:
        """Logits (B, classes)."""
        logits: Tensor = self.head(self.features(ends, there))
        return logits


class PictureReader(Reader):
    """Reads the picture of a drawing; the first layer halves it."""

    def __init__(self, classes: int, *, size_px: int, width: int) -> None:
        super().__init__()
        self.raster = Raster(size_px)
        self.layers = nn.Sequential(
            Convolution(raster.CHANNELS, width, kernel=(5, 5), stride=2),
            Convolution(width, width),
            Convolution(width, width),
            nn.MaxPool2d(2),
            Convolution(width, 2 * width),
            Convolution(2 * width, 2 * width),
            nn.MaxPool2d(2),
            Convolution(2 * width, 4 * width),
            Convolution(4 * width, 4 * width),
        )
        self.head = nn.Linear(8 * width, classes)
        self.to(memory_format=torch.channels_last)

    def features(self, ends: Tensor, there: Tensor) -> Tensor:
        pictures = self.raster(ends, there).contiguous(memory_format=torch.channels_last)
        values = self.layers(pictures)
        return torch.cat([values.mean((2, 3)), values.amax((2, 3))], dim=1)


class TraceReader(Reader):
    """Reads the pen's way, the same however much padding follows it."""

    def __init__(self, classes: int, *, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolution(trace.FEATURES, 2 * width, kernel=(1, 5)),
            nn.MaxPool2d((1, 2), ceil_mode=True),
            Residual(2 * width, kernel=(1, 5)),
            Residual(2 * width, kernel=(1, 5)),
            nn.MaxPool2d((1, 2), ceil_mode=True),
            Convolution(2 * width, 4 * width, kernel=(1, 5)),
            Residual(4 * width, kernel=(1, 3)),
            nn.MaxPool2d((1, 2), ceil_mode=True),
            Residual(4 * width, kernel=(1, 3)),
            Residual(4 * width, kernel=(1, 3)),
        )
        self.head = nn.Linear(8 * width, classes)
        self.to(memory_format=torch.channels_last)

    def features(self, ends: Tensor, there: Tensor) -> Tensor:
        values, kept = trace.traces(ends, there)
        values = values.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            if isinstance(layer, nn.MaxPool2d):
                values, kept = layer(values), layer(kept)
            else:
                values = layer(values) * kept
        mean = values.sum((2, 3)) / kept.sum((2, 3)).clamp_min(1)
        return torch.cat([mean, values.amax((2, 3))], dim=1)


class Recogniser(nn.Module):
    """What is exported: segments and their count in, probabilities and logits out.

    Its readers learn each for itself, so that they err apart; their logits are averaged.
    """

    temperature: Tensor

    def __init__(self, classes: int, *, size_px: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.picture = PictureReader(classes, size_px=size_px, width=width)
        self.trace = TraceReader(classes, width=width)
        self.register_buffer("temperature", torch.ones(()))

    @property
    def readers(self) -> tuple[Reader, Reader]:
        return self.picture, self.trace

    def forward(self, segments: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(segments, count)
        return torch.softmax(logits / self.temperature, dim=1), logits

    def logits(self, segments: Tensor, count: Tensor) -> Tensor:
        """Logits (B, classes) before any temperature: the mean of both readers'."""
        ends, there = placed(segments, count)
        return (self.picture(ends, there) + self.trace(ends, there)) / 2


def placed(segments: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """What readers take of `segments` (B, N, 4) in px; from `count[b]` on is padding.

    Ends (B, N, 2, 2) as `raster.normalised` gives them; (B, N) is true where a segment is.
    """
    there = torch.arange(segments.shape[1], device=count.device) < count[:, None]
    return normalised(segments, there), there
