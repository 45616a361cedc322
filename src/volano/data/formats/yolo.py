"""YOLO: one text of boxes a picture, and the names of the classes once.

    images/train/1.jpg  labels/train/1.txt  data.yaml      (Ultralytics, Roboflow: train/images)
    images/1.jpg        labels/1.txt        classes.txt    (Label Studio)
    obj_train_data/1.jpg and 1.txt          obj.names      (Darknet)

A line is `class x y width height`: the centre, in shares of the picture's size. More numbers are
the corners of a polygon, of which the box around it counts.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from volano.data.formats import boxes, yolo_names
from volano.data.formats.boxes import Box
from volano.data.formats.image_header import Size
from volano.data.formats.items import (
    MEDIA_TYPES,
    Found,
    Item,
    Options,
    Skipped,
    ending,
    split_among,
    split_of,
)
from volano.data.formats.rows import text_of
from volano.data.formats.tree import Names, Tree, shown
from volano.schemas.errors import VolanoError
from volano.schemas.imports import (
    BoxRefused,
    ClassUnknown,
    EmptyFile,
    ImportUnreadable,
    LineMalformed,
    ListedFileMissing,
    NothingKnown,
)

PICTURES: Final = frozenset(MEDIA_TYPES["image"])
_NUMBERS: Final = re.compile(r"\s*\d+(?:\.0*)?(?:\s+[-+.\deE]+){4,}\s*")
_BEYOND: Final = 0.01
"""By which a share may leave the picture: what rounding does, and no other unit."""


def is_yolo(head: bytes) -> bool:
    """Return whether a text begins like one of boxes."""
    lines = text_of(head).splitlines()
    return bool(lines) and _NUMBERS.fullmatch(lines[0]) is not None


def texts_of(tree: Tree) -> list[str]:
    """Return the paths of all texts of a tree that may be of boxes."""
    return [
        file.path
        for file in tree.files
        if ending(file.path) == "txt" and not yolo_names.is_list(file.path)
    ]


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield the pictures of a tree with their boxes.

    Raises: ImportUnreadable.
    """
    texts = set(texts_of(tree))
    pictures = [file.path for file in tree.files if ending(file.path) in PICTURES]
    if not pictures:
        raise ImportUnreadable(name=tree.name, reason="there are no pictures in it")
    names, source = (options.names, "--names") if options.names else yolo_names.read(tree)
    by_name = Names(tree, ("txt",))
    listed, lists = _listed_splits(tree)
    used: set[str] = set()
    for path in pictures:
        text = _text_of(path, texts, by_name)
        split = listed.get(path.rpartition("/")[2]) or split_among(path.split("/")[:-1])
        try:
            found = _Picture(tree, path, split)
            if text is None:
                error = NothingKnown(name=shown(path), reason="there is no text of boxes for it")
                found.problems.append(Skipped(locator=shown(path), error=error, loss="note"))
            else:
                used.add(text)
                found.label(text, names, source)
        except VolanoError as error:
            yield Skipped(locator=shown(path), error=error)
            continue
        yield from found.problems
        yield found.item()
    for path in sorted(texts - used - lists):
        if is_yolo(_beginning(tree, path)):
            missing = ListedFileMissing(name=f"the picture of {shown(path)}", at=tree.name)
            yield Skipped(locator=shown(path), error=missing)
            used.add(path)
    yield from boxes.rest(tree, {*pictures, *used, *lists, *yolo_names.lists_of(tree)}, PICTURES)


def _beginning(tree: Tree, path: str) -> bytes:
    try:
        return tree.head(path, 4096)
    except VolanoError:
        return b""


