"""Lists of files with their labels: CSV, TSV, JSON lines, or one JSON list; also of texts.

    path,label,split                    {"image": "cats/1.jpg", "label": "cat"}
    cats\\1.jpg;cat;train                {"text": "well done", "label": "good"}

Byte order marks, semicolons, Windows' line ends and slashes, quotes and missing headers are read
as they are meant; a row whose file is not there is reported and the others go on.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from volano.data.formats import boxes, list_boxes
from volano.data.formats.folder import media_type_of
from volano.data.formats.items import (
    KIND_OF,
    Found,
    Item,
    Options,
    Skipped,
    ending,
    label_of,
    split_of,
)
from volano.data.formats.rows import COLUMNS, Row, rows_of
from volano.data.formats.tree import File, Names, Tree, beside, shown
from volano.schemas.errors import VolanoError
from volano.schemas.imports import (
    FileNotListed,
    ImportUnreadable,
    LineMalformed,
    ListedFileMissing,
    ListedTwice,
    RemotePath,
    UnsupportedFile,
)

ENDINGS: Final = ("csv", "tsv", "jsonl", "ndjson", "json", "txt")
"""Extensions of lists; a text counts only where it is named, or where its lines name files."""

_LOOKED_AT: Final = 50
_DRIVE: Final = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list, and what its columns mean."""

    path: str
    rows: list[tuple[int, Row | LineMalformed]]
    """Number of its line, and the row or what is wrong with it."""
    meaning: dict[str, str]
    """What a column means -> its name."""
    split: str
    """Of all its rows, by the name of the list; empty where that tells none."""
    classes: tuple[str, ...] = ()
    """Columns of 0 and 1 that are called like the classes, where there are such."""
    corners: tuple[str, ...] = ()
    """Columns of the corners of boxes, of which each row has one; nothing without boxes."""

    def cell(self, row: Row, what: str) -> str:
        """Return what a row says of this, without what is around it."""
        column = self.meaning.get(what)
        value = row.get(column) if column is not None else None
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return "" if value is None else str(value).strip()


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield what the lists of a tree name, in the order of the lists.

    Raises: ImportUnreadable (no list whose rows name files that are there, or hold texts).
    """
    names = Names(tree)
    found = listings(tree, names, options)
    if not found:
        lists = [options.main] if options.main else [f.path for f in tree.files if _may_list(f)]
        raise ImportUnreadable(name=tree.name, reason=_unfit(tree, lists, options))
    listed: set[str] = set()
    for listing in found:
        if listing.corners:
            yield from _boxed(tree, names, listing, listed)
            continue
        for line, row in listing.rows:
            if isinstance(row, LineMalformed):
                yield Skipped(locator=f"{shown(listing.path)}#{line}", error=row)
                continue
            try:
                item = _item(tree, names, listing, line, row)
            except VolanoError as error:
                yield Skipped(locator=_where(listing, line, row), error=error)
                continue
            if item.locator in listed:
                at = shown(listing.path)
                twice = ListedTwice(name=item.locator, line=line, at=at)
                yield Skipped(locator=item.locator, error=twice, loss="part")
                continue
            listed.add(item.locator)
            yield item
    if not options.main:
        yield from _unlisted(tree, listed, {listing.path for listing in found})


def listings(tree: Tree, names: Names, options: Options) -> list[Listing]:
    """Return the lists of a tree that can be read: of a folder, those whose rows name its files."""
    if options.main:
        return _fitting(tree, names, options.main, options, named=True)
    few = [file.path for file in tree.files if _may_list(file)][:_LOOKED_AT]
    return [one for path in few for one in _fitting(tree, names, path, options, named=False)]


def _fitting(
    tree: Tree, names: Names, path: str, options: Options, *, named: bool
) -> list[Listing]:
    """Return a list if its rows name files that are there, or hold texts; else nothing."""
    try:
        rows = rows_of(tree, path)
    except VolanoError:
        if named:
            raise
        return []
    first = [row for _, row in rows[:_LOOKED_AT] if not isinstance(row, LineMalformed)]
    meaning = _meaning(first, names, path.rpartition("/")[0], options.columns, named=named)
    if "path" not in meaning and not ("text" in meaning and named):
        return []
    stem = re.split(r"[._-]", path.rpartition("/")[2])[0]
    split = "" if "split" in meaning else split_of(stem)
    return [
        Listing(
            path=path,
            rows=rows,
            meaning=meaning,
            split=split,
            classes=_classes(first, meaning),
            corners=list_boxes.columns_of(first[0]) if "path" in meaning else (),
        )
    ]


def _classes(rows: Sequence[Row], meaning: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns that are classes, each with 0 or 1 in every row; none without two."""
    if "label" in meaning or "path" not in meaning:
        return ()
    columns = [column for column in rows[0] if column not in meaning.values()]
    marks = {column: {_mark(row.get(column)) for row in rows} for column in columns}
    found = tuple(column for column, values in marks.items() if values <= {"0", "1"})
    return found if len(found) > 1 and any("1" in marks[column] for column in found) else ()


