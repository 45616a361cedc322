"""How a docstring of a function begins: with a verb in the imperative, often "Return …"."""

import ast
import re
from pathlib import Path

from tests.house import code

VERB_LIST = Path(__file__).with_name("verbs.txt")
VERBS = frozenset(VERB_LIST.read_text("utf-8").split())
"""What a docstring may begin with; a verb that is missing is added to the list."""

NOUNS_ALLOWED = {"property", "cached_property", "setter"}
"""Decorators of what reads like a value and may be told as one."""


def not_imperative(module: code.Module) -> list[str]:
    """List the functions of a module whose docstring begins with something else than a verb."""
    return [
        f"{function.name}:{function.lineno}: {docstring.splitlines()[0]}"
        for function in module.functions()
        if (docstring := ast.get_docstring(function)) and not _decorators(function) & NOUNS_ALLOWED
        if _first_word(docstring) not in VERBS
    ]


def _first_word(docstring: str) -> str:
    (word,) = re.findall(r"^[A-Z][a-z]+(?![\w'`-])", docstring) or [""]
    return word.lower()


def _decorators(function: code.Function) -> set[str]:
    return {ast.unparse(one).rpartition(".")[2] for one in function.decorator_list}
