"""The parameters that a recipe takes, read from its code without running it."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from volano.cli.help_pages import Lines
from volano.schemas.errors import Invalid

HIDDEN = frozenset({"recipe", "model", "snapshot", "seconds", "seed", "local", "data", "out"})
"""Options of `volano train` itself, which hide a parameter of the same name."""

_KINDS = {bool: "true|false", int: "N", float: "NUMBER", str: "TEXT"}


def chosen(words: Sequence[str], default: str) -> str:
    """Return the recipe that a command line names."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, text = word.partition("=")
        if name == "--recipe":
            return (text if equals else following) or default
    return default


def lines(recipe: str) -> Lines:
    """List each parameter as an option; none where the recipe's code is not on this machine."""
    from volano.harness.source import locate

    try:
        place = locate(recipe)
        tree = ast.parse(place.file.read_bytes())
    except (Invalid, OSError, SyntaxError):
        return []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    named = [node for node in classes if place.class_name in ("", node.name)]
    return [line for node in named for line in _declared(node)]


def _declared(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement in model.body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Param")) as call
            ) if name not in HIDDEN:
                yield _line(name, call)


def _line(name: str, call: ast.Call) -> tuple[str, str]:
    given = {word.arg: _literal(word.value) for word in call.keywords}
    default = _literal(call.args[0]) if call.args else given.get("default")
    low, high = given.get("ge"), given.get("le")
    bounds = [f"from {low:g}"] if low is not None else []
    bounds += [f"to {high:g}"] if high is not None else []
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    facts = ", ".join([shown, *bounds]) if default is not None else ", ".join(bounds)
    choices = "|".join(map(str, given.get("choices") or ()))
    value = choices or _KINDS.get(type(default), "TEXT")
    text = [given.get("doc"), f"[{facts}]" if facts else ""]
    return f"    --{name} {value}", " ".join(part for part in text if part)


def _literal(node: ast.expr) -> Any:
    """Return the value of a literal; None for anything that would have to be run."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
