"""COCO: pictures, categories and boxes in JSON, beside folders of pictures.

    annotations/instances_train2017.json      images/train2017/0001.jpg
    train/_annotations.coco.json              train/0001.jpg

Boxes are x, y, width, height in px. A file of categories without boxes labels whole pictures.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from volano.data.formats import boxes
from volano.data.formats.boxes import Box
from volano.data.formats.image_header import Size, upright
from volano.data.formats.items import (
    MEDIA_TYPES,
    Found,
    Item,
    Options,
    Skipped,
    ending,
    label_of,
    split_among,
)
from volano.data.formats.tree import MOST_LISTING_BYTES, Names, Tree, shown
from volano.schemas.errors import VolanoError
from volano.schemas.imports import (
    BoxesTurned,
    BoxesWithoutImage,
    BoxRefused,
    ClassUnknown,
    FileNotRead,
    ImportUnreadable,
    ListedFileMissing,
    ListedTwice,
)

PICTURES: Final = frozenset(MEDIA_TYPES["image"])
_MARKS: Final = (
    re.compile(rb'"images"\s*:\s*\[\s*\{(?=[^}]*"file_name")', re.DOTALL),
    re.compile(rb'"annotations"\s*:\s*\[\s*\{(?=.{0,2000}"image_id")', re.DOTALL),
    re.compile(rb'"categories"\s*:\s*\[\s*\{(?=[^}]*"supercategory")', re.DOTALL),
)
_LEAST_WANTED: Final = ("labels", "person", "keypoints", "stuff", "panoptic", "captions", "image")
"""What files are called that tell less of the same pictures than `instances`, the better first."""


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    width: float | None = None
    height: float | None = None


class _Mark(msgspec.Struct):
    image_id: int | str | None = None
    category_id: int | str | None = None
    bbox: Any = None
    iscrowd: int | bool | None = 0


class _Category(msgspec.Struct):
    id: int | str
    name: str


class _Coco(msgspec.Struct):
    images: list[_Image] = []
    annotations: list[_Mark] = []
    categories: list[_Category] = []


def is_coco(head: bytes) -> bool:
    """Return whether a JSON file begins like one of COCO."""
    return any(mark.search(head) for mark in _MARKS)


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield the pictures that the JSON files list, each with its boxes or its label.

    Raises: ImportUnreadable.
    """
    listings = [options.main] if options.main else listings_of(tree)
    wanted = _wanted(listings)
    if not wanted:
        raise ImportUnreadable(name=tree.name, reason="there is no JSON file of COCO in it")
    seen: set[str] = set()
    names = Names(tree, PICTURES)
    for path in wanted:
        coco = _parse(path, tree.read(path, MOST_LISTING_BYTES))
        yield from _pictures(tree, names, path, coco, seen)
    for path in listings:
        if path not in wanted:
            better = ", ".join(map(shown, wanted))
            error = FileNotRead(name=shown(path), reason=f"{better} tells of the same pictures")
            yield Skipped(locator=shown(path), error=error, loss="none")
    if not options.main:
        yield from boxes.rest(tree, seen | set(listings), PICTURES)


def listings_of(tree: Tree) -> list[str]:
    """Return the paths of the JSON files of a tree that are of COCO."""
    paths = [file.path for file in tree.files if ending(file.path) == "json" and file.size]
    return [path for path in paths if is_coco(tree.head(path))]


def _wanted(listings: Sequence[str]) -> list[str]:
    """Return of the files that tell of the same split those that tell most."""
    ranked: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for path in listings:
        folder, _, name = path.rpartition("/")
        ranked[folder, _split(path)].append((_rank(name), path))
    best = [path for few in ranked.values() for rank, path in few if rank == min(r for r, _ in few)]
    return [path for path in listings if path in best]


def _rank(name: str) -> int:
    first = re.split(r"[._-]", name.lower())[0]
    return _LEAST_WANTED.index(first) + 1 if first in _LEAST_WANTED else 0


def _split(path: str) -> str:
    *folders, name = path.split("/")
    return split_among([*reversed(re.split(r"[._-]", name)), *reversed(folders)])


