"""Items of an import on their way to the server: drawings as such, all else into datasets."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

from volano.data.formats.items import Item, item_id

if TYPE_CHECKING:
    from volano.schemas.datasets import Outcome
    from volano.schemas.drawings import ImportedDrawing
    from volano.sdk.client import Client
    from volano.sdk.uploads import Upload

Contents = Iterable[tuple[Item, bytes]]
"""Items with their contents; of a drawing there is none."""

Place = tuple[str, tuple[tuple[str, str], ...]]
"""A dataset, and the name and kind of each of its fields."""

_LONGEST_NAME = 200
_TOGETHER = 1000
_TOGETHER_BYTES = 16 << 20


@dataclass(kw_only=True)
class Target:
    """Where the items of an import go."""

    dataset: str
    """As it was asked; empty: where they were before, else the default."""
    default: str
    origin: str
    used: list[str] = field(default_factory=list)
    """Datasets into which something went."""

    def of(self, item: Item) -> str:
        """Return the dataset of an item; nothing of a drawing, which is in that of drawings."""
        if item.drawing is not None:
            return ""
        return self.dataset or item.dataset or self.default


def send(
    client: "Client", items: Contents, target: Target
) -> "Iterator[list[tuple[str, Outcome]]]":
    """Send items; yield place and outcome of each of a batch, once that is stored.

    Raises: what the server refuses all of them with; DatasetOfOtherKind.
    """
    from volano.sdk import imports

    def place(one: tuple[Item, bytes]) -> Place:
        item = one[0]
        fields = {name: value.kind for name, value in item.fields.items()}
        return target.of(item), tuple((fields or {item.kind: item.kind}).items())

    for (dataset, fields), some in groupby(_gathered(items, place), place):
        places: deque[str] = deque()
        if dataset:
            client.datasets.ensure(dataset, dict(fields))
            if dataset not in target.used:
                target.used.append(dataset)
            batches = client.datasets.upload(dataset, _uploads(some, places, dataset, target))
        else:
            batches = imports.send(client, target.origin, _drawings(some, places))
        for outcomes in batches:
            yield [(places.popleft(), outcome) for outcome in outcomes]


def _gathered(
    items: Contents, place: Callable[[tuple[Item, bytes]], Place]
) -> Iterator[tuple[Item, bytes]]:
    """Yield items so that those of one dataset follow each other, as far as memory allows.

    An export mixes datasets; each change of the dataset ends a batch.
    """
    some: list[tuple[Item, bytes]] = []
    size = 0
    for one in items:
        some.append(one)
        size += len(one[1])
        if len(some) == _TOGETHER or size > _TOGETHER_BYTES:
            yield from sorted(some, key=place)
            some, size = [], 0
    yield from sorted(some, key=place)


def _drawings(items: Contents, places: deque[str]) -> "Iterator[ImportedDrawing]":
    for item, _ in items:
        if item.drawing is not None:
            places.append(item.locator)
            yield item.drawing


def _uploads(
    items: Contents, places: deque[str], dataset: str, target: Target
) -> "Iterator[Upload]":
    for item, content in items:
        places.append(item.locator)
        yield upload_of(item, content, dataset, target.origin)


def upload_of(item: Item, content: bytes, dataset: str, origin: str) -> "Upload":
    """Return an item as it is sent into a dataset, with the id that it has there for ever."""
    from volano.schemas.datasets import NewItem
    from volano.sdk.uploads import Field, Upload

    was_here = item.id and item.dataset == dataset
    id = item.id if was_here else item_id(dataset, item.locator, sha256(content).hexdigest())
    name = "".join(c for c in item.locator if c.isprintable())
    new = NewItem(
        id=id,
        name=name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}",
        label=item.label,
        split=item.split,
        group=item.group,
        contributor=item.contributor,
        origin=origin,
        synthetic=item.synthetic,
        captured_at=item.captured_at,
        attributes=item.attributes,
    )
    fields = [Field(name, one.data, one.media_type) for name, one in item.fields.items()]
    return Upload(new, content, item.media_type, tuple(fields))
