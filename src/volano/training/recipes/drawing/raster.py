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
EPSILON = 1e-9
"""Under the root of a length, so that a dot has a direction and a gradient."""
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

    def forward(self, ends: Tensor, mask: Tensor) -> Tensor:
        """Draw `ends` (B, N, 2, 2) that are `normalised`; `mask` (B, N) is false for padding."""
        ink = _ink_by_channel(ends, mask, FILL * self.size_px) / self.ink_of_line
        ends = ends * (FILL * self.size_px) + self.size_px / 2
        begin, vector = ends[:, :, 0], ends[:, :, 1] - ends[:, :, 0]
        dots = begin[:, :, None] + vector[:, :, None] * self.places[:, None]
        columns = self._spread(dots[..., 0].flatten(1)[:, :, None] - self.centres)
        rows = self._spread(dots[..., 1].flatten(1)[:, None] - self.centres[:, None])
        weights = ink.repeat_interleave(DOTS, dim=2)
        # One product per drawing: the rows of all channels below each other.
        heights = (weights[:, :, None] * rows[:, None]).flatten(1, 2)
        return (heights @ columns).unflatten(1, (CHANNELS, self.size_px))

    def _spread(self, off: Tensor) -> Tensor:
        return torch.exp(off.square() * (-0.5 / self.spread**2))


def normalised(segments: Tensor, mask: Tensor) -> Tensor:
    """Return ends (B, N, 2, 2) of segments (B, N, 4), the box centred, its larger side 1."""
    ends = segments.unflatten(2, (2, 2))
    absent = ~mask[:, :, None, None]
    low = ends.masked_fill(absent, FAR).amin((1, 2), keepdim=True)
    high = ends.masked_fill(absent, -FAR).amax((1, 2), keepdim=True)
    side = (high - low).amax(3, keepdim=True).clamp_min(1e-3)
    return (ends - (low + high) / 2) / side


def turned(pictures: Tensor) -> Tensor:
    """Return the pictures of the same drawings upside down."""
    return pictures.flip(2, 3) * pictures.new_tensor(TURN)[:, None, None]


def directions(ends: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of direction and of twice it (B, 4, N), and lengths (B, N)."""
    vector = ends[:, :, 1] - ends[:, :, 0]
    length = vector.square().sum(2).add(EPSILON).sqrt()
    cos, sin = (vector / length[..., None]).unbind(2)
    return torch.stack([cos, sin, cos * cos - sin * sin, 2 * cos * sin], dim=1), length


def _ink_by_channel(ends: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Return ink (B, CHANNELS, N): in proportion to length, a dot as much as a short line."""
    runs, length = directions(ends)
    ink = torch.where(mask, (length * scale).clamp_min(DOT_PX), 0.0)[:, None]
    return torch.cat([ink, runs * ink], dim=1)
