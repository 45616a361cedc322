"""Files and names that survive a power cut: both need a sync of their own."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Final

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write fails with for want of room."""

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


def sync(descriptor: int) -> None:
    """Write a file's bytes to the disk itself: on macOS fsync alone stops at the drive's cache."""
    if _FULL_SYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_SYNC)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: the sync of a file does not promise its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    # The folder's own name even if it was there: whoever made it may have been killed before.
    for made in missing or [folder]:
        with contextlib.suppress(PermissionError):  # a folder closed to us is not of our making
            sync_folder(made.parent)
