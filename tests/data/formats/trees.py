"""Folders and archives for the tests of readers."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from volano.data.formats import detect
from volano.data.formats.idx import png
from volano.data.formats.items import Item, Options, Skipped


def picture(wide: int = 10, high: int = 8, grey: int = 100) -> bytes:
    """A PNG of one grey."""
    return png(bytes([grey]) * (wide * high), wide, high, 1)


def folder(root: Path, members: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in members.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    root.mkdir(exist_ok=True)
    return root


def zipped(
    path: Path,
    members: Mapping[str, str | bytes],
    kind: int = stat.S_IFREG,
    packing: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a ZIP archive."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (kind | 0o644) << 16
            archive.writestr(member, content, packing)
    return path


def tarred(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    """Write a TAR archive; `mode` as tarfile has it."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def found(path: Path, *, format: str = "", **options: object) -> tuple[list[Item], list[Skipped]]:
    """What is in a source, read as the format it is taken for: items, and what is passed over."""
    source = detect.open_source(path)
    name = format or detect.detect(source).name
    given = Options(main=source.main, **options)  # type: ignore[arg-type]
    everything = list(detect.read(source, name, given))  # type: ignore[arg-type]
    items = [one for one in everything if isinstance(one, Item)]
    skipped = [one for one in everything if isinstance(one, Skipped)]
    return items, skipped + source.tree.passed_over


def codes(skipped: list[Skipped]) -> dict[str, str]:
    """Place and code of everything that was passed over."""
    return {one.locator: one.error.code for one in skipped}


def labels(items: list[Item]) -> dict[str, str]:
    """Place and label of each item."""
    return {item.locator: item.label for item in items}


def splits(items: list[Item]) -> dict[str, str]:
    """Place and split of each item."""
    return {item.locator: item.split for item in items}
