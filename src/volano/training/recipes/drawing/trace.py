"""Line segments in the order in which they were drawn: what a picture does not show."""

import torch
from torch import Tensor

from volano.training.recipes.drawing.raster import EPSILON, directions

FEATURES = 10
TURN = (1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0)
"""What a half turn does to each feature."""


def traces(ends: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return traces (B, FEATURES, 1, N) of normalised ends (B, N, 2, 2), and 1 where a segment is.

    The features of a segment: one, its middle, the cosine and sine of its direction and of twice
    its direction, and the way and the distance from where the segment before it ended.
    """
    begin, end = ends.unbind(2)
    jump = torch.cat([torch.zeros_like(begin[:, :1]), begin[:, 1:] - end[:, :-1]], dim=1)
    distance = jump.square().sum(2, keepdim=True).add(EPSILON).sqrt()
    columns = torch.cat([begin + end, directions(ends)[0].mT, 2 * jump, 2 * distance], dim=2)
    is_segment = mask[:, None].to(ends.dtype)
    features = torch.cat([is_segment, columns.mT * is_segment], dim=1)
    return features[:, :, None], is_segment[:, :, None]


def turned(traces: Tensor) -> Tensor:
    """Return the traces of the same drawings upside down."""
    return traces * traces.new_tensor(TURN)[:, None, None]
