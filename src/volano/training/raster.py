"""Line segments to a small picture, as one formula that trains, serves and runs in a browser.

Every segment is a row of soft dots. A dot is a Gaussian, and a Gaussian is a product of one over x
and one over y, so a whole picture is two matrices multiplied: rows times columns. That makes it
quick enough to redo for each augmented drawing of each step, with no kernel of its own.
"""

import torch
from torch import Tensor, nn

DOTS = 2
"""Dots per segment; with segments of 1/32 of the box they lie less than half a pixel apart."""
FILL = 0.86
"""Share of the picture that the larger side of the drawing's box takes."""
SPREAD_PX = 0.7
"""Standard deviation of a dot at 32 px."""
FAR = 1e7
"""Beyond any canvas in px; finite, so that a drawing of no segments is a blank picture."""
DOT_PX = 0.5
"""Least ink of a segment, as if it were that long."""
CHANNELS = 5
"""Ink, and how it runs: cosine and sine of its direction and of twice its direction."""
TURN = (1.0, -1.0, -1.0, 1.0, 1.0)
"""What a half turn does to each channel."""


class Raster(nn.Module):
    """Pictures (B, CHANNELS, size, size) of drawings, whatever their place and scale were."""

    def __init__(self, size_px: int) -> None:
        super().__init__()
        self.size_px = size_px
        self.spread = SPREAD_PX * size_px / 32
        # 2.5 spreads is the integral across a line: the ink of one line peaks near 1.
        self.ink_of_line = 2.5 * self.spread * DOTS
        self.register_buffer("centres", torch.arange(size_px) + 0.5, persistent=False)
        self.register_buffer("places", (torch.arange(DOTS) + 0.5) / DOTS, persistent=False)

    def forward(self, segments: Tensor, count: Tensor) -> Tensor:
        """`segments` (B, N, 4) in px; those of drawing b from `count[b]` on are padding."""
        there = torch.arange(segments.shape[1], device=count.device) < count[:, None]
        ends = self._normalised(segments.unflatten(2, (2, 2)), there)
        begin, way = ends[:, :, 0], ends[:, :, 1] - ends[:, :, 0]
        dots = begin[:, :, None] + way[:, :, None] * self.places[:, None]
        columns = self._spread(dots[..., 0].flatten(1)[:, :, None] - self.centres)
        rows = self._spread(dots[..., 1].flatten(1)[:, None] - self.centres[:, None])
        weights = _weights(way, there).repeat_interleave(DOTS, dim=2) / self.ink_of_line
        # One product per drawing: the rows of all channels below each other.
        heights = (weights[:, :, None] * rows[:, None]).flatten(1, 2)
        return (heights @ columns).unflatten(1, (CHANNELS, self.size_px))

    def _normalised(self, ends: Tensor, there: Tensor) -> Tensor:
        """Ends in px of the picture: the box of the drawing centred, its larger side at FILL."""
        absent = ~there[:, :, None, None]
        low = ends.masked_fill(absent, FAR).amin((1, 2), keepdim=True)
        high = ends.masked_fill(absent, -FAR).amax((1, 2), keepdim=True)
        scale = FILL * self.size_px / (high - low).amax(3, keepdim=True).clamp_min(1e-3)
        return (ends - (low + high) / 2) * scale + self.size_px / 2

    def _spread(self, off: Tensor) -> Tensor:
        return torch.exp(off.square() * (-0.5 / self.spread**2))


def turned(pictures: Tensor) -> Tensor:
    """The pictures of the same drawings upside down."""
    return pictures.flip(2, 3) * pictures.new_tensor(TURN)[:, None, None]


def _weights(way: Tensor, there: Tensor) -> Tensor:
    """Ink per channel (B, CHANNELS, N): in proportion to length, a dot as much as a short line."""
    length = way.square().sum(2).add(1e-6).sqrt()
    cos, sin = (way / length[..., None]).unbind(2)
    ink = torch.where(there, length.clamp_min(DOT_PX), 0.0)
    runs = (torch.ones_like(cos), cos, sin, cos * cos - sin * sin, 2 * cos * sin)
    return torch.stack(runs, dim=1) * ink[:, None]
