"""What only S3 can do to us: be away, refuse the keys, lack the bucket."""

import os
import subprocess
import sys

import pytest

from volano.core.blobs import open_blobs
from volano.hosting.services import S3Server
from volano.schemas.blobs import BlobsUnavailable

PUT = """
import asyncio, os, sys
from volano.core.blobs import open_blobs

asyncio.run(open_blobs(sys.argv[1]).put("environment", b"x"))
# As our servers end (hosting/launcher.py). A thread of the S3 library that still lets go of the
# last answer while the interpreter is taken down aborts the process: once in 14 to 250 runs.
os._exit(0)
"""

ABSENT = "b3_" + "0" * 64


async def test_a_store_that_is_away_is_unavailable_not_empty() -> None:
    blobs = open_blobs("s3://bucket?endpoint=http://127.0.0.1:9", access_key="a", secret_key="b")
    for verb in (
        blobs.put("ws", b"x"),
        blobs.get("ws", ABSENT),
        blobs.get_range("ws", ABSENT, 0, 1),
        blobs.exists("ws", ABSENT),
        blobs.delete("ws", ABSENT),
    ):
        with pytest.raises(BlobsUnavailable):
            await verb
    with pytest.raises(BlobsUnavailable):
        [stored async for stored in blobs.list("ws")]


async def test_wrong_keys_are_unavailable_and_do_not_name_the_server(s3_server: S3Server) -> None:
    blobs = open_blobs(s3_server.url, access_key="volano", secret_key="wrong")
    with pytest.raises(BlobsUnavailable) as refused:
        await blobs.put("ws", b"x")
    assert "127.0.0.1" not in str(refused.value.problem())


def test_keys_are_taken_from_the_environment_as_aws_programs_do(s3_server: S3Server) -> None:
    keys = {
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
    }
    subprocess.run([sys.executable, "-c", PUT, s3_server.url], env=os.environ | keys, check=True)
