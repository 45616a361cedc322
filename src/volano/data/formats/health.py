"""What an import looks like as a whole: classes, splits, sizes, what is twice, what is wrong."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from volano.data.formats import boxes, image_header
from volano.data.formats.items import Item, Skipped
from volano.schemas.common import Json

_SMALL_PX: Final = 8
_LONG: Final = 10.0
"""Longer than this many times its width, or wider than its height, a picture is odd."""

_LISTED: Final = 1000
"""Of each kind of finding; all are counted."""


@dataclass(kw_only=True)
class Health:
    """Facts about what was read, gathered item by item; memory is a few bytes an item."""

    items: int = 0
    size: int = 0
    """Bytes."""
    unlabelled: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    """Label -> items, or boxes where there are boxes."""
    splits: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    boxes: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    problems: list[Skipped] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """An item and the first one of the same content."""
    duplicate_count: int = 0
    contradictions: list[tuple[str, str]] = field(default_factory=list)
    """Two items of the same content with different labels."""
    leaks: list[tuple[str, str]] = field(default_factory=list)
    """Two items of the same content in different splits."""
    odd: list[tuple[str, str]] = field(default_factory=list)
    """Items of an odd size, and the size."""
    _by_split: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _first: dict[bytes, tuple[str, str, str]] = field(default_factory=dict)

    def add(self, item: Item, data: bytes) -> None:
        """Count an item with its content; of a drawing the content is nothing here."""
        self.items += 1
        self.size += len(data)
        self.kinds[item.kind] += 1
        self.splits[item.split] += 1
        labels = _labels(item)
        self.classes.update(labels)
        self.boxes += len(item.attributes.get(boxes.NAME, ()))
        self._by_split[item.split].update(labels)
        if not labels and boxes.NAME not in item.attributes:
            self.unlabelled += 1
        if item.kind == "image":
            self._measure(item, data)
        if data:
            self._compare(item, data)

    def skip(self, skipped: Skipped) -> None:
        """Note what was passed over."""
        self.problems.append(skipped)

    @property
    def left_out(self) -> list[Skipped]:
        """Items that are left out whole."""
        return [one for one in self.problems if one.loss == "item"]

    @property
    def single(self) -> list[str]:
        """Classes with one example."""
        return sorted(name for name, count in self.classes.items() if count == 1)

    @property
    def not_trained(self) -> list[str]:
        """Classes of other splits that the train split lacks."""
        train = self._by_split.get("train")
        others = [names for split, names in self._by_split.items() if split not in ("train", "")]
        return sorted(set().union(*others) - train) if train and others else []

    @property
    def alike(self) -> list[list[str]]:
        """Classes whose names differ only in case, spaces or hyphens."""
        spelt: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.classes):
            spelt["".join(c for c in name.casefold() if c.isalnum())].append(name)
        return [names for key, names in spelt.items() if key and len(names) > 1]

    def _measure(self, item: Item, data: bytes) -> None:
        size = image_header.measure(data)
        if size is None:
            return
        self.sizes[size.width, size.height] += 1
        least, most = sorted((size.width, size.height))
        if (least < _SMALL_PX or most > _LONG * least) and len(self.odd) < _LISTED:
            self.odd.append((item.locator, f"{size.width} x {size.height}"))

    def _compare(self, item: Item, data: bytes) -> None:
        key = hashlib.blake2b(data, digest_size=16).digest()
        first, label, split = self._first.setdefault(key, (item.locator, item.label, item.split))
        if first == item.locator:
            return
        self.duplicate_count += 1
        pair = (item.locator, first)
        for found, listed in (
            (True, self.duplicates),
            (label != item.label, self.contradictions),
            (split != item.split, self.leaks),
        ):
            if found and len(listed) < _LISTED:
                listed.append(pair)

    def document(self) -> Json:
        """Return everything as JSON values."""
        return {
            "items": self.items,
            "bytes": self.size,
            "kinds": dict(self.kinds),
            "unlabelled": self.unlabelled,
            "classes": dict(sorted(self.classes.items())),
            "boxes": self.boxes,
            "splits": {split or "none": count for split, count in sorted(self.splits.items())},
            "sizes": _sizes(self.sizes),
            "single": self.single,
            "not_in_train": self.not_trained,
            "alike": self.alike,
            "duplicate_count": self.duplicate_count,
            "duplicates": _pairs(self.duplicates, "file", "same_as"),
            "contradictions": _pairs(self.contradictions, "file", "same_as"),
            "leaks": _pairs(self.leaks, "file", "same_as"),
            "odd_sizes": _pairs(self.odd, "file", "size"),
            "problems": [problem(one) for one in self.problems],
        }


def problem(one: Skipped) -> dict[str, Any]:
    """Return what was passed over as JSON values."""
    return {
        "file": one.locator,
        "code": one.error.code,
        "detail": one.error.message,
        "remedy": one.error.advice,
        "loss": one.loss,
    }


def _labels(item: Item) -> list[str]:
    """Return the labels of an item: its own, else those of its boxes, or several it carries."""
    if item.label:
        return [item.label]
    return [box["label"] for box in item.attributes.get(boxes.NAME, ())] or list(
        item.attributes.get("labels", ())
    )


def _sizes(sizes: Counter[tuple[int, int]]) -> Json:
    if not sizes:
        return {}
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    common = [[f"{wide} x {high}", n] for (wide, high), n in sizes.most_common(5)]
    least, most = (f"{wide} x {high}" for wide, high in (by_area[0], by_area[-1]))
    return {"least": least, "most": most, "different": len(sizes), "common": common}


def _pairs(pairs: list[tuple[str, str]], first: str, second: str) -> list[dict[str, str]]:
    return [{first: one, second: other} for one, other in pairs]
