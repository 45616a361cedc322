"""The kinds of records: adding one is a file here and a line in the table."""

from volano.data.kinds.drawing import DRAWING
from volano.data.kinds.file import FILE
from volano.data.kinds.image import IMAGE
from volano.data.kinds.kind import Kind, Preview, Reading
from volano.data.kinds.table import TABLE
from volano.data.kinds.text import TEXT

__all__ = ["KINDS", "Kind", "Preview", "Reading"]

KINDS: dict[str, Kind] = {
    DRAWING.name: DRAWING,
    IMAGE.name: IMAGE,
    TEXT.name: TEXT,
    TABLE.name: TABLE,
    FILE.name: FILE,
}
