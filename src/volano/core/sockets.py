"""Folders for Unix sockets: private to one account and short enough for their address."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

LONGEST_ADDRESS = 100
"""Bytes; Linux takes 107 and macOS 103."""


_PLAIN = re.compile(r"[\w./~+-]*", re.ASCII)
"""Paths that no list of addresses and no URL takes apart, whoever reads it."""


def socket_folder(wanted: Path, *, longest_name: int, owner: int | None = None) -> Path:
    """Return `wanted`, or a short folder of its own in the temp folder if it is not fit.

    It is fit if it is short enough, and plain enough for every parser of addresses.

    The folder is there then and only `owner` (a user id, else ours) may enter it.
    Every process that asks for the same `wanted` gets the same folder.
    """
    path = wanted.absolute()
    is_plain = _PLAIN.fullmatch(str(path)) is not None
    if not is_plain or len(os.fsencode(path)) + 1 + longest_name > LONGEST_ADDRESS:
        digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
        path = Path(tempfile.gettempdir(), f"volano-{os.geteuid()}-{digest}")
    _make_private(path, os.geteuid() if owner is None else owner)
    return path


def _make_private(path: Path, owner: int) -> None:
    """Make a folder that only its owner may enter.

    Names in the temp folder can be guessed, so a folder that somebody else made is refused.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if found.st_uid not in {owner, os.geteuid()} or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{path} belongs to somebody else (user id {found.st_uid})")
    path.chmod(0o700)
    if found.st_uid != owner:
        os.chown(path, owner, -1)
