"""The pepper: the one secret of a server, from its settings or made once and kept in its home."""

import hmac
import os
import secrets
from pathlib import Path

from volano.core.durable import make_folder, sync, sync_folder
from volano.core.settings import Settings
from volano.schemas.accounts import BadSecret

LEAST_LENGTH = 32
"""Bytes below which a secret could be guessed."""


class Pepper:
    """Keyed hashes for one server; `kid` names the pepper without telling anything about it."""

    __slots__ = ("_key", "kid")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.kid = self.mac("kid", "").hex()[:8]

    def mac(self, purpose: str, text: str) -> bytes:
        """Return the HMAC-SHA-256 of the text; one made for another purpose differs."""
        # surrogatepass: headers may hold anything, and a forged one must be refused, not crash.
        message = f"{purpose}\0{text}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, "sha256")


def pepper(settings: Settings) -> Pepper:
    """Return the pepper of `settings.secret`, or that in `home`, made by whoever comes first.

    Raises: BadSecret (shorter than 32 characters), OSError.
    """
    if settings.secret:
        return _checked("VOLANO_SECRET", settings.secret.encode())
    path = settings.home_path / "secret"
    if not path.exists():
        make_folder(path.parent)
        _put_if_absent(path, secrets.token_hex(32))
    return _checked(str(path), path.read_bytes())


def _checked(source: str, key: bytes) -> Pepper:
    if len(key) < LEAST_LENGTH:
        raise BadSecret(setting=source, length=len(key))
    return Pepper(key)


def _put_if_absent(path: Path, text: str) -> None:
    """Create the file durably, readable by its owner only, unless somebody else was faster."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        sync(file.fileno())
    try:
        # A link appears whole or not at all, and never replaces what is there.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_folder(path.parent)
