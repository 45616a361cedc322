"""What the program tells people to type next is a command that there is."""

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

import volano
from volano.cli.main import COMMANDS, app

PACKAGE = Path(volano.__file__).parent
KNOWN = {name for section in COMMANDS.values() for name in section}


@cache
def nodes() -> list[ast.AST]:
    """Everything that is written in the package."""
    trees = (ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py"))
    return [node for tree in trees for node in ast.walk(tree)]


def text_of(node: ast.expr) -> str:
    """A text with `x1` for whatever is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "x1"


def following() -> set[str]:
    """The commands that are said with `next:`."""
    found = set()
    for node in nodes():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "then":
            found |= {text_of(argument) for argument in node.args}
    return {line for line in found if line.startswith("volano ")}


def mentioned() -> set[str]:
    """The commands that are named in messages, remedies and help, between backquotes."""
    found = set()
    for node in nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"`(volano [^`]+)`", " ".join(node.value.split())))
    return found


@pytest.mark.parametrize("line", sorted(following()))
def test_what_to_type_next_can_be_typed(line: str) -> None:
    words = [word.removesuffix("…") for word in shlex.split(line)[1:]]
    app.parse_args(words, print_error=False, exit_on_error=False)


@pytest.mark.parametrize("line", sorted(mentioned()))
def test_a_command_that_is_mentioned_is_there(line: str) -> None:
    words = [word for word in line.split()[1:] if not word.startswith("-")]
    if not words:
        return
    assert words[0] in KNOWN
    _, apps, rest = app.parse_commands(words)
    verbs = [name for name in apps[-1] if not name.startswith("-")]
    assert not verbs or not rest or rest[0].isupper(), f"{rest[:1]} is none of {verbs}"


@pytest.mark.parametrize("line", sorted(line for line in mentioned() if "--" in line))
def test_a_flag_that_is_mentioned_is_there(line: str) -> None:
    flags = re.findall(r"--[a-z-]+", line)
    words = [word for word in line.split()[1:] if not word.startswith("-")]
    _, apps, _ = app.parse_commands(words)
    known = {"--help", "--json", "--url", "--key", "--output", "--version"}
    if apps[-1].default_command is not None:
        for argument in apps[-1].assemble_argument_collection():
            known |= set(argument.names)
    assert set(flags) - known == set()
