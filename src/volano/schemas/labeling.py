"""What people are asked and what they gave: shapes (prompts), drawings accepted, statistics."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from volano.schemas.common import Id, Input, Name, Struct
from volano.schemas.errors import Conflict, Invalid

Difficulty = Literal["easy", "medium", "hard"]


class Shape(Struct, frozen=True, kw_only=True):
    """What a contributor is asked to draw."""

    name: Name
    description: str = ""
    difficulty: Difficulty = "easy"
    active: bool = True
    drawings: int = 0
    """Drawings stored so far."""


class NewShape(Input, frozen=True, kw_only=True):
    """A shape to ask for."""

    name: Name
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""
    difficulty: Difficulty = "easy"


class UserStats(Struct, frozen=True, kw_only=True):
    """What one contributor has given."""

    contributor: Id
    total_drawings: int
    by_shape: dict[str, int]
    first_at: datetime | None = None
    last_at: datetime | None = None


class UnknownShape(Invalid):
    """There is no shape {shape!r} to draw."""

    remedy = "`volano shapes ls` lists what is asked for, `volano shapes add NAME` adds more."


class DrawingIdReused(Conflict):
    """The id {id} was used before for another drawing."""

    status = 422
    remedy = "Make a new UUIDv7 for each drawing."
