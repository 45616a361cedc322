"""What a run left in its artefact folder."""

import stat
from pathlib import Path

from volano.schemas.harness import ArtefactFile, ArtefactMissing, ArtefactUnfit

FILES_LIMIT = 1000
BYTES_LIMIT = 4 << 30
"""Bytes of all files together."""


def listed(
    folder: Path, *, files: int = FILES_LIMIT, total_bytes: int = BYTES_LIMIT
) -> list[ArtefactFile]:
    """List the files under `folder` by name.

    Raises: ArtefactMissing (none), ArtefactUnfit (a link or a device, too many, too large).
    """
    found: list[ArtefactFile] = []
    left = total_bytes
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):  # a link could name any file of this machine
            raise ArtefactUnfit(name=name, reason="it is not a regular file")
        if len(found) == files:
            raise ArtefactUnfit(name=name, reason="there are too many files")
        left -= status.st_size
        if left < 0:
            raise ArtefactUnfit(name=name, reason="the files together are too large")
        found.append(ArtefactFile(name=name, bytes=status.st_size))
    if not found:
        raise ArtefactMissing
    return found
