"""The token of an anonymous session, `v1.<kid>.<expiry>.<workspace>.<contributor>.<HMAC>`.

Signed, not stored: a visitor who never draws leaves nothing behind. It proves that the same
contributor is back, not who that is.
"""

import base64
import hmac
from datetime import UTC, datetime
from typing import NamedTuple

from volano.accounts.secrets import Pepper

PREFIX = "v1."


class Ticket(NamedTuple):
    """What a session token says."""

    workspace: str
    contributor: str
    expires_at: datetime
    """To the second."""


def sign(pepper: Pepper, ticket: Ticket) -> str:
    """Return the token of a ticket."""
    expiry = int(ticket.expires_at.timestamp())
    text = f"{PREFIX}{pepper.kid}.{expiry}.{ticket.workspace}.{ticket.contributor}"
    return f"{text}.{_signature(pepper, text)}"


def verify(pepper: Pepper, token: str, now: datetime) -> Ticket | None:
    """Return what the token says; None if we did not sign it so, or it has expired."""
    text, _, signature = token.rpartition(".")
    # As bytes: compare_digest refuses text beyond ASCII, which a forged token may well hold.
    ours = _signature(pepper, text).encode()
    if not hmac.compare_digest(ours, signature.encode(errors="surrogatepass")):
        return None
    _, _, expiry, workspace, contributor = text.split(".")
    expires_at = datetime.fromtimestamp(int(expiry), UTC)
    return Ticket(workspace, contributor, expires_at) if now < expires_at else None


def _signature(pepper: Pepper, text: str) -> str:
    return base64.urlsafe_b64encode(pepper.mac("session", text)).decode().rstrip("=")
