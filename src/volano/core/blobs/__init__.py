"""Bytes by the name of their content; where they are kept is chosen by a URL, here only."""

from urllib.parse import parse_qs, urlsplit

from volano.core.blobs import references
from volano.core.blobs.address import StoredBlob
from volano.core.blobs.content import Blobs
from volano.core.blobs.file import FileBackend
from volano.core.blobs.s3 import S3Backend
from volano.core.blobs.tables import blob_column
from volano.core.settings import FILE, BadSetting, path_of

__all__ = ["Blobs", "StoredBlob", "blob_column", "open_blobs", "references"]


def open_blobs(url: str, *, access_key: str = "", secret_key: str = "") -> Blobs:
    """Return the blobs at `file:///folder` or `s3://bucket/prefix?endpoint=http://…&region=…`.

    Without keys, S3 takes those of the environment or the machine's role, as every AWS program
    does. Nothing is contacted yet; the folder is made.

    Raises: BadSetting (another kind of URL, or a path that cannot be told from a query).
    """
    if url.startswith(FILE):
        return Blobs(FileBackend(path_of(url, FILE, "VOLANO_BLOBS")))
    if not url.startswith("s3://"):
        reason = "it starts with neither file:// nor s3://"
        raise BadSetting(name="VOLANO_BLOBS", value=url, reason=reason)
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Blobs(
        S3Backend(
            parts.netloc,
            parts.path.strip("/"),
            endpoint=query.get("endpoint"),
            region=query.get("region", "us-east-1"),
            keys=(access_key, secret_key) if access_key else None,
        )
    )
