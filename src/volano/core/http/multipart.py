"""Forms of several parts (multipart/form-data), read while they arrive: large parts go to files."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart import multipart
from python_multipart.exceptions import FormParserError

from volano.schemas.common import FormTooLarge, FormUnreadable

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEDIA_TYPE = "multipart/form-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """How much one form may be; the size of the whole is that of the body."""

    parts: int = 1000
    in_memory: int = 2**18
    """Bytes of one part; what is larger goes to a file."""
    all_in_memory: int = 8 * 2**20
    """Bytes of all parts that are in memory; what comes after goes to files."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a field of it, or a file."""

    name: str
    file_name: str
    """Empty for a field that is no file."""
    media_type: str
    """Empty where the client says nothing."""
    data: bytes | Path
    size: int


async def read_form(
    content_type: str,
    body: AsyncIterator[bytes],
    folder: Path,
    limits: FormLimits = FormLimits(),
) -> list[Part]:
    """Return the parts of a form in their order; files of it are in the folder.

    Raises: FormUnreadable, FormTooLarge, and what the body raises.
    """
    form = _Form(folder, limits)
    try:
        parser = multipart.MultipartParser(_boundary(content_type), form.callbacks())
        async for piece in body:
            parser.write(piece)
        parser.finalize()
    except FormParserError as error:
        raise FormUnreadable(reason=str(error)) from None
    finally:
        form.close()
    return form.whole()


def read_whole(content_type: str, body: bytes, *, parts: int) -> list[Part]:
    """Return the parts of a form that is in memory, as they stay.

    Raises: FormUnreadable, FormTooLarge.
    """
    limits = FormLimits(parts=parts, in_memory=len(body), all_in_memory=len(body))
    form = _Form(Path(), limits)
    try:
        parser = multipart.MultipartParser(_boundary(content_type), form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise FormUnreadable(reason=str(error)) from None
    return form.whole()


def _boundary(content_type: str) -> bytes:
    _, options = multipart.parse_options_header(content_type)
    if not (boundary := options.get(b"boundary")):
        raise FormUnreadable(reason="its content type names no boundary")
    return boundary


class _Form:
    """What the parser has told so far."""

    def __init__(self, folder: Path, limits: FormLimits) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._folder, self._limits = folder, limits
        self._held = 0
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = b"", b""
        self._data, self._size = bytearray(), 0
        self._file: BinaryIO | None = None
        self._path = folder

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser is to call."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def whole(self) -> list[Part]:
        """Return the parts, once all of the form was read. Raises: FormUnreadable."""
        if not self.is_complete:
            raise FormUnreadable(reason="it ends in the middle of a part")
        return self.parts

    def close(self) -> None:
        """Close the file of a part that has not come to its end."""
        if self._file:
            self._file.close()

    def _begin(self) -> None:
        if len(self.parts) == self._limits.parts:
            raise FormTooLarge(limit=self._limits.parts)
        self._headers, self._data, self._size = {}, bytearray(), 0

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _add(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        self._size += len(piece)
        if self._file is None:
            self._data += piece
            room = min(self._limits.in_memory, self._limits.all_in_memory - self._held)
            if self._size <= room:
                return
            self._path = self._folder / f"part-{len(self.parts)}"
            self._file = self._path.open("xb")
            piece, self._data = bytes(self._data), bytearray()
        self._file.write(piece)

    def _end(self) -> None:
        kind, options = multipart.parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise FormUnreadable(reason=f"part {len(self.parts) + 1} has no name")
        data: bytes | Path = bytes(self._data)
        if self._file:
            self._file.close()
            self._file, data = None, self._path
        else:
            self._held += self._size
        media_type, _, _ = self._headers.get(b"content-type", b"").partition(b";")
        name, file_name = _text(options[b"name"]), _text(options.get(b"filename", b""))
        self.parts.append(
            Part(name, file_name, _text(media_type.strip().lower()), data, self._size)
        )

    def _complete(self) -> None:
        self.is_complete = True


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