def _parse(path: str, data: bytes) -> _Coco:
    """Return what a JSON file says. Raises: ImportUnreadable."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(data, type=_Coco)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = str(error)
    try:  # Python's own writer puts NaN and Infinity, which are no JSON
        return msgspec.convert(json.loads(data), type=_Coco)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ImportUnreadable(name=shown(path), reason=reason) from None


def _pictures(tree: Tree, names: Names, path: str, coco: _Coco, seen: set[str]) -> Iterator[Found]:
    """Yield the pictures of one JSON file; add the paths of their files to `seen`."""
    marks: dict[int | str, list[_Mark]] = defaultdict(list)
    for mark in coco.annotations:
        if mark.image_id is not None:
            marks[mark.image_id].append(mark)
    categories = {category.id: category.name for category in coco.categories}
    has_boxes = any(mark.bbox for mark in coco.annotations)
    split, beside = _split(path), path.rpartition("/")[0]
    for image in coco.images:
        mine = marks.pop(image.id, [])
        found = names.find(image.file_name, beside=beside, split=split)
        if found is None:
            missing = ListedFileMissing(name=image.file_name, at=shown(path))
            yield Skipped(locator=image.file_name, error=missing)
            continue
        name = shown(found)
        if found in seen:
            twice = ListedTwice(name=name, line=f"id {image.id}", at=shown(path))
            yield Skipped(locator=name, error=twice, loss="part")
            continue
        seen.add(found)
        try:
            described = _Described(path, name, mine, categories)
            label, attributes = (
                described.boxes(image, boxes.size_of(tree, found))
                if has_boxes
                else described.labels()
            )
        except VolanoError as error:
            yield Skipped(locator=name, error=error)
            continue
        yield from described.problems
        yield Item(
            locator=name,
            media_type=MEDIA_TYPES["image"][ending(found)],
            label=label,
            split=split,
            attributes=attributes,
            read=partial(tree.read, found),
        )
    if left := sum(map(len, marks.values())):
        orphans = BoxesWithoutImage(count=left, name=shown(path))
        yield Skipped(locator=shown(path), error=orphans, loss="part")


class _Described:
    """What a JSON file says of one picture."""

    def __init__(
        self,
        path: str,
        name: str,
        marks: Sequence[_Mark],
        categories: dict[int | str, str],
    ) -> None:
        self._path = path
        self._name = name
        self._marks = marks
        self._categories = categories
        self.problems: list[Skipped] = []

    def boxes(self, image: _Image, size: Size | None) -> tuple[str, dict[str, Any]]:
        """Return no label, and the boxes that can be ones."""
        drawn = []
        for number, mark in enumerate(self._marks, 1):
            if (category := self._category(mark)) is None:
                continue
            corners = _corners(mark.bbox)
            if corners is None:
                refused = BoxRefused(
                    number=number,
                    name=self._name,
                    reason=f"{mark.bbox!r} is no x, y, width, height",
                )
                self._note(refused)
            else:
                drawn.append(Box(label=category, corners=corners, crowd=bool(mark.iscrowd)))
        if size is not None and _lie(drawn, image, size):
            drawn = [_turned(box, size) for box in drawn]
            wide, high = size.stored
            told = BoxesTurned(name=self._name, size=f"{wide} x {high}")
            self.problems.append(Skipped(locator=self._name, error=told, loss="note"))
        kept, problems = boxes.checked(drawn, size, self._name)
        self.problems += problems
        return "", {boxes.NAME: kept}

    def labels(self) -> tuple[str, dict[str, Any]]:
        """Return the one category as the label; of several all as an attribute."""
        found = [c for mark in self._marks if (c := self._category(mark)) is not None]
        several = list(dict.fromkeys(label_of(one, self._name) for one in found))
        if len(several) > 1:
            return "", {"labels": several}
        return "".join(several), {}

    def _category(self, mark: _Mark) -> str | None:
        if mark.category_id is None:
            return None
        if (name := self._categories.get(mark.category_id)) is not None:
            return name
        if self._categories:
            unknown = ClassUnknown(name=self._name, number=mark.category_id, at=shown(self._path))
            self._note(unknown)
        return None

    def _note(self, error: VolanoError) -> None:
        self.problems.append(Skipped(locator=self._name, error=error, loss="part"))


def _corners(bbox: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    try:
        x, y, wide, high = map(float, bbox)
    except (TypeError, ValueError):
        return None
    return x, y, x + wide, y + high


def _lie(boxes: Sequence[Box], image: _Image, size: Size) -> bool:
    """Return whether boxes were drawn on a picture as it lies in the file, on its side.

    The stated size tells, but for boxes that do not fit into it: some tools draw on the upright
    picture and state the other size.
    """
    wide, high = size.stored
    if (wide, high) == (size.width, size.height) or (image.width, image.height) != (wide, high):
        return False
    return all(box.corners[2] <= wide + 1 and box.corners[3] <= high + 1 for box in boxes)


def _turned(box: Box, size: Size) -> Box:
    x0, y0, x1, y1 = upright(box.corners, size)
    return replace(box, corners=(x0, y0, x1, y1))
