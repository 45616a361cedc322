"""The code of an invitation, `inv_<workspace>_<22 secret>_<6 checksum>`: made and taken apart.

The code says where it leads, so it is looked up within its workspace like everything else.
"""

import re

from volano.accounts.keys import base62, checksum, sealed
from volano.accounts.secrets import Pepper

ENTROPY = 16
"""Random bytes in a code."""

_CODE = re.compile(r"(inv_([0-9a-f]{32})_[0-9A-Za-z]{22})_([0-9A-Za-z]{6})")


def mint(workspace: str, entropy: bytes) -> str:
    """Make the code that leads into the workspace of the first 16 of these random bytes."""
    return sealed(f"inv_{workspace.removeprefix('ws_')}_{base62(entropy[:ENTROPY], 22)}")


def workspace(code: str) -> str | None:
    """Return the workspace that the code leads to; None if it is no code or has a typing error."""
    match = _CODE.fullmatch(code)
    if match is None or checksum(match[1]) != match[3]:
        return None
    return f"ws_{match[2]}"


def stored(pepper: Pepper, code: str) -> bytes:
    """Return what the database keeps of a code."""
    return pepper.mac("invite", code)
