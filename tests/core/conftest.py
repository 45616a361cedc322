"""Fixtures for the ports of core: the same store of blobs on every adapter."""

import uuid
from pathlib import Path

import pytest

from volano.core.blobs import Blobs, open_blobs
from volano.hosting.services import S3Server


@pytest.fixture(params=["file", "s3"])
def blobs_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    if request.param == "file":
        return f"file://{tmp_path / 'blobs'}"
    server: S3Server = request.getfixturevalue("s3_server")
    bucket, _, query = server.url.partition("?")
    return f"{bucket}/{uuid.uuid4().hex}?{query}"


@pytest.fixture
def blobs(blobs_url: str, request: pytest.FixtureRequest) -> Blobs:
    """An empty store on files and on a real S3."""
    if blobs_url.startswith("file:"):
        return open_blobs(blobs_url)
    server: S3Server = request.getfixturevalue("s3_server")
    return open_blobs(blobs_url, access_key=server.access_key, secret_key=server.secret_key)
