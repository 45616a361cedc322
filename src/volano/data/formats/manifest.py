"""Lists of files with their labels: CSV, TSV, JSON lines, or one JSON list; also of texts.

    path,label,split                    {"image": "cats/1.jpg", "label": "cat"}
    cats\\1.jpg;cat;train                {"text": "well done", "label": "good"}

Byte order marks, semicolons, Windows' line ends and slashes, quotes and missing headers are read
as they are meant; a row whose file is not there is reported and the others go on.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

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
from volano.data.formats.tree import (
    MOST_LISTING_BYTES,
    File,
    Names,
    Tree,
    beside,
    shown,
)
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

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "path": (
        "path", "file_name", "filename", "filepath", "file_path", "file", "image_path", "image",
        "image_name", "imagename", "image_file", "img", "img_path", "image_id", "fname", "id",
        "name", "source",
    ),
    "text": ("text", "sentence", "review", "content", "review text", "comment", "document"),
    "label": (
        "label", "labels", "class", "class_name", "classname", "category", "target", "species",
        "breed", "tag", "tags", "y", "label_name", "diagnosis",
    ),
    "split": ("split", "set", "subset", "partition", "data_split", "ml_use", "usage", "fold"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "session"),
    "contributor": ("contributor", "annotator", "labeller", "labeler", "user"),
}  # fmt: skip
"""What a column means -> how it is called, the likelier name first."""

_DELIMITERS: Final = ",;\t|"
_LOOKED_AT: Final = 50
_DRIVE: Final = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_WRONG_BYTES: Final = re.compile("[\udc80-\udcff]")

Row = Mapping[str, Any]


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
        rows = rows_of(tree, path, named=named)
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
    return [Listing(path=path, rows=rows, meaning=meaning, split=split)]


def rows_of(tree: Tree, path: str, *, named: bool) -> list[tuple[int, Row | LineMalformed]]:
    """Return the rows of a list, with the numbers of their lines.

    Raises: VolanoError (it cannot be read, or is no list at all).
    """
    text = text_of(tree.read(path, MOST_LISTING_BYTES))
    last = ending(path)
    if last == "json":
        return _json_rows(path, text)
    if last in ("jsonl", "ndjson") or text.lstrip()[:1] == "{":
        return list(_json_lines(path, text))
    return list(_csv_rows(path, text))


def text_of(data: bytes) -> str:
    """Return the text of a list: UTF-8, UTF-16 with its mark, or else as Windows writes it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _json_rows(path: str, text: str) -> list[tuple[int, Row | LineMalformed]]:
    try:
        rows = msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise ImportUnreadable(name=shown(path), reason=str(error)) from None
    return list(enumerate(rows, 1))


def _json_lines(path: str, text: str) -> Iterator[tuple[int, Row | LineMalformed]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, decode(line)
        except msgspec.MsgspecError as error:
            yield number, LineMalformed(line=number, name=shown(path), reason=str(error))


def _csv_rows(path: str, text: str) -> Iterator[tuple[int, Row | LineMalformed]]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text[:4].lower() == "sep=":  # as Excel says it
        text = text.partition("\n")[2]
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text), skipinitialspace=True)
    head: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not head:
                head = _header(cells)
                if head == [cell.strip() for cell in cells]:
                    continue
            yield reader.line_num, _row(path, reader.line_num, head, cells)
    except csv.Error as error:
        number = reader.line_num
        yield number, LineMalformed(line=number, name=shown(path), reason=str(error))


def _delimiter(text: str) -> str:
    """Return what stands between the cells: what the first line has most of, outside of quotes."""
    line = re.sub(r'"[^"]*"', "", text.lstrip("\n").partition("\n")[0])
    best = max(_DELIMITERS, key=line.count)
    if line.count(best):
        return best
    return " " if len(line.split()) == 2 else ","


def _header(cells: Sequence[str]) -> list[str]:
    """Return the names of the columns: the first row where it has any known one, else numbers."""
    known = {name for names in COLUMNS.values() for name in names}
    stripped = [cell.strip() for cell in cells]
    is_data = any(ending(cell) in KIND_OF for cell in stripped)
    if any(cell.lower() in known for cell in stripped) and not is_data:
        return stripped
    # Without a file name in it, a row of words that no data can be is taken for a header.
    if not is_data and all(re.fullmatch(r"[A-Za-z_][\w .()#-]*", cell) for cell in stripped):
        return stripped
    return [f"column {n}" for n in range(1, len(cells) + 1)]


def _row(path: str, line: int, head: list[str], cells: list[str]) -> Row | LineMalformed:
    extra = [cell for cell in cells[len(head) :] if cell.strip()]
    if extra:
        reason = f"it has {len(cells)} cells and the first row has {len(head)}"
        return LineMalformed(line=line, name=shown(path), reason=reason)
    return dict(zip(head, cells, strict=False))


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

    def cell(what: str) -> str:
        column = listing.meaning.get(what)
        value = row.get(column) if column is not None else None
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return "" if value is None else str(value).strip()

    where = f"{shown(listing.path)}#{line}"
    split = split_of(cell("split")) or listing.split
    text = cell("text")
    label, group, contributor = label_of(cell("label"), where), cell("group"), cell("contributor")
    if "path" not in listing.meaning:
        if not text:
            raise LineMalformed(line=line, name=shown(listing.path), reason="it has no text")
        locator, kind, media_type = where, "text", "text/plain"
        content: Callable[[], bytes] = partial(text.encode, "utf-8", "surrogatepass")
    else:
        path = _path(names, listing, line, cell("path"))
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
        split=split,
        group=group,
        contributor=contributor,
        read=content,
    )


def _path(names: Names, listing: Listing, line: int, listed: str) -> str:
    """Return the path of the file that a row lists. Raises: VolanoError."""
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
    rows = rows_of(tree, lists[0], named=True)
    columns = next((list(row) for _, row in rows if not isinstance(row, LineMalformed)), [])
    told = ", ".join(columns) or "none"
    return (
        f"no column of {shown(lists[0])} names files that are there (columns: {told}; "
        "--column path=NAME says which one does)"
    )
