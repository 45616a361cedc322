"""Which format a path holds, by what is in it; and the reader of each format by its name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

from volano.data.formats import (
    boxes,
    coco,
    exported,
    folder,
    idx,
    image_header,
    manifest,
    omniglot,
    quickdraw,
    voc,
    yolo,
    yolo_names,
)
from volano.data.formats.archive import open_tree
from volano.data.formats.items import KIND_OF, Found, Item, Options, ending
from volano.data.formats.rows import text_of
from volano.data.formats.tree import Folder, Names, Tree
from volano.schemas.errors import VolanoError
from volano.schemas.imports import FormatUnclear, NoPicture, NothingToImport

FormatName = Literal[
    "folder", "manifest", "coco", "voc", "yolo", "idx", "omniglot", "quickdraw", "export"
]

READERS: Final[dict[FormatName, Callable[[Tree, Options], Iterator[Found]]]] = {
    "folder": folder.read,
    "manifest": manifest.read,
    "coco": coco.read,
    "voc": voc.read,
    "yolo": yolo.read,
    "idx": idx.read,
    "omniglot": omniglot.read,
    "quickdraw": quickdraw.read,
    "export": exported.read,
}
"""Format -> what reads it."""

_DRAWINGS: Final[tuple[FormatName, ...]] = ("omniglot", "quickdraw", "export")

NAMES: Final[tuple[FormatName, ...]] = get_args(FormatName)

_LOOKED_AT: Final = 50
"""Files of one kind into which a guess looks."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a path leads to, opened."""

    tree: Tree
    main: str
    """The one file that was named, in the tree of its folder; empty for folders and archives."""


@dataclass(frozen=True, slots=True)
class Format:
    """What is in a source, and what that was seen by."""

    name: FormatName
    saw: str

    @property
    def holds_drawings(self) -> bool:
        """True if its items are drawings."""
        return self.name in _DRAWINGS


def open_source(path: Path, root: Path | None = None) -> Source:
    """Return what a path leads to: a folder, an archive, or a file in its folder or in `root`.

    Raises: OSError, ArchiveUnreadable.
    """
    if (tree := open_tree(path)) is not None:
        return Source(tree, "")
    if ending(path.name) in KIND_OF and ending(path.name) != "txt":
        return Source(Folder(path.parent, only=path.name), "")
    top = root or path.parent
    try:
        main = path.resolve().relative_to(top.resolve()).as_posix()
    except ValueError:  # the list stands elsewhere than the files
        return Source(Folder(top, beside=path), path.name)
    return Source(Folder(top), main)


def detect(source: Source) -> Format:
    """Return the format of a source.

    Raises: FormatUnclear (it may be several), NothingToImport.
    """
    tree = source.tree
    if source.main:
        return _of_file(tree, source.main)
    seen = list(_strong(tree))
    if len(seen) == 1:
        return seen[0]
    if seen:
        saw = "; ".join(f"{one.saw} ({one.name})" for one in seen)
        raise FormatUnclear(name=tree.name, saw=saw, formats=", ".join(one.name for one in seen))
    if lists := manifest.listings(tree, Names(tree), Options()):
        named = ", ".join(one.path for one in lists[:3])
        return Format("manifest", f"{named} names files that are there")
    if folder.kind_of_most(tree):
        return Format("folder", folder.told(tree))
    raise NothingToImport(name=tree.name, saw=folder.told(tree), formats=", ".join(NAMES))


def read(source: Source, name: FormatName, options: Options, label: str = "") -> Iterator[Found]:
    """Yield what a source holds, read as one format; `label` for what has neither one nor boxes.

    Raises: VolanoError (it is not of that format at all).
    """
    for one in READERS[name](source.tree, options):
        bare = isinstance(one, Item) and not one.label and boxes.NAME not in one.attributes
        yield replace(one, label=label) if label and bare and isinstance(one, Item) else one


def content(item: Item) -> bytes:
    """Return the content of an item; nothing of a drawing, which is whole in itself.

    Raises: VolanoError (it cannot be read, or is a picture by its name only).
    """
    if item.drawing is not None:
        return b""
    data = item.read()
    is_netpbm = data[:1] == b"P" and data[1:2].isdigit()
    if item.kind == "image" and not is_netpbm and not image_header.media_type(data):
        raise NoPicture(name=item.locator)
    return data


def count(source: Source, name: FormatName) -> int | None:
    """Return how many items a source holds by the names of its files; None where none tell."""
    if name == "idx":
        return idx.count(source.tree, Options(main=source.main))
    if source.main:
        return None
    if name == "omniglot":
        return len(omniglot.files_of(source.tree))
    if name in ("folder", "coco", "voc", "yolo"):
        kind = folder.kind_of_most(source.tree) if name == "folder" else "image"
        return sum(KIND_OF.get(ending(file.path)) == kind for file in source.tree.files)
    return None


def _strong(tree: Tree) -> Iterator[Format]:
    """Yield the formats of which a tree has the marks."""
    if found := idx.files_of(tree):
        yield Format("idx", f"{len(found)} IDX files, such as {found[0]}")
    if drawings := omniglot.files_of(tree):
        yield Format("omniglot", f"{len(drawings):,} files such as {drawings[0]}")
    if found := quickdraw.files_of(tree):
        yield Format("quickdraw", f"drawings with words in {found[0]}")
    if found := exported.files_of(tree):
        yield Format("export", f"records with strokes in {found[0]}")
    if found := coco.listings_of(tree):
        yield Format("coco", f"pictures and categories in {found[0]}")
    pictures = any(ending(file.path) in coco.PICTURES for file in tree.files)
    if found := [p for p in voc.listings_of(tree)[:_LOOKED_AT] if voc.is_voc(_head(tree, p))]:
        yield Format("voc", f"boxes in {found[0]}")
    texts = yolo.texts_of(tree) if pictures else []
    if found := [path for path in texts[:_LOOKED_AT] if yolo.is_yolo(_head(tree, path))]:
        yield Format("yolo", f"boxes in {found[0]}")
    elif texts and (lists := yolo_names.read(tree)[1]):
        yield Format("yolo", f"names of classes in {lists}")


def _of_file(tree: Tree, path: str) -> Format:
    """Return the format of the one file that was named. Raises: VolanoError."""
    last, head = ending(path), tree.head(path)
    if idx.is_idx(head):
        return Format("idx", "it begins like IDX")
    if last in ("json", "jsonl", "ndjson"):
        if quickdraw.is_quickdraw(head):
            return Format("quickdraw", "its lines have a word and a drawing")
        if exported.is_exported(head):
            return Format("export", "its lines are records with strokes")
        if coco.is_coco(head):
            return Format("coco", "it has pictures and categories")
    if last == "xml" and voc.is_voc(head):
        return Format("voc", "it tells of the boxes of a picture")
    if last in ("yaml", "yml") and yolo_names.of_yaml(text_of(head)):
        return Format("yolo", "it names classes")
    if last in manifest.ENDINGS:
        return Format("manifest", f"it is a list (.{last})")
    raise NothingToImport(
        name=path, saw=f"no format is known that ends in .{last}", formats=", ".join(NAMES)
    )


def _head(tree: Tree, path: str) -> bytes:
    try:
        return tree.head(path, 4096)
    except VolanoError:
        return b""
