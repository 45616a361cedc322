"""What `--help` prints, made from the commands themselves: usage, text, options, example.

cyclopts draws its own pages with rich; these are plain, and there before rich is imported.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin

from cyclopts import App, Argument

from volano.cli import global_options
from volano.cli.render import Ink, pad, width

Lines = list[tuple[str, str]]
"""Left and right column of a section."""

_INDENT = "  "
_WIDEST_LEFT = 34


@dataclass(frozen=True, slots=True)
class Layout:
    """Colours, and the cells of a line."""

    ink: Ink
    wide: int


def overview(about: str, sections: Mapping[str, Lines], layout: Layout) -> str:
    """Return the page of `volano` itself."""
    least = max(width(name) for lines in sections.values() for name, _ in lines)
    return _page(
        about,
        _usage([], "<command> [options]", layout),
        *(_section(title, lines, layout, least) for title, lines in sections.items()),
        _section("Options", [*global_options.HELP, *global_options.VERSION], layout),
        _section("Exit codes", global_options.EXIT_CODES, layout),
        _more([]),
    )


def group(app: App, chain: Sequence[str], layout: Layout) -> str:
    """Return the page of a noun: its verbs."""
    verbs = [(name, _summary(app[name])) for name in app if not name.startswith("-")]
    return _page(
        inspect.cleandoc(app.help),
        _usage(chain, "<command> [options]", layout),
        _section("Commands", verbs, layout),
        _more(chain),
    )


def command(app: App, chain: Sequence[str], layout: Layout, more: Mapping[str, Lines]) -> str:
    """Return the page of one command, with more sections; its `Example:` comes last."""
    doc = inspect.cleandoc(getattr(app.default_command, "__doc__", None) or "")
    text, _, example = doc.partition("\nExample:\n")
    own = [a for a in app.assemble_argument_collection() if a.show]
    named = [a for a in own if a.field_info.is_positional]
    rest = [a for a in own if not a.field_info.is_positional]
    return _page(
        text.strip(),
        _usage(chain, " ".join([*(_placeholder(a) for a in named), "[options]"]), layout),
        _section("Arguments", [(_placeholder(a), _text(a)) for a in named], layout),
        _section("Options", _options(rest), layout),
        *(_section(title, lines, layout) for title, lines in more.items()),
        _section("Everywhere", global_options.HELP, layout),
        layout.ink("bold", "Example:") + "\n" + example.rstrip() if example else "",
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _usage(chain: Sequence[str], rest: str, layout: Layout) -> str:
    return layout.ink("bold", "Usage: ") + " ".join(["volano", *chain, rest])


def _more(chain: Sequence[str]) -> str:
    return f"`{' '.join(['volano', *chain])} <command> --help` shows its options and an example."


def _section(title: str, lines: Lines, layout: Layout, least: int = 0) -> str:
    if not lines:
        return ""
    left = min(_WIDEST_LEFT, max(least, *(width(name) for name, _ in lines))) + 2
    rows = [layout.ink("bold", f"{title}:")]
    for name, text in lines:
        folded = wrap(text, max(30, layout.wide - left - len(_INDENT))) or [""]
        if width(name) + 2 > left:
            rows.append(_INDENT + name)
            folded.insert(0, "")
        else:
            folded[0] = pad(name, left) + folded[0]
        rows += [_INDENT + line for line in _hang(folded, left)]
    return "\n".join(rows)


def _hang(lines: Sequence[str], left: int) -> Iterable[str]:
    first, *rest = lines
    return [line for line in (first, *(" " * left + line for line in rest)) if line]


def _options(arguments: Iterable[Argument]) -> Lines:
    return [_option(a) for a in arguments if a.show]


def _option(argument: Argument) -> tuple[str, str]:
    names = sorted(argument.names, key=len)
    short = "" if len(names[0]) == 2 else "    "
    return f"{short}{', '.join(names)} {_value(argument)}".rstrip(), _text(argument)


def _placeholder(argument: Argument) -> str:
    name = argument.parameter.metavar or argument.names[0].strip("-").upper()
    return name if argument.required else f"[{name}]"


def _text(argument: Argument) -> str:
    text = argument.parameter.help or ""
    default = argument.field_info.default
    if argument.required and not argument.field_info.is_positional:
        return f"{text} (required)"
    if default is inspect.Parameter.empty or default is True or not default:
        return text
    return f"{text} [{default:g}]" if isinstance(default, float) else f"{text} [{default}]"


def _value(argument: Argument) -> str:
    """Return the placeholder of an option's value; choices are spelt out."""
    if argument.parameter.metavar:
        return argument.parameter.metavar
    hint = _plain(argument.hint)
    if hint is bool:
        return ""
    if get_origin(hint) is Literal:
        return "|".join(str(choice) for choice in get_args(hint))
    return {int: "N", float: "NUMBER", Path: "PATH"}.get(hint, "TEXT")


def _plain(hint: Any) -> Any:
    """Return a hint without None; of a sequence, what it is of."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) is Literal or not kinds:
        return hint
    return _plain(kinds[0])


def _summary(app: App) -> str:
    return inspect.cleandoc(app.help).partition("\n\n")[0].replace("\n", " ")
