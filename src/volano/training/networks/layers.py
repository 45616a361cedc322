"""Layers that several networks are made of."""

from torch import nn


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
