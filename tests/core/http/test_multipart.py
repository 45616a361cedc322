"""Forms of several parts: what a client sends is what is read, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volano.core.http.multipart import FormLimits, Part, read_form
from volano.schemas.common import FormTooLarge, FormUnreadable

TYPE = "multipart/form-data; boundary=edge"


def form(*parts: tuple[str, bytes], end: bytes = b"--edge--\r\n") -> bytes:
    return b"".join(_part(head, data) for head, data in parts) + end


def _part(head: str, data: bytes) -> bytes:
    return b"--edge\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def named(name: str, file_name: str = "") -> str:
    file = f'; filename="{file_name}"' if file_name else ""
    return f'Content-Disposition: form-data; name="{name}"{file}\r\nContent-Type: image/PNG; q=1'


async def pieces(body: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def read(
    body: bytes, folder: Path, limits: FormLimits | None = None, *, size: int = 7, kind: str = TYPE
) -> list[Part]:
    return asyncio.run(read_form(kind, pieces(body, size), folder, limits or FormLimits()))


def bytes_of(part: Part) -> bytes:
    return part.data.read_bytes() if isinstance(part.data, Path) else part.data


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 90))
def test_parts_come_back_whole_however_the_body_is_cut(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], size: int
) -> None:
    body = form(*((named("f", f"{n}.png"), data) for n, data in enumerate(contents)))
    limits = FormLimits(in_memory=100, all_in_memory=250)
    found = read(body, tmp_path_factory.mktemp("form"), limits, size=size)
    assert [bytes_of(part) for part in found] == contents
    assert [part.size for part in found] == [len(data) for data in contents]
    assert [part.file_name for part in found] == [f"{n}.png" for n in range(len(contents))]
    held = [len(part.data) for part in found if isinstance(part.data, bytes)]
    assert sum(held) <= 250
    assert max(held, default=0) <= 100


def test_a_part_says_its_name_and_media_type(tmp_path: Path) -> None:
    (part,) = read(form((named("photo", "Zoë 猫.png"), b"x")), tmp_path)
    assert part.name == "photo"
    assert part.file_name == "Zoë 猫.png"
    assert part.media_type == "image/png"


def test_more_parts_than_are_allowed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormTooLarge, match="2 parts"):
        read(form(*[(named("f"), b"x")] * 3), tmp_path, FormLimits(parts=2))


@pytest.mark.parametrize(
    "body",
    [
        form((named("f"), b"x"), end=b""),
        form((named("f"), b"x"))[:40],
        form(("Content-Type: image/png", b"x")),
        form(("Content-Disposition: attachment; name=f", b"x")),
        form((f"X-Long: {'x' * 9000}", b"x")),
        form(("\r\n".join(f"X-{n}: y" for n in range(100)), b"x")),
        b"no form at all",
        b"",
    ],
)
def test_what_is_no_form_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(FormUnreadable):
        read(body, tmp_path)


def test_a_form_without_a_boundary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormUnreadable, match="boundary"):
        read(form((named("f"), b"x")), tmp_path, kind="multipart/form-data")
