"""The kinds of records: adding one is a file here and a line in the table."""

from volano.data.kinds.drawing import DRAWING
from volano.data.kinds.file import FILE
from volano.data.kinds.image import IMAGE
from volano.data.kinds.kind import Kind, Preview, Reading, Stored, fields_document
from volano.data.kinds.table import TABLE
from volano.data.kinds.text import TEXT
from volano.schemas.data import ExportedRecord
from volano.schemas.drawings import Drawing

__all__ = ["KINDS", "Kind", "Preview", "Reading", "Stored", "document"]

Document = ExportedRecord | Drawing

KINDS: dict[str, Kind] = {
    DRAWING.name: DRAWING,
    IMAGE.name: IMAGE,
    TEXT.name: TEXT,
    TABLE.name: TABLE,
    FILE.name: FILE,
}


def document(stored: Stored) -> Document:
    """Return what an export says of a record."""
    if stored.spans:
        return fields_document(stored, KINDS)
    found: Document = KINDS[stored.record.kind].document(stored)
    return found
