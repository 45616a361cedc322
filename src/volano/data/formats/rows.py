"""Rows of lists: CSV with any usual delimiter, encoding and header, JSON lines, one JSON list."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from volano.data.formats.items import KIND_OF, ending
from volano.data.formats.tree import MOST_LISTING_BYTES, Tree, shown
from volano.schemas.imports import ImportUnreadable, LineMalformed

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "path": (
        "path", "file_name", "filename", "filepath", "file_path", "file", "image_path", "image",
        "image_name", "imagename", "image_file", "img", "img_path", "image_id", "imageid", "fname",
        "id", "name", "source",
    ),
    "text": ("text", "sentence", "review", "content", "review text", "comment", "document"),
    "label": (
        "label", "labels", "class", "class_name", "classname", "category", "target", "species",
        "breed", "tag", "tags", "y", "label_name", "labelname", "diagnosis",
    ),
    "split": ("split", "set", "subset", "partition", "data_split", "ml_use", "usage", "fold"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id", "session"),
    "contributor": ("contributor", "annotator", "labeller", "labeler", "user"),
}  # fmt: skip
"""What a column means -> how it is called, the likelier name first."""

_DELIMITERS: Final = ",;\t|"
Row = Mapping[str, Any]


def rows_of(tree: Tree, path: str) -> list[tuple[int, Row | LineMalformed]]:
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
