"""Other pictures of the same things: moved, scaled, turned, lighter, darker, partly covered."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How far pictures are varied, at most; lengths are shares of the picture's side."""

    shift: float = 0.08
    scale: float = 0.1
    """Logarithm of the factor."""
    turn: float = 0.1
    """Radians."""
    contrast: float = 0.2
    light: float = 0.2
    """In standard deviations of a pixel."""
    tint: float = 0.1
    """The same, for each channel by itself."""
    cover: float = 0.35
    """Side of the square that is covered in half of the pictures."""

    def times(self, strength: float) -> Variation:
        """Return the variation with every share multiplied."""
        return replace(self, **{name: getattr(self, name) * strength for name in self.__slots__})


def augment(
    generator: torch.Generator, pictures: Tensor, variation: Variation, *, flip: bool
) -> Tensor:
    """Return varied copies of normalised pictures (B, C, H, W)."""
    pictures = _moved(generator, pictures, variation, flip=flip)
    pictures = _lit(generator, pictures, variation)
    return _covered(generator, pictures, variation)


def _moved(
    generator: torch.Generator, pictures: Tensor, variation: Variation, *, flip: bool
) -> Tensor:
    number = len(pictures)
    stretch = torch.exp(_spread(generator, (number, 2), variation.scale))
    angle = _spread(generator, (number,), variation.turn)
    mirrored = torch.ones(number)
    if flip:
        mirrored -= 2 * torch.randint(2, (number,), generator=generator)
    cos, sin = torch.cos(angle), torch.sin(angle)
    form = torch.stack([cos * mirrored, -sin, sin * mirrored, cos], dim=1).view(-1, 2, 2)
    form = form * stretch[:, :, None]
    shift = _spread(generator, (number, 2, 1), 2 * variation.shift)  # the picture is 2 wide here
    grid = functional.affine_grid(
        torch.cat([form, shift], dim=2), list(pictures.shape), align_corners=False
    )
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _lit(generator: torch.Generator, pictures: Tensor, variation: Variation) -> Tensor:
    number, channels = pictures.shape[:2]
    factor = torch.exp(_spread(generator, (number, 1, 1, 1), variation.contrast))
    light = _spread(generator, (number, 1, 1, 1), variation.light)
    tint = _spread(generator, (number, channels, 1, 1), variation.tint if channels > 1 else 0.0)
    return pictures * factor + (light + tint)


def _covered(generator: torch.Generator, pictures: Tensor, variation: Variation) -> Tensor:
    """Put the mean colour over a square of every second picture."""
    number, _, height, width = pictures.shape
    centre = torch.rand((number, 2, 1), generator=generator)
    half = variation.cover / 2 * torch.randint(2, (number, 1), generator=generator)
    rows = abs((torch.arange(height) + 0.5) / height - centre[:, 0]) < half
    columns = abs((torch.arange(width) + 0.5) / width - centre[:, 1]) < half
    return pictures.masked_fill((rows[:, :, None] & columns[:, None])[:, None], 0.0)


def _spread(generator: torch.Generator, shape: tuple[int, ...], most: float) -> Tensor:
    """Return numbers between plus and minus `most`."""
    return (2 * torch.rand(shape, generator=generator) - 1) * most