class _Picture:
    """One picture, and what its text says."""

    def __init__(self, tree: Tree, path: str, split: str) -> None:
        self._tree = tree
        self._path = path
        self._split = split
        self._boxes: list[dict[str, object]] | None = None
        self.problems: list[Skipped] = []

    def item(self) -> Item:
        """Return the item; without boxes where no text tells of any."""
        return Item(
            locator=shown(self._path),
            media_type=MEDIA_TYPES["image"][ending(self._path)],
            split=self._split,
            attributes={} if self._boxes is None else {boxes.NAME: self._boxes},
            read=partial(self._tree.read, self._path),
        )

    def label(self, text: str, names: Sequence[str], source: str) -> None:
        """Read the boxes of a text. Raises: VolanoError."""
        size = boxes.size_of(self._tree, self._path)
        try:
            lines = text_of(self._tree.read(text)).splitlines()
        except EmptyFile:  # which says that there is nothing to box
            lines = []
        if size is None and any(line.strip() for line in lines):
            reason = "the size of the picture cannot be read"
            error = NothingKnown(name=shown(self._path), reason=reason)
            self.problems.append(Skipped(locator=shown(self._path), error=error, loss="part"))
            return
        drawn: list[Box] = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or size is None:
                continue
            try:
                drawn.append(self._box(text, number, line, names, source, size))
            except VolanoError as error:
                self.problems.append(Skipped(locator=shown(self._path), error=error, loss="part"))
        kept, problems = boxes.checked(drawn, size, shown(self._path))
        self._boxes = kept
        self.problems += problems

    def _box(
        self, text: str, number: int, line: str, names: Sequence[str], source: str, size: Size
    ) -> Box:
        """Return the box of a line. Raises: LineMalformed, ClassUnknown, BoxRefused."""
        try:
            first, *shares = map(float, line.split())
            number_of_class = int(first)
        except (ValueError, OverflowError):
            reason = "it is not a class and numbers"
            raise LineMalformed(line=number, name=shown(text), reason=reason) from None
        corners = _corners(shares)
        if corners is None or number_of_class != first or first < 0:
            reason = f"{len(shares) + 1} numbers are neither a box nor a polygon"
            raise LineMalformed(line=number, name=shown(text), reason=reason)
        if max(corners) > 1 + _BEYOND or min(corners) < -_BEYOND:
            reason = f"{line.strip()[:80]!r} are no shares of the picture from 0 to 1"
            raise BoxRefused(number=number, name=shown(self._path), reason=reason)
        if names and number_of_class >= len(names):
            raise ClassUnknown(name=shown(text), number=number_of_class, at=source)
        label = names[number_of_class] if names else str(number_of_class)
        x0, y0, x1, y1 = corners
        wide, high = size.width, size.height
        return Box(label=label, corners=(x0 * wide, y0 * high, x1 * wide, y1 * high))


def _corners(shares: Sequence[float]) -> tuple[float, float, float, float] | None:
    """Return the corners of a box or of a polygon, in shares; None for neither."""
    if len(shares) in (4, 5):  # the fifth is how sure a model was
        x, y, wide, high = shares[:4]
        return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
    if len(shares) >= 6 and len(shares) % 2 == 0:
        xs, ys = shares[::2], shares[1::2]
        return min(xs), min(ys), max(xs), max(ys)
    return None


def _text_of(path: str, texts: set[str], names: Names) -> str | None:
    """Return the text of a picture: beside `images` in `labels`, beside it, or called like it."""
    stem = path.rpartition(".")[0]
    parts = stem.split("/")
    for n in range(len(parts) - 2, -1, -1):
        if parts[n].lower() == "images":
            for other in ("labels", "Labels", "annotations", "Annotations"):
                text = "/".join([*parts[:n], other, *parts[n + 1 :]]) + ".txt"
                if text in texts:
                    return text
    if f"{stem}.txt" in texts:
        return f"{stem}.txt"
    found = names.find(f"{parts[-1]}.txt", split=split_among(parts[:-1]))
    return found if found in texts else None


def _listed_splits(tree: Tree) -> tuple[dict[str, str], set[str]]:
    """Return the splits of the pictures that `train.txt` and its like list, and those lists."""
    splits: dict[str, str] = {}
    lists: set[str] = set()
    for file in tree.files:
        split = split_of(file.path.rpartition("/")[2].removesuffix(".txt"))
        if ending(file.path) != "txt" or not split or not file.size:
            continue
        lines = text_of(tree.read(file.path)).splitlines()
        if lines and ending(lines[0].strip()) in PICTURES:
            lists.add(file.path)
            for line in lines:
                name = line.strip().replace("\\", "/").rpartition("/")[2]
                splits.setdefault(name, split)
    return splits, lists
