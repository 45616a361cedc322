"""Pages of a listing by keyset: one at the end of a long table costs as much as the first."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
import sqlalchemy as sa

from volano.core.db import Instant, Uuid16
from volano.schemas.common import CursorRefused, Page, Uuid

T = TypeVar("T")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000, description="Most items on the page.")]
After = Annotated[
    str, msgspec.Meta(max_length=500, description="`next` of the page before; empty: the first.")
]


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a listing: columns that together are unique, none of them null.

    NEWEST = Keyset((runs.c.created_at, runs.c.id), descending=True)

    rows = await tx.all(NEWEST.slice(tx.select(runs), after, limit))
    return NEWEST.page(rows, limit, run_of)
    """

    columns: tuple[sa.Column[Any], ...]
    descending: bool = False

    def slice(self, statement: sa.Select[Any], after: str, limit: int) -> sa.Select[Any]:
        """Return the statement for one page and one row more, which tells whether there is another.

        Raises: CursorRefused (`after` is not of this listing).
        """
        if after:
            pairs = zip(self.columns, self.values(after), strict=True)
            row = sa.tuple_(*self.columns)
            last = sa.tuple_(*(sa.bindparam(None, value, c.type) for c, value in pairs))
            statement = statement.where(row < last if self.descending else row > last)
        order = [c.desc() if self.descending else c.asc() for c in self.columns]
        return statement.order_by(*order).limit(limit + 1)

    def page(
        self, rows: Sequence[sa.Row[Any]], limit: int, shape: Callable[[sa.Row[Any]], T]
    ) -> Page[T]:
        """Make a page of the rows of `slice`."""
        shown = rows[:limit]
        if len(rows) <= limit:
            return Page(items=[shape(row) for row in shown])
        last = shown[-1]._mapping
        following = self.cursor([last[column.name] for column in self.columns])
        return Page(items=[shape(row) for row in shown], next=following)

    def cursor(self, values: Sequence[Any]) -> str:
        """Return the cursor of the row with these values of the columns."""
        return base64.urlsafe_b64encode(msgspec.json.encode(values)).rstrip(b"=").decode()

    def values(self, cursor: str) -> list[Any]:
        """Return the values of the columns in the row of a cursor.

        Raises: CursorRefused (it is not of this listing).
        """
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            values = msgspec.json.decode(text, type=list[Any])
            return [_value(c, value) for c, value in zip(self.columns, values, strict=True)]
        except (msgspec.MsgspecError, ValueError):
            raise CursorRefused(after=cursor) from None


def _value(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(column.type, Instant):
        return msgspec.convert(value, Moment)
    if isinstance(column.type, Uuid16):
        return msgspec.convert(value, Uuid)
    return msgspec.convert(value, column.type.python_type)
