"""Patterns of names: `*` stands for any characters, `?` for one, all else for itself.

SQL and Python read a pattern alike, so that a filter and a split choose the same contributors.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name fits one of the patterns."""
    # To fnmatch an opening bracket begins a set of characters, unless it stands in one.
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def like(pattern: str) -> str:
    r"""Return the pattern for SQL's LIKE with `\` as the escape character."""
    return literal(pattern).replace("*", "%").replace("?", "_")


def literal(text: str) -> str:
    r"""Return the text for SQL's LIKE as what stands for itself only."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def beginning(pattern: str) -> str:
    """Return what every name that fits begins with; the pattern itself if it is a plain name."""
    return pattern.partition("*")[0].partition("?")[0]


def behind(start: str) -> str:
    """Return the least text, by its characters' numbers, that is after all that begin so."""
    kept = start.rstrip("\U0010ffff")
    # The numbers of surrogates, which are no characters, are skipped.
    following = chr(ord(kept[-1]) + 1) if kept[-1] != "\ud7ff" else "\ue000"
    return kept[:-1] + following
