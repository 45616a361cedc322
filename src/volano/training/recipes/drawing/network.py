"""The recogniser: two views of a drawing, a small network for each, calibrated probabilities."""

import torch
from torch import Tensor, nn

from volano.training.networks.layers import Convolution
from volano.training.recipes.drawing import raster, trace
from volano.training.recipes.drawing.raster import Raster, normalised

Views = tuple[Tensor, Tensor, Tensor]
"""Pictures (B, CHANNELS, S, S), traces (B, FEATURES, 1, N) and a mask of what is no padding."""


class PictureNetwork(nn.Sequential):
    """Pictures to logits (B, classes); the first layer halves the picture."""

    def __init__(self, classes: int, width: int, dropout: float) -> None:
        super().__init__(
            Convolution(raster.CHANNELS, width, kernel=(5, 5), stride=2),
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


class TraceNetwork(nn.Module):
    """Traces to logits (B, classes), the same however much padding follows a trace."""

    def __init__(self, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Convolution(trace.FEATURES, 2 * width, kernel=(1, 5)),
            nn.MaxPool2d((1, 2), ceil_mode=True),
            Convolution(2 * width, 2 * width, kernel=(1, 5)),
            nn.MaxPool2d((1, 2), ceil_mode=True),
            Convolution(2 * width, 4 * width, kernel=(1, 5)),
            nn.MaxPool2d((1, 2), ceil_mode=True),
            Convolution(4 * width, 4 * width, kernel=(1, 3)),
            Convolution(4 * width, 4 * width, kernel=(1, 3)),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, classes)

    def forward(self, traces: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            if isinstance(layer, nn.MaxPool2d):
                traces, mask = layer(traces), layer(mask)
            else:
                traces = layer(traces) * mask
        mean = traces.sum((2, 3)) / mask.sum((2, 3)).clamp_min(1)
        logits: Tensor = self.head(self.dropout(torch.cat([mean, traces.amax((2, 3))], dim=1)))
        return logits


class Network(nn.Module):
    """Both networks side by side; each learns for itself, so that they err apart."""

    def __init__(self, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.picture = PictureNetwork(classes, width, dropout)
        self.trace = TraceNetwork(classes, width, dropout)
        self.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor, traces: Tensor, mask: Tensor) -> Tensor:
        """Return logits (2, B, classes): by the pictures, by the traces."""
        fast = torch.channels_last
        return torch.stack(
            [
                self.picture(pictures.contiguous(memory_format=fast)),
                self.trace(traces.contiguous(memory_format=fast), mask),
            ]
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
        self.network = Network(2 * classes, width, dropout)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, segments: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(segments, count)
        return torch.softmax(logits / self.temperature, dim=1), logits

    def logits(self, segments: Tensor, count: Tensor) -> Tensor:
        """Return logits (B, classes) before any temperature: the mean of networks and ways up."""
        views = self.views(segments, count)
        upright, upside_down = self.network(*views), self.network(*turned(views))
        both = upright[:, :, : self.classes] + upside_down[:, :, self.classes :]
        return both.mean(dim=0) / 2

    def views(self, segments: Tensor, count: Tensor) -> Views:
        """Return what it sees of `segments` (B, N, 4), px; from `count[b]` on is padding."""
        mask = torch.arange(segments.shape[1], device=count.device) < count[:, None]
        ends = normalised(segments, mask)
        return self.raster(ends, mask), *trace.traces(ends, mask)


def turned(views: Views) -> Views:
    """Return the views of the same drawings upside down."""
    pictures, traces, mask = views
    return raster.turned(pictures), trace.turned(traces), mask
