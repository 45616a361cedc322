"""The names of blobs and where they lie, for any bytes and any text."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.core.blobs import address
from volano.schemas.blobs import BlobMissing

# Source: the official test vectors of BLAKE3 (inputs of 0 and 1 bytes, the bytes counting up).
GOLDEN = {
    b"": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    b"\0": "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
}


@pytest.mark.parametrize("data", GOLDEN, ids=repr)
def test_a_name_is_the_blake3_of_the_bytes(data: bytes) -> None:
    assert address.blob_id(data) == f"b3_{GOLDEN[data]}"


@given(st.binary(max_size=3000))
def test_a_key_leads_back_to_its_name(data: bytes) -> None:
    id = address.blob_id(data)
    assert address.id_of(address.key("ws", id)) == id


def test_a_large_file_has_the_same_name_as_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    path = tmp_path / "file"
    path.write_bytes(data)
    assert address.blob_id(data) == address.blob_id_of_file(path)


@given(st.text(), st.text())
def test_no_text_leads_out_of_the_store(workspace: str, id: str) -> None:
    try:
        key = address.key(workspace, id)
    except (BlobMissing, ValueError):
        return
    assert ".." not in PurePosixPath(key).parts
    assert not key.startswith("/")


@given(st.text())
def test_what_is_no_key_of_ours_is_nobodys_blob(text: str) -> None:
    assert address.id_of(text) is None
