"""Plain measures of a picture: its light, its contrast, its focus."""

from typing import NamedTuple

import cv2
import numpy as np

from volano.data.formats.pixels import Pixels
from volano.schemas.data import Quality, QualityPart

SCORER = "image-1"

ENOUGH_PX = 16
"""On the shorter side, to tell anything."""
ENOUGH_LIGHT = 64
"""Grey level that the brightest parts of a picture reach at least, of 255."""
ENOUGH_CONTRAST = 32
"""Grey levels between its darkest and its brightest parts."""
ENOUGH_FOCUS = 0.02
"""Photographs of cells measure 0.1, blurred by 0.3 % of their width 0.03, by 0.6 % 0.008."""

_SIDE = 256  # px, to which a picture is shrunk before it is measured
_EXTREMES = 0.001  # share of the pixels that may be darker, or brighter, than what counts
_ROUNDING = 2.0  # variance of the Laplacian that the rounding to whole grey levels makes
_FLAT = 16.0  # variance of grey levels below which nothing can be said of the focus


class Light(NamedTuple):
    """What was measured; `focus` is the share of the picture's variance that its edges make."""

    darkest: float
    brightest: float
    focus: float


def measure(picture: Pixels) -> Light:
    """Measure an RGB picture (h, w, 3).

    Source: the variance of the Laplacian, after Pech-Pacheco et al. 2000, here over the variance of
    the grey levels, so that it does not follow the contrast.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = _SIDE / max(grey.shape)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    below = np.cumsum(np.bincount(grey.ravel(), minlength=256)) / grey.size
    darkest, brightest = np.searchsorted(below, [_EXTREMES, 1 - _EXTREMES]).tolist()
    variance = float(grey.var())
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    focus = max(0.0, edges - _ROUNDING) / variance if variance > _FLAT else 1.0
    return Light(darkest, brightest, round(focus, 4))


def rate(width: int, height: int, light: Light) -> Quality:
    """Score a picture: the product of its size, light, contrast and focus."""
    shorter, contrast = min(width, height), light.brightest - light.darkest
    parts = [
        _part("size", shorter / ENOUGH_PX, f"{shorter} px on its shorter side"),
        _part(
            "light",
            light.brightest / ENOUGH_LIGHT,
            f"its brightest parts have the grey level {light.brightest:g} of 255",
        ),
        _part(
            "contrast",
            contrast / ENOUGH_CONTRAST,
            f"{contrast:g} grey levels between its darkest and its brightest parts",
        ),
        _part("focus", light.focus / ENOUGH_FOCUS, f"edges make {light.focus:.3f} of its variance"),
    ]
    score = float(np.prod([part.value for part in parts]))
    return Quality(score=score, parts=parts, scorer_version=SCORER)


def _part(name: str, share: float, reason: str) -> QualityPart:
    return QualityPart(name=name, value=min(1.0, max(0.0, share)), reason=reason)
