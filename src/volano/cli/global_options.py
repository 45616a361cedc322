"""The options that every command has, wherever on the line they stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from volano.cli.misuse import Misuse
from volano.cli.terminal import Format

REMOTE: Final = [
    ("    --url URL", "The server; else VOLANO_URL, .volano in or above this folder, your login."),
    ("    --key KEY", "The API key; else VOLANO_KEY, else the one kept for that server."),
]
HELP: Final = [
    ("-o, --output table|json|jsonl", "How results are written. [table]"),
    ("    --json", "The same as -o json."),
    *REMOTE,
    ("-h, --help", "Show this help."),
]
EXIT_CODES: Final = [
    ("0", "Done."),
    ("1", "Refused, or something is wrong with what was given; the message says what to change."),
    ("2", "The command line has a mistake."),
    ("3", "The server, or a program below it, cannot do it now."),
    ("130", "Interrupted by Ctrl-C."),
]
VERSION: Final = [("    --version", "Show the version.")]

_WITH_VALUE: Final = {"-o": "format", "--output": "format", "--url": "url", "--key": "key"}
_FLAGS: Final = {
    "--json": ("format", "json"),
    "-h": ("help", True),
    "--help": ("help", True),
    "--version": ("version", True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    """What was asked of every command."""

    format: Format = "table"
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    help: bool = False
    version: bool = False


def split(argv: Sequence[str]) -> tuple[GlobalOptions, list[str]]:
    """Return the global options and the words that are left for the command.

    A recipe's parameters may have any name, so no command parses these. Raises: Misuse.
    """
    given: dict[str, object] = {}
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS:
            name, value = _FLAGS[word]
            given[name] = value
        elif (option := word.partition("=")[0]) in _WITH_VALUE:
            given[_WITH_VALUE[option]] = _value(word, next(words, None) if word == option else None)
        else:
            rest.append(word)
    if (format := given.get("format", "table")) not in get_args(Format):
        raise Misuse(f"{format!r} is no format; choose from {', '.join(get_args(Format))}.")
    return GlobalOptions(**given), rest  # type: ignore[arg-type]  # the names and types of _WITH_VALUE


def _value(word: str, following: str | None) -> str:
    _, equals, text = word.partition("=")
    if not equals and following is None:
        raise Misuse(f"{word} needs a value.")
    return text if equals else following or ""
