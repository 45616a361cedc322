"""What lies between a request and a graph: a file for each kind of input, one for the outputs.

An input kind is a class made of the signature's facts, with `read`, `feed` and `golden`, and what
the log asks of the items it reads. Adding one is a file and a line here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from volano.core.compute import WorkerPool
from volano.schemas.registry import ArtefactRefused, InputSpec
from volano.schemas.serving import DrawingInput, ImageInput
from volano.serving.adapters import drawing, image

Inputs = drawing.DrawingInputs | image.ImageInputs


@dataclass(frozen=True, slots=True)
class Kind:
    """How inputs of one kind are read, and how they are logged."""

    inputs: Callable[[Any], Inputs]
    """Makes the adapter of the facts of a signature."""
    item: type
    """What the adapter reads an input as."""
    payloads: Callable[[WorkerPool, Sequence[Any]], Awaitable[list[bytes]]]
    """Returns the canonical payload of each item."""
    shown: Callable[[bytes], DrawingInput | ImageInput]
    """Returns a logged payload as it is shown."""
    media_type: Callable[[bytes], str]


KINDS = {
    "drawing": Kind(
        drawing.DrawingInputs, drawing.Drawing, drawing.payloads, drawing.shown, drawing.media_type
    ),
    "image": Kind(image.ImageInputs, image.Picture, image.payloads, image.shown, image.media_type),
}


def inputs_of(takes: InputSpec) -> Inputs:
    """Return the adapter of what a version takes.

    Raises: ArtefactRefused.
    """
    name = str(takes.__struct_config__.tag)
    if (kind := KINDS.get(name)) is None:
        raise ArtefactRefused(reason=f"inputs of the kind {name!r} are not answered yet")
    return kind.inputs(takes)
