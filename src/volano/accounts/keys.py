"""The text of an API key, `vol_<12 id>_<43 secret>_<6 checksum>`: made, taken apart, hashed.

Scanners for leaked secrets find the prefix, the checksum refuses typing errors without a look-up,
and only a keyed hash is ever stored. Letters and digits alone, so a double click selects it all.
"""

import re
import zlib
from typing import NamedTuple

from volano.accounts.secrets import Pepper

ENTROPY = 40
"""Random bytes in a key: 8 for the id, 32 for the secret."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"(vol_([0-9A-Za-z]{12})_([0-9A-Za-z]{43}))_([0-9A-Za-z]{6})")


class Parts(NamedTuple):
    """What a well-formed key says; whether it is true, only its stored hash can tell."""

    id: str
    secret: str


def mint(entropy: bytes) -> str:
    """Make the text of a key of the first 40 of these random bytes."""
    id_ = base62(entropy[:8], 12)
    secret = base62(entropy[8:ENTROPY], 43)
    return sealed(f"vol_{id_}_{secret}")


def parse(text: str) -> Parts | None:
    """Return the parts of a key; None if it is not one or has a typing error."""
    match = _KEY.fullmatch(text)
    if match is None or checksum(match[1]) != match[4]:
        return None
    return Parts(f"key_{match[2]}", match[3])


def stored(pepper: Pepper, parts: Parts) -> bytes:
    """Return what is stored of a key: without the pepper it neither verifies nor makes one."""
    return pepper.mac("key", f"{parts.id}.{parts.secret}")


def sealed(text: str) -> str:
    """Return the text with its checksum behind it."""
    return f"{text}_{checksum(text)}"


def checksum(text: str) -> str:
    """Return the CRC-32 in six letters and digits; it finds up to four wrong neighbours."""
    return base62(zlib.crc32(text.encode()).to_bytes(4, "big"), 6)


def base62(data: bytes, width: int) -> str:
    """Return the bytes as a number in base 62, padded with zeros to `width` characters."""
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
