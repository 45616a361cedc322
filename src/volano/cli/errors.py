"""Failures as the person at the terminal sees them: what happened, and what to type next."""

import json
import os
from typing import Final

from volano.cli.render import Ink, visible
from volano.schemas.errors import Broken, Invalid, Missing, Unavailable, VolanoError
from volano.sdk.config import without_secrets

USER: Final = 1
USAGE: Final = 2
SYSTEM: Final = 3
INTERRUPTED: Final = 130

_LISTINGS: Final = {
    "record": "volano data ls",
    "drawing": "volano data ls",
    "shape": "volano shapes ls",
    "snapshot": "volano snapshots ls",
    "run": "volano runs ls",
    "version": "volano versions ls",
    "version of the model": "volano versions ls",
    "row in quarantine": "volano data quarantine ls",
    "endpoint": "volano endpoints ls",
    "key": "volano keys ls",
    "member": "volano members ls",
    "invitation": "volano invites ls",
}


_NEXT: Final = {
    "not-authenticated": "volano login",
    "archive-unreadable": "volano data import --help",
    "empty-split": "volano snapshots create --help",
    "unknown-kind": "volano explain --help",
}


class FileUnusable(Invalid):
    """The file {path} cannot be used: {reason}."""

    remedy = "Check the path and its permissions."


def unusable(error: OSError, path: object = None) -> FileUnusable:
    """Return the failure to use a file or folder, in words.

    Raises: OSError (the error itself: it tells of no file).
    """
    if path is None and not isinstance(path := error.filename, str | bytes):
        raise error
    return FileUnusable(path=os.fsdecode(str(path)), reason=error.strerror or str(error))


def block(error: VolanoError, ink: Ink) -> str:
    """Return the failure in a few lines, the last one a command where one helps."""
    message, advice, at = error.message, error.advice, error.facts.get("at", "")
    if error.code == "invalid-values":  # said of a body; here an option is meant
        message = ": ".join(filter(None, (at.partition(".")[2], f"{error.facts['reason']}.")))
        advice = at = ""
    first, *more = [*message.splitlines(), *advice.splitlines()] or [""]
    lines = [ink("red", "error: ") + shown(first)]
    lines += [f"       {shown(line)}" for line in more]
    if at:
        lines.append(f"       at {shown(str(at))}")
    if isinstance(error, Broken) and error.facts.get("request_id"):
        lines.append(f"       request id {shown(str(error.facts['request_id']))}")
    if command := next_command(error):
        lines.append(ink("dim", "next:  ") + command)
    return "\n".join(lines)


def shown(text: str) -> str:
    """Return what is said of a failure without secrets and control characters in it."""
    return visible(without_secrets(text))


def document(error: VolanoError) -> str:
    """Return the failure for programs: its RFC 9457 document on one line, without secrets."""
    return without_secrets(json.dumps(error.problem(), default=str, ensure_ascii=False))


def next_command(error: VolanoError) -> str:
    """Return what to type now; an empty text where the advice says it or nothing helps."""
    if "`volano" in error.advice:
        return ""
    if isinstance(error, Missing):
        return _LISTINGS.get(str(error.facts.get("noun")), "")
    return _NEXT.get(error.code, "")


def exit_code(error: VolanoError) -> int:
    """Return 1 where the caller can change it, 3 where the system has to."""
    return SYSTEM if isinstance(error, Unavailable | Broken) else USER
