"""Command lines that say nothing that can be done, and what is said of them."""

from datetime import datetime
from typing import Any, Final

from cyclopts import Argument, CycloptsError
from cyclopts.exceptions import CoercionError, MissingArgumentError, UnusedCliTokensError

_KINDS: Final[dict[Any, str]] = {
    int: "a whole number",
    float: "a number",
    datetime: "a time, such as 2026-01-31 or 2026-01-31T12:00+01:00",
}


class Misuse(Exception):
    """The command line does not say something that can be done."""


def said(error: CycloptsError) -> str:
    """Return a complaint of the parser's: its own words, where they name no Python type."""
    match error:
        case UnusedCliTokensError(unused_tokens=list(words)):
            return f"This command takes no {', '.join(map(repr, words))}."
        case MissingArgumentError(argument=Argument() as missing) if not missing.tokens:
            is_word = missing.field_info.is_positional
            name = missing.parameter.metavar or missing.names[0].strip("-").upper()
            lack = "is needed" if missing.required else "needs a value"
            return f"{name if is_word else missing.names[0]} {lack}."
        case CoercionError(token=token, target_type=kind) if token and kind in _KINDS:
            name = token.keyword or (error.argument.name if error.argument else "It")
            return f"{name} cannot be {token.value!r}: it is not {_KINDS[kind]}."
    return str(error)