def _mark(cell: object) -> str:
    return str(cell).strip().removesuffix(".0")


def _meaning(
    rows: Sequence[Row], names: Names, here: str, given: Mapping[str, str], *, named: bool
) -> dict[str, str]:
    """Return what the columns mean, by what was given, their names and their cells."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    called = {column.strip().lower(): column for column in columns}
    meaning = {what: name for what, name in given.items() if name in columns}
    for what, likely in COLUMNS.items():
        if what not in meaning and what != "path":
            match = next((called[name] for name in likely if name in called), None)
            if match is not None and match not in meaning.values():
                meaning[what] = match
    if "path" not in meaning:
        there = {column: _share_there(rows, column, names, here) for column in columns}
        best = max(there, key=lambda column: there[column], default="")
        called_so = next((called[name] for name in COLUMNS["path"] if name in called), "")
        if best and there[best]:
            meaning["path"] = best
        elif named and "text" not in meaning and called_so and _looks_like_paths(rows, called_so):
            meaning["path"] = called_so  # every file is missing, which is told one by one
    taken = set(meaning.values())
    unnamed = [column for column in columns if column not in taken]
    if "label" not in meaning and meaning.get("path", "").startswith("column ") and unnamed:
        meaning["label"] = unnamed[0]
    if meaning.get("path") == meaning.get("label"):
        meaning.pop("label", None)
    return meaning


def _share_there(rows: Sequence[Row], column: str, names: Names, here: str) -> float:
    """Return which share of a column's cells names files that are there."""
    cells = [cell for row in rows if isinstance(cell := row.get(column), str) and cell.strip()]
    found = sum(_is_path(cell) and names.find(cell, beside=here) is not None for cell in cells)
    return found / max(len(rows), 1)


def _is_path(cell: str) -> bool:
    return len(cell) < 4096 and "\n" not in cell and not _DRIVE.match(cell)


def _looks_like_paths(rows: Sequence[Row], column: str) -> bool:
    return any(ending(str(row.get(column, ""))) in KIND_OF or _remote(row, column) for row in rows)


def _remote(row: Row, column: str) -> bool:
    return bool(_DRIVE.match(str(row.get(column, ""))))


