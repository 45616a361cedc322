"""What is written about a field in the source is in the API's description."""

from datetime import datetime
from typing import Any

from volano.core.http.schemas import Schemas
from volano.schemas.common import Page, Struct


class Inner(Struct, frozen=True, kw_only=True):
    """Something inside.

    It has a second paragraph.
    """

    at: datetime | None = None


class Outer(Struct, frozen=True, kw_only=True):
    """Something."""

    size: float
    """How large it is,
    in px."""
    made_at: datetime
    inner: list[Inner] | None = None


def schema(name: str, *types: Any) -> dict[str, Any]:
    found: dict[str, Any] = Schemas(types).components[name]
    return found


def test_the_text_below_a_field_is_its_description() -> None:
    assert schema("Outer", Outer)["properties"]["size"]["description"] == "How large it is, in px."


def test_times_say_that_they_are_times_wherever_they_are() -> None:
    time = {"type": "string", "format": "date-time"}

    assert time == schema("Outer", Page[Outer])["properties"]["made_at"]
    assert time in schema("Inner", Page[Outer])["properties"]["at"]["anyOf"]


def test_a_description_is_not_indented() -> None:
    assert (
        (schema("Inner", Outer)["description"]) == "Something inside.\n\nIt has a second paragraph."
    )
