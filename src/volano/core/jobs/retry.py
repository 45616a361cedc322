"""What a failure means: whose it is, whether to try again and when, and which ones are alike."""

import hashlib
import random
import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from volano.schemas.errors import Conflict, Denied, Invalid, Missing, Unavailable
from volano.schemas.jobs import NoHandler

SYSTEM_ATTEMPTS: Final = 5
"""How often our own trouble (a lost worker, a store that is away) may hit one job."""

_FINAL = (Invalid, Denied, Missing, Conflict)
"""The same job would fail the same way again."""

_SYSTEM = (Unavailable, NoHandler, OSError)


@dataclass(frozen=True, slots=True)
class Decision:
    """`delay_ms` until the next attempt; None: there is none."""

    is_system: bool
    delay_ms: int | None


@dataclass(frozen=True, slots=True)
class Failures:
    """How often one job has failed, and may."""

    user: int
    system: int
    max_attempts: int


def decide(error: BaseException, failures: Failures, rng: random.Random) -> Decision:
    """Decide what follows from one more failure; our own trouble uses up none of the user's."""
    if isinstance(error, _SYSTEM):
        tries = failures.system + 1
        return Decision(True, _delay(tries, rng, 2_000, 4, tries >= SYSTEM_ATTEMPTS))
    tries = failures.user + 1
    is_over = isinstance(error, _FINAL) or tries >= failures.max_attempts
    return Decision(False, _delay(tries, rng, 1_000, 2, is_over))


def _delay(tries: int, rng: random.Random, first_ms: int, growth: int, is_over: bool) -> int | None:
    """Draw an exponential delay with full jitter, of at most ten minutes.

    Source: Brooker, Exponential backoff and jitter, AWS architecture blog, 2015.
    """
    if is_over:
        return None
    return round(rng.uniform(0, min(first_ms * growth ** (tries - 1), 600_000)))


def describe(error: BaseException, decision: Decision, attempt: int) -> dict[str, Any]:
    """Return what the ledger keeps of a failure; equal signatures are failures of one cause."""
    kind = "system" if decision.is_system else "user"
    return {
        "class": kind,
        "type": type(error).__qualname__,
        "message": str(error)[:2000],
        "attempt": attempt,
        "at": _frames(error)[-1:],
        "signature": signature(error, kind),
    }


def signature(error: BaseException, kind: str) -> str:
    """Name failures that are alike by class, type and the functions they passed through."""
    parts = [
        kind,
        type(error).__qualname__,
        *(frame.rpartition(":")[0] for frame in _frames(error)),
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _frames(error: BaseException) -> list[str]:
    """Return `file:function:line` of each frame; without folders, which differ by machine."""
    stack = traceback.extract_tb(error.__traceback__)
    return [f"{PurePath(frame.filename).name}:{frame.name}:{frame.lineno}" for frame in stack]