def _item(tree: Tree, names: Names, listing: Listing, line: int, row: Row) -> Item:
    """Return the item of a row. Raises: VolanoError, saying why there is none."""
    where = f"{shown(listing.path)}#{line}"
    text = listing.cell(row, "text")
    marked = [label_of(name, where) for name in listing.classes if _mark(row.get(name)) == "1"]
    label = label_of(listing.cell(row, "label"), where) or (marked[0] if len(marked) == 1 else "")
    if "path" not in listing.meaning:
        if not text:
            raise LineMalformed(line=line, name=shown(listing.path), reason="it has no text")
        locator, kind, media_type = where, "text", "text/plain"
        content: Callable[[], bytes] = partial(text.encode, "utf-8", "surrogatepass")
    else:
        path = _path(names, listing, line, row)
        locator, kind = shown(path), KIND_OF.get(ending(path), "image")
        media_type = media_type_of(tree, File(path, 1), kind)
        content = partial(tree.read, path)
        if not media_type:
            raise UnsupportedFile(name=locator, kind=kind)
    return Item(
        locator=locator,
        kind=kind,
        media_type=media_type,
        label=label,
        split=split_of(listing.cell(row, "split")) or listing.split,
        group=listing.cell(row, "group"),
        contributor=listing.cell(row, "contributor"),
        attributes={"labels": marked} if len(marked) > 1 else {},
        read=content,
    )


def _boxed(tree: Tree, names: Names, listing: Listing, listed: set[str]) -> Iterator[Found]:
    """Yield one item for all the rows of each file, with a box a row."""
    by_file: dict[str, list[tuple[int, Row]]] = {}
    for line, row in listing.rows:
        try:
            if isinstance(row, LineMalformed):
                raise row
            path = _path(names, listing, line, row)
        except VolanoError as error:
            at = "" if isinstance(row, LineMalformed) else listing.cell(row, "path")
            yield Skipped(locator=at or f"{shown(listing.path)}#{line}", error=error)
        else:
            by_file.setdefault(path, []).append((line, row))
    given = [row for rows in by_file.values() for _, row in rows]
    shares = list_boxes.are_shares(given, listing.corners)
    label = listing.meaning.get("label", "")
    for path, rows in by_file.items():
        (line, first), mine = rows[0], [row for _, row in rows]
        bare = {what: name for what, name in listing.meaning.items() if what != "label"}
        try:
            item = _item(tree, names, replace(listing, meaning=bare), line, first)
            size = boxes.size_of(tree, path)
        except VolanoError as error:
            yield Skipped(locator=shown(path), error=error)
            continue
        attributes, problems = list_boxes.attribute(
            mine, listing.corners, label, size, item.locator, shares=shares
        )
        listed.add(item.locator)
        yield from problems
        yield replace(item, attributes=attributes)


def _path(names: Names, listing: Listing, line: int, row: Row) -> str:
    """Return the path of the file that a row lists. Raises: VolanoError."""
    listed = listing.cell(row, "path")
    if not listed:
        raise LineMalformed(line=line, name=shown(listing.path), reason="it names no file")
    if _DRIVE.match(listed):
        raise RemotePath(name=listed)
    path = names.find(listed, beside=listing.path.rpartition("/")[0])
    if path is None:
        at = f"line {line} of {shown(listing.path)}"
        raise ListedFileMissing(name=listed, at=at)
    return path


def _where(listing: Listing, line: int, row: Row) -> str:
    listed = row.get(listing.meaning.get("path", ""))
    return str(listed) if listed else f"{shown(listing.path)}#{line}"


def _unlisted(tree: Tree, listed: set[str], lists: set[str]) -> Iterator[Skipped]:
    """Report the files that no list names."""
    for file in tree.files:
        name = shown(file.path)
        if file.path in lists or name in listed:
            continue
        if ending(file.path) in KIND_OF and ending(file.path) != "txt":
            yield Skipped(locator=name, error=FileNotListed(name=name))
        else:
            yield beside(file.path, "no list names it")


def _may_list(file: File) -> bool:
    return ending(file.path) in ENDINGS and file.size > 0


def _unfit(tree: Tree, lists: Sequence[str], options: Options) -> str:
    """Return in words why none of the lists can be read."""
    if not lists:
        return "there is no list (CSV, TSV, JSON lines) in it"
    rows = rows_of(tree, lists[0])
    columns = next((list(row) for _, row in rows if not isinstance(row, LineMalformed)), [])
    told = ", ".join(columns) or "none"
    return (
        f"no column of {shown(lists[0])} names files that are there (columns: {told}; "
        "--column path=NAME says which one does)"
    )
