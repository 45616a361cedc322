"""Where a blob lies: a key made of its workspace and its hash, and of nothing else."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from blake3 import blake3

from volano.schemas.blobs import BlobId, BlobMissing

_ID = re.compile(r"b3_([0-9a-f]{2})([0-9a-f]{62})")
_WORKSPACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(r"[^/]+/([0-9a-f]{2})/([0-9a-f]{62})")


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob of a listing; `stored_at` is when its bytes were last put."""

    id: BlobId
    size: int
    stored_at: datetime


def blob_id(data: bytes) -> BlobId:
    """Return the name of `data`, hashed on as many cores as its size is worth."""
    threads = blake3.AUTO if len(data) > 2**20 else 1
    return name(blake3(data, max_threads=threads))


def blob_id_of_file(path: Path) -> BlobId:
    """Return the name of a file's bytes, without reading the whole file into memory."""
    return name(blake3(max_threads=blake3.AUTO).update_mmap(path))


def name(hasher: blake3) -> BlobId:
    """Return the name of all bytes that the hasher has seen."""
    return f"b3_{hasher.hexdigest()}"


def key(workspace: str, id: BlobId) -> str:
    """Return `<workspace>/<2 hex>/<62 hex>`, safe as a path and as an object's key.

    Raises: BlobMissing (not a blob's name, so there is none), ValueError (not a workspace: a bug).
    """
    if not (parts := _ID.fullmatch(id)):
        raise BlobMissing(id=id)
    return f"{folder(workspace)}/{parts[1]}/{parts[2]}"


def folder(workspace: str) -> str:
    """Return the first part of every key of a workspace.

    Raises: ValueError (not a workspace: a bug).
    """
    if not _WORKSPACE.fullmatch(workspace):
        raise ValueError(f"not a workspace: {workspace!r}")
    return workspace


def id_of(key: str) -> BlobId | None:
    """Return the blob that lies at a key, or None for a key that is not one of ours."""
    parts = _KEY.fullmatch(key)
    return f"b3_{parts[1]}{parts[2]}" if parts else None
