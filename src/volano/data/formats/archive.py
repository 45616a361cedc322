"""ZIP and TAR archives as trees of files; nothing of them is ever written where it asks to be.

A ZIP is read member by member. A compressed TAR is unpacked as a stream into one unnamed temporary
file, since what is listed late in it may be needed early.
"""

import bz2
import gzip
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from volano.data.formats.items import Skipped
from volano.data.formats.tree import (
    HEAD,
    MOST_BYTES,
    File,
    Folder,
    Tree,
    never_data,
    shown,
    within,
)
from volano.schemas.errors import VolanoError
from volano.schemas.imports import (
    ArchiveUnreadable,
    EmptyFile,
    FileTooLarge,
    FileUnreadable,
    MemberRefused,
    PathRefused,
)

_CHUNK: Final = 1 << 20
_UTF8_NAME: Final = 0x800
_ENCRYPTED: Final = 1
_TAR_MAGIC: Final = slice(257, 262)
_BROKEN: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""What the libraries raise for archives that are damaged or packed in ways they do not know."""

_UNPACKERS: Final[dict[bytes, Callable[[Path], IO[bytes]]]] = {
    b"\x1f\x8b": cast("Callable[[Path], IO[bytes]]", gzip.open),
    b"BZh": cast("Callable[[Path], IO[bytes]]", bz2.open),
    b"\xfd7zXZ\0": cast("Callable[[Path], IO[bytes]]", lzma.open),
}
"""How a file begins -> what unpacks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What an archive may cost before it counts as a bomb."""

    members: int = 5_000_000
    ratio: float = 200
    """Unpacked size over packed size, of what is larger than `small`."""
    small: int = 1 << 20
    total_bytes: int = 256 << 30
    """Of a compressed TAR, which is unpacked as a whole."""
    total_small: int = 1 << 30
    """A compressed TAR may always unpack to this."""


_DEFAULT_CAPS: Final = Caps()


def open_tree(path: Path, caps: Caps = _DEFAULT_CAPS) -> Tree | None:
    """Return a folder or an archive as a tree of files; None for any other file.

    Raises: OSError, ArchiveUnreadable.
    """
    if path.is_dir():
        return Folder(path)
    with path.open("rb") as file:
        head = file.read(512)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Zip(path, caps)
    if head[_TAR_MAGIC] == b"ustar":
        return Tar(path, path.open("rb"), caps)
    if (unpack := _unpacker(head)) is not None and _is_tar(path, unpack):
        return Tar(path, _unpacked(path, unpack, caps), caps)
    if path.suffix.lower() in (".zip", ".tar", ".tgz") or path.name.lower().endswith(".tar.gz"):
        raise ArchiveUnreadable(reason=f"{path.name} is no ZIP or TAR archive, or it is damaged")
    return None


class Zip:
    """A ZIP archive; not for several threads at once."""

    def __init__(self, path: Path, caps: Caps) -> None:
        self.name = path.name
        self.passed_over: list[Skipped] = []
        self._caps = caps
        try:
            self._opened = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise ArchiveUnreadable(reason=_said(error)) from None
        members = [one for one in self._opened.infolist() if not one.filename.endswith("/")]
        if len(members) > caps.members:
            raise ArchiveUnreadable(reason=f"{len(members)} members, more than {caps.members}")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            self._add(member)
        self.files = [File(name, one.file_size) for name, one in self._members.items()]

    def _add(self, member: zipfile.ZipInfo) -> None:
        """Keep a member that may be data; note why any other is left alone."""
        name = _name_of(member)
        if (noise := never_data(name)) is not None:
            self.passed_over.append(noise)
            return
        error = _refusal(name, stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG))
        if error is None and name in self._members:
            error = MemberRefused(name=shown(name), reason="another member has the same name")
        if error is None and member.flag_bits & _ENCRYPTED:
            error = MemberRefused(name=shown(name), reason="it is encrypted")
        packed = max(member.compress_size, 1)
        if member.file_size > max(self._caps.small, self._caps.ratio * packed) and error is None:
            reason = f"{packed:,} bytes would become {member.file_size:,}"
            error = MemberRefused(name=shown(name), reason=reason)
        if error is None:
            self._members[name] = member
        else:
            self.passed_over.append(Skipped(locator=shown(name), error=error))

    def has(self, path: str) -> bool:
        """Return whether there is a member of exactly this path."""
        return path in self._members

    def read(self, path: str, most: int = MOST_BYTES) -> bytes:
        """Return a whole member.

        Raises: FileUnreadable, EmptyFile, FileTooLarge.
        """
        size = self._members[path].file_size
        if size > most:
            raise FileTooLarge(name=shown(path), size=size, limit=most)
        return self.head(path, most + 1)  # one more, which makes zipfile check the sum at the end

    def head(self, path: str, length: int = HEAD) -> bytes:
        """Return the beginning of a member. Raises: FileUnreadable, EmptyFile."""
        try:
            with self.stream(path) as member:
                data = member.read(length)
        except _BROKEN as error:
            raise FileUnreadable(name=shown(path), reason=_said(error)) from None
        if not data:
            raise EmptyFile(name=shown(path))
        return data

    def stream(self, path: str) -> IO[bytes]:
        """Return a member opened for reading. Raises: FileUnreadable."""
        try:
            return self._opened.open(self._members[path])
        except _BROKEN as error:
            raise FileUnreadable(name=shown(path), reason=_said(error)) from None


class Tar:
    """A TAR archive, unpacked or never compressed; not for several threads at once."""

    def __init__(self, path: Path, content: IO[bytes], caps: Caps) -> None:
        self.name = path.name
        self.passed_over: list[Skipped] = []
        self._content = content
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self._opened = tarfile.TarFile(fileobj=content)
            for number, member in enumerate(self._opened):
                if number >= caps.members:
                    raise ArchiveUnreadable(reason=f"more than {caps.members} members")
                if not member.isdir():
                    self._add(member)
        except _BROKEN as error:
            raise ArchiveUnreadable(reason=_said(error)) from None
        self.files = [File(name, self._size(name)) for name in self._members]

    def __del__(self) -> None:
        self._content.close()

    def _size(self, path: str) -> int:
        """Return the size of a member; of a hard link that of the file it is."""
        member = self._members[path]
        target = self._members.get(_relative(member.linkname)) if member.islnk() else None
        return target.size if target else member.size

    def _add(self, member: tarfile.TarInfo) -> None:
        name = _relative(member.name)
        if (noise := never_data(name)) is not None:
            self.passed_over.append(noise)
        elif (error := _refusal(name, member.isreg() or member.islnk())) is not None:
            self.passed_over.append(Skipped(locator=shown(name), error=error))
        else:
            self._members[name] = member  # of two of one name the later counts, as for tar

    def has(self, path: str) -> bool:
        """Return whether there is a member of exactly this path."""
        return path in self._members

    def read(self, path: str, most: int = MOST_BYTES) -> bytes:
        """Return a whole member.

        Raises: FileUnreadable, EmptyFile, FileTooLarge.
        """
        size = self._size(path)
        if size > most:
            raise FileTooLarge(name=shown(path), size=size, limit=most)
        data = self.head(path, most)
        if len(data) < size:
            raise FileUnreadable(name=shown(path), reason="the archive ends in the middle of it")
        return data

    def head(self, path: str, length: int = HEAD) -> bytes:
        """Return the beginning of a member. Raises: FileUnreadable, EmptyFile."""
        try:
            with self.stream(path) as member:
                data = member.read(length)
        except _BROKEN as error:
            raise FileUnreadable(name=shown(path), reason=_said(error)) from None
        if not data:
            raise EmptyFile(name=shown(path))
        return data

    def stream(self, path: str) -> IO[bytes]:
        """Return a member opened for reading. Raises: FileUnreadable."""
        try:
            opened = self._opened.extractfile(self._members[path])
        except (KeyError, *_BROKEN) as error:  # KeyError: a link to what is not in the archive
            raise FileUnreadable(name=shown(path), reason=_said(error)) from None
        assert opened is not None, "folders are no members here"
        return opened


def _refusal(name: str, is_file: bool) -> VolanoError | None:
    """Return why a member is not even opened."""
    if not within(name.replace("\\", "/")) or "\0" in name:
        return PathRefused(name=shown(name))
    if not is_file:
        return MemberRefused(name=shown(name), reason="it is a link or a device")
    return None


def _name_of(member: zipfile.ZipInfo) -> str:
    """Return the name of a member as whoever packed it wrote it.

    macOS writes UTF-8 and does not say so; Windows' older packers write backslashes.
    """
    name = member.filename
    if not member.flag_bits & _UTF8_NAME:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.filename
    return _relative(name.replace("\\", "/"))


def _relative(name: str) -> str:
    """Return the name of a member without the slashes and dots it may start with."""
    return name.lstrip("/").removeprefix("./")


def _unpacker(head: bytes) -> Callable[[Path], IO[bytes]] | None:
    return next((one for magic, one in _UNPACKERS.items() if head.startswith(magic)), None)


def _is_tar(path: Path, unpack: Callable[[Path], IO[bytes]]) -> bool:
    """Return whether a compressed file holds a TAR archive, by its first block."""
    try:
        with unpack(path) as opened:
            return opened.read(512)[_TAR_MAGIC] == b"ustar"
    except _BROKEN:
        return False


def _unpacked(path: Path, unpack: Callable[[Path], IO[bytes]], caps: Caps) -> IO[bytes]:
    """Return a compressed file unpacked into a temporary one, which goes when it is closed.

    Raises: ArchiveUnreadable (it is damaged, or would grow beyond the caps).
    """
    packed = path.stat().st_size
    most = min(caps.total_bytes, max(caps.total_small, int(caps.ratio * packed)))
    content: IO[bytes] = tempfile.TemporaryFile(prefix="volano-import-")  # noqa: SIM115 # kept open
    try:
        with unpack(path) as opened:
            size = 0
            while chunk := opened.read(_CHUNK):
                size += len(chunk)
                if size > most:
                    raise ArchiveUnreadable(reason=f"{packed:,} bytes unpack to more than {most:,}")
                content.write(chunk)
    except _BROKEN as error:
        content.close()
        raise ArchiveUnreadable(reason=_said(error)) from None
    except BaseException:
        content.close()
        raise
    content.seek(0)
    return content


def _said(error: BaseException) -> str:
    return str(error).strip("\"'") or type(error).__name__
