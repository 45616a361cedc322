"""What `--help` prints, made from the commands themselves: usage, text, options, example.

cyclopts draws its own pages with rich; these are plain, and there before rich is imported.
"""

import inspect
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import fill, wrap
from typing import Any, Literal, get_args, get_origin

from cyclopts import App, Argument

from volano.cli import global_options
from volano.cli.render import Ink, pad, width
from volano.cli.terminal import Terminal

Lines = list[tuple[str, str]]
"""Left and right column of a section."""

_INDENT = "  "
_WIDEST_LEFT = 34
_NARROWEST_RIGHT = 24


@dataclass(frozen=True, slots=True)
class Layout:
    """Colours, and the cells of a line."""

    ink: Ink
    wide: int

    @classmethod
    def of(cls, terminal: Terminal) -> "Layout":
        """Return how pages are laid out on a terminal: as wide as they can still be read."""
        return cls(terminal.look.ink, min(100, shutil.get_terminal_size().columns))


def overview(about: str, sections: Mapping[str, Lines], layout: Layout) -> str:
    """Return the page of `volano` itself."""
    least = max(width(name) for lines in sections.values() for name, _ in lines)
    return _page(
        about,
        _usage([], "<command> [options]", layout),
        *(section(title, lines, layout, least) for title, lines in sections.items()),
        section("Options", [*global_options.HELP, *global_options.VERSION], layout),
        section("Exit codes", global_options.EXIT_CODES, layout),
        _more([], layout),
    )


def group(app: App, chain: Sequence[str], layout: Layout) -> str:
    """Return the page of a noun: its verbs."""
    verbs = [(name, _summary(app[name])) for name in app if not name.startswith("-")]
    return _page(
        inspect.cleandoc(app.help),
        _usage(chain, "<command> [options]", layout),
        section("Commands", verbs, layout),
        _more(chain, layout),
    )


def command(app: App, chain: Sequence[str], layout: Layout, sections: Mapping[str, Lines]) -> str:
    """Return the page of one command, with more sections; its `Example:` comes last."""
    doc = inspect.cleandoc(getattr(app.default_command, "__doc__", None) or "")
    text, _, example = doc.partition("\nExample:\n")
    own = [a for a in app.assemble_argument_collection() if a.show]
    named = [a for a in own if a.field_info.is_positional]
    options = [_option(a) for a in own if not a.field_info.is_positional]
    return _page(
        *(fill(" ".join(part.split()), layout.wide) for part in text.split("\n\n")),
        _usage(chain, " ".join([*(_placeholder(a) for a in named), "[options]"]), layout),
        section("Arguments", [(_placeholder(a), _text(a)) for a in named], layout),
        section("Options", options, layout),
        *(section(title, lines, layout) for title, lines in sections.items()),
        layout.ink("bold", "Example:") + "\n" + example.rstrip() if example else "",
    )


def section(title: str, lines: Lines, layout: Layout, least: int = 0) -> str:
    """Return a titled list in two columns; in one, where the right one would be too narrow."""
    if not lines:
        return ""
    left = min(_WIDEST_LEFT, max(least, *(width(name) for name, _ in lines))) + 2
    stacked = layout.wide < left + _NARROWEST_RIGHT
    if stacked:
        left = 2 * len(_INDENT)
    rows = [layout.ink("bold", f"{title}:")]
    for name, text in lines:
        folded = wrap(text, max(_NARROWEST_RIGHT, layout.wide - left - len(_INDENT)))
        if folded and width(name) + 2 <= left:
            folded[0] = pad(name, left) + folded[0]
        else:
            rows.append(_INDENT + (name.lstrip() if stacked else name))
            folded[:1] = [" " * left + line for line in folded[:1]]
        rows += [_INDENT + line for line in folded[:1]]
        rows += [_INDENT + " " * left + line for line in folded[1:]]
    return "\n".join(rows)


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _usage(chain: Sequence[str], rest: str, layout: Layout) -> str:
    return layout.ink("bold", "Usage: ") + " ".join(["volano", *chain, rest])


def _more(chain: Sequence[str], layout: Layout) -> str:
    words = " ".join(["volano", *chain])
    return fill(f"`{words} <command> --help` shows its options and an example.", layout.wide)


def _option(argument: Argument) -> tuple[str, str]:
    names = sorted(argument.names, key=len)
    short = "" if len(names[0]) == 2 else "    "
    return f"{short}{', '.join(names)} {_value(argument)}".rstrip(), _text(argument)


def _placeholder(argument: Argument) -> str:
    name = argument.parameter.metavar or argument.names[0].strip("-").upper()
    return name if argument.required else f"[{name}]"


def _text(argument: Argument) -> str:
    text, choices = argument.parameter.help or "", _choices(argument)
    default = argument.field_info.default
    if argument.field_info.is_positional and choices:
        text += f" One of {choices.replace('|', ', ')}."
    if argument.required and not argument.field_info.is_positional:
        return f"{text} (required)"
    is_number = type(default) in (int, float)
    if default is inspect.Parameter.empty or default is True or not (default or is_number):
        return text
    return f"{text} [{default:g}]" if isinstance(default, float) else f"{text} [{default}]"


def _value(argument: Argument) -> str:
    """Return the placeholder of an option's value; choices are spelt out."""
    hint = _plain(argument.hint)
    if argument.parameter.metavar or hint is bool:
        return argument.parameter.metavar or ""
    kinds = {int: "N", float: "NUMBER", Path: "PATH", datetime: "TIME"}
    return _choices(argument) or kinds.get(hint, "TEXT")


def _choices(argument: Argument) -> str:
    hint = _plain(argument.hint)
    return "|".join(map(str, get_args(hint))) if get_origin(hint) is Literal else ""


def _plain(hint: Any) -> Any:
    """Return a hint without None; of a sequence, what it is of."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) is Literal or not kinds:
        return hint
    return _plain(kinds[0])


def _summary(app: App) -> str:
    return inspect.cleandoc(app.help).partition("\n\n")[0].replace("\n", " ")
