"""Points of metrics: packed for the store, unpacked as one series a metric."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from volano.schemas.harness import Point
from volano.schemas.registry import Progress, Series

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Point]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a finished run says about what it made."""

    source: str
    metrics: dict[str, float]
    environment: dict[str, str]
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a running attempt has told."""

    number: int
    """Goes up by one each time that something is written down."""
    points: Sequence[Point] = ()
    """Those since the time before."""
    progress: Progress
    warnings: Sequence[str] = ()
    output: bytes = b""
    """The latest of what it printed."""


def encode(points: Sequence[Point]) -> bytes:
    """Encode points as the store keeps them (MessagePack)."""
    return _encode(points)


def latest(points: Iterable[Point]) -> dict[str, float]:
    """Return the last value of each metric."""
    found: dict[str, float] = {}
    for point in points:
        found |= point.values
    return found


def by_metric(chunks: Iterable[bytes]) -> list[Series]:
    """Return a series for each metric, in the order in which they first appeared."""
    columns: dict[str, tuple[list[int], list[float], list[float]]] = {}
    for chunk in chunks:
        for point in _decode(chunk):
            for metric, value in point.values.items():
                steps, values, at_s = columns.setdefault(metric, ([], [], []))
                steps.append(point.step)
                values.append(value)
                at_s.append(point.at_s)
    return [
        Series(metric=metric, steps=steps, values=values, at_s=at_s)
        for metric, (steps, values, at_s) in columns.items()
    ]


def scalars(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among what `evaluate` returned, those one level down as `outer_inner`."""
    found: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            inner = {f"{name}_{key}": v for key, v in value.items()}
            found |= {key: float(v) for key, v in inner.items() if _is_number(v)}
        elif _is_number(value):
            found[name] = float(value)
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
