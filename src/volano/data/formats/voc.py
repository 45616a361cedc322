"""Pascal VOC: one XML file of boxes a picture, lists of names as splits.

    Annotations/0001.xml  JPEGImages/0001.jpg  ImageSets/Main/train.txt
    train/0001.xml        train/0001.jpg

Corners are whole pixels counted from 1, both inside of the box.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from xml.parsers import expat

from volano.data.formats import boxes
from volano.data.formats.boxes import Box
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
    FileUnreadable,
    ImportUnreadable,
    ListedFileMissing,
    ListedTwice,
    NothingKnown,
)

PICTURES: Final = frozenset(MEDIA_TYPES["image"])
_DEEPEST: Final = 32
_MOST_XML_BYTES: Final = 16 << 20


@dataclass(slots=True)
class _Node:
    """An element of XML."""

    name: str
    text: str = ""
    below: list["_Node"] = field(default_factory=list)

    def all(self, name: str) -> list["_Node"]:
        """Return the elements of a name right below."""
        return [node for node in self.below if node.name == name]

    def first(self, name: str) -> str:
        """Return the text of the first element of a name right below; empty without one."""
        return next((node.text.strip() for node in self.all(name)), "")


def is_voc(head: bytes) -> bool:
    """Return whether an XML file begins like one of VOC."""
    text = text_of(head)
    return "<annotation" in text and ("<object" in text or "<filename" in text)


def listings_of(tree: Tree) -> list[str]:
    """Return the paths of the XML files of a tree."""
    return [file.path for file in tree.files if ending(file.path) == "xml" and file.size]


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield the pictures of a tree with their boxes, then those without an XML file.

    Raises: ImportUnreadable.
    """
    listings = [options.main] if options.main else listings_of(tree)
    if not listings:
        raise ImportUnreadable(name=tree.name, reason="there is no XML file in it")
    splits, lists = _splits(tree)
    names = Names(tree, PICTURES)
    seen: set[str] = set()
    for path in listings:
        try:
            root = parse(path, tree.read(path, _MOST_XML_BYTES))
            found = _picture(names, path, root)
            if found in seen:
                raise ListedTwice(name=shown(found), line=1, at=shown(path))
            seen.add(found)
            kept, problems = _boxes(tree, found, root)
        except VolanoError as error:
            yield Skipped(locator=shown(path), error=error)
            continue
        yield from problems
        yield _item(tree, found, splits, {boxes.NAME: kept})
    if options.main:
        return
    for file in tree.files:
        if ending(file.path) in PICTURES and file.path not in seen and not boxes.is_mask(file.path):
            seen.add(file.path)
            unknown = NothingKnown(name=shown(file.path), reason="no XML file tells of it")
            yield Skipped(locator=shown(file.path), error=unknown, loss="note")
            yield _item(tree, file.path, splits, {})
    yield from boxes.rest(tree, seen | {*listings, *lists}, PICTURES)


def _item(tree: Tree, path: str, splits: dict[str, str], attributes: dict[str, Any]) -> Item:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return Item(
        locator=shown(path),
        media_type=MEDIA_TYPES["image"][ending(path)],
        split=splits.get(stem) or split_among(path.split("/")[:-1]),
        attributes=attributes,
        read=partial(tree.read, path),
    )


def _splits(tree: Tree) -> tuple[dict[str, str], list[str]]:
    """Return which split each name is listed in, and the paths of all lists.

    The lists of `Main` count, of the classes' own none, and `trainval` tells no split.
    """
    lists = [f.path for f in tree.files if "ImageSets/" in f.path and ending(f.path) == "txt"]
    whole = [path for path in lists if split_of(path.rpartition("/")[2].removesuffix(".txt"))]
    main = [path for path in whole if "/Main/" in f"/{path}"] or whole
    splits: dict[str, str] = {}
    for path in main:
        split = split_of(path.rpartition("/")[2].removesuffix(".txt"))
        try:
            text = text_of(tree.read(path))
        except VolanoError:  # an empty list
            continue
        for line in text.splitlines():
            words = line.split()
            if words and not words[0].startswith("#"):
                splits.setdefault(words[0].strip('"'), split)
    return splits, lists


def _picture(names: Names, path: str, root: _Node) -> str:
    """Return the path of the picture that an XML file tells of. Raises: ListedFileMissing.

    It is called as the XML file; what is written inside was often true elsewhere only.
    """
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    split = split_among(folder.split("/"))
    for listed in (stem, root.first("filename")):
        if listed and (found := names.find(listed, beside=folder, split=split)) is not None:
            return found
    raise ListedFileMissing(name=root.first("filename") or f"{stem}.jpg", at=shown(path))


def _boxes(tree: Tree, path: str, root: _Node) -> tuple[list[dict[str, Any]], list[Skipped]]:
    """Return the boxes of a picture, and which cannot be ones. Raises: VolanoError."""
    drawn: list[Box] = []
    problems: list[Skipped] = []
    for number, thing in enumerate(root.all("object"), 1):
        corners = _corners(thing)
        if corners is None:
            refused = BoxRefused(number=number, name=shown(path), reason="it has no four corners")
            problems.append(Skipped(locator=shown(path), error=refused, loss="part"))
        else:
            drawn.append(Box(label=thing.first("name"), corners=corners))
    kept, others = boxes.checked(drawn, boxes.size_of(tree, path), shown(path))
    return kept, problems + others


def _corners(thing: _Node) -> tuple[float, float, float, float] | None:
    for box in thing.all("bndbox"):
        try:
            x0, y0, x1, y1 = (float(box.first(name)) for name in ("xmin", "ymin", "xmax", "ymax"))
        except ValueError:
            return None
        # Counted from 1 and inclusive; equal corners are a click, not a box of one pixel.
        return (x0, y0, x1, y1) if x1 <= x0 or y1 <= y0 else (x0 - 1, y0 - 1, x1, y1)
    return None


def parse(path: str, data: bytes) -> _Node:
    """Return the root element of an XML file. Raises: FileUnreadable.

    Declarations of entities, with which a small file becomes a large one or reads others, are
    refused.
    """
    top = _Node("")
    open_nodes = [top]
    parser = expat.ParserCreate()

    def start(name: str, _: dict[str, str]) -> None:
        if len(open_nodes) > _DEEPEST:
            raise ValueError("it is nested too deep")
        node = _Node(name)
        open_nodes[-1].below.append(node)
        open_nodes.append(node)

    def end(_: str) -> None:
        open_nodes.pop()

    def text(data: str) -> None:
        open_nodes[-1].text += data

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise FileUnreadable(name=shown(path), reason=str(error)) from None
    return top.below[0]
