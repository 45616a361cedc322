"""Keys that were verified a moment ago, so that a warm request needs no database."""

import asyncio
import secrets
from collections import OrderedDict
from typing import NamedTuple

from blake3 import blake3

from volano.schemas.accounts import Who

MOST = 10_000
"""Keys remembered at once; the least recently used go first."""


class _Verdict(NamedTuple):
    who: Who
    until: float


class KeyCache:
    """A bounded memory of verified keys, found by a keyed hash of their whole text.

    By the hash and not by the id, so that a wrong secret takes the way of an unknown id, and no
    secret stays in memory. It is not the stored hash, which takes far longer. `now` is any clock
    in seconds, the same one for all calls.
    """

    def __init__(self, seconds: float, most: int = MOST) -> None:
        self.seconds = seconds
        self.most = most
        self.revocations = 0
        """Goes up with every `forget`; see `keep`."""
        self.running: dict[tuple[bytes, int], asyncio.Task[Who]] = {}
        """Look-ups under way, by hash and the `revocations` at their start."""
        self._secret = secrets.token_bytes(32)
        self._by_hash: OrderedDict[bytes, _Verdict] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_hash)

    def mark(self, credential: str) -> bytes:
        """The hash by which this memory knows a key; no other memory knows it by that."""
        return blake3(credential.encode(errors="surrogatepass"), key=self._secret).digest()

    def find(self, digest: bytes, now: float) -> Who | None:
        """Whose key has this hash, if that was verified less than `seconds` ago."""
        verdict = self._by_hash.get(digest)
        if verdict is None:
            return None
        if verdict.until <= now:
            del self._by_hash[digest]
            return None
        self._by_hash.move_to_end(digest)
        return verdict.who

    def keep(self, digest: bytes, who: Who, *, until: float, revocations: int) -> None:
        """Remember a key that was verified; at most `until`, however long `seconds` are.

        `revocations` is the counter from before the look-up: if it has moved, the row that was
        read may be from before a revocation, and remembering it would bring the key back.
        """
        if revocations != self.revocations:
            return
        self._by_hash[digest] = _Verdict(who, until)
        self._by_hash.move_to_end(digest)
        if len(self._by_hash) > self.most:
            self._by_hash.popitem(last=False)

    def forget(self, *, key: str = "", member: str = "") -> None:
        """Look again at the next request with this key, or with any key of this member."""
        self.revocations += 1
        stale = [
            digest
            for digest, (who, _) in self._by_hash.items()
            if who.key == key or (member and who.member == member)
        ]
        for digest in stale:
            del self._by_hash[digest]
