"""Names of YOLO's classes: from data.yaml, classes.txt, obj.names or notes.json.

Of YAML only what these files hold is read: a list or a map of names, on one line or on many.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from volano.data.formats.items import ending
from volano.data.formats.rows import text_of
from volano.data.formats.tree import Tree, shown
from volano.schemas.errors import VolanoError

_LISTS: Final = ("classes.txt", "labels.txt", "_darknet.labels", "names.txt", "class_names.txt")
_KEY: Final = re.compile(r"^names\s*:\s*(.*)$")
_ENTRY: Final = re.compile(r"^\s*(?:-\s+|(\d+)\s*:\s*)(.*)$")
_PAIR: Final = re.compile(r"^\s*['\"]?(\d+)['\"]?\s*:\s*(.*)$")
_QUOTED: Final = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"\\]|\\.)*)\"|([^,]+)")


def is_list(path: str) -> bool:
    """Return whether a path is called like a list of names."""
    name = path.rpartition("/")[2].lower()
    return name in _LISTS or ending(name) == "names"


def lists_of(tree: Tree) -> list[str]:
    """Return the paths of all files of a tree that may name the classes."""
    return [file.path for file in tree.files if _may_name(file.path)]


def read(tree: Tree) -> tuple[tuple[str, ...], str]:
    """Return the names of the classes in their order, and which file tells them.

    Nothing of both where no file does: then the numbers are the names.
    """
    for path in sorted(lists_of(tree), key=lambda path: (path.count("/"), path)):
        try:
            text = text_of(tree.read(path))
        except VolanoError:
            continue
        if names := _names(path, text):
            return tuple(names), shown(path)
    return (), ""


def _may_name(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return is_list(path) or ending(name) in ("yaml", "yml") or name == "notes.json"


def _names(path: str, text: str) -> list[str]:
    last = ending(path)
    if last in ("yaml", "yml"):
        return of_yaml(text)
    if last == "json":
        return _of_notes(text)
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _of_notes(text: str) -> list[str]:
    """Return the names that Label Studio writes beside its export."""
    try:
        notes = msgspec.json.decode(text, type=dict[str, object])
        categories = msgspec.convert(notes.get("categories", []), list[dict[str, object]])
        numbered = {int(str(one["id"])): str(one["name"]) for one in categories}
    except (msgspec.MsgspecError, KeyError, ValueError):
        return []
    return _in_order(numbered)


def of_yaml(text: str) -> list[str]:
    """Return the `names` of a data.yaml; none where there are none."""
    lines = iter(text.splitlines())
    for line in lines:
        if match := _KEY.match(line):
            inline = _uncommented(match[1]).strip()
            while inline[:1] in ("[", "{") and inline[-1:] not in ("]", "}"):
                more = next(lines, None)
                if more is None:
                    return []
                inline += " " + _uncommented(more).strip()
            return _inline(inline) if inline else _block(lines)
    return []


def _inline(text: str) -> list[str]:
    if text[0] == "[":
        return [_value(match[0]) for match in _QUOTED.finditer(text[1:-1]) if match[0].strip()]
    if text[0] == "{":
        pairs = (_PAIR.match(match[0]) for match in _PARTS.finditer(text[1:-1]))
        return _in_order({int(pair[1]): _value(pair[2]) for pair in pairs if pair})
    return []


_PARTS: Final = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^,'\"])+")
"""What stands between the commas of a map; commas in quotes are none."""


def _block(lines: Iterator[str]) -> list[str]:
    numbered: dict[int, str] = {}
    for line in lines:
        bare = _uncommented(line)
        if not bare.strip():
            continue
        match = _ENTRY.match(bare)
        if match is None:
            break
        numbered[len(numbered) if match[1] is None else int(match[1])] = _value(match[2])
    return _in_order(numbered)


def _in_order(numbered: dict[int, str]) -> list[str]:
    """Return the names by number; a number that is left out is its own name."""
    if not numbered or max(numbered) > 100_000:
        return []
    return [numbered.get(n, str(n)) for n in range(max(numbered) + 1)]


def _uncommented(line: str) -> str:
    return re.sub(r"(^|\s)#(?=([^'\"]*['\"][^'\"]*['\"])*[^'\"]*$).*$", "", line)


def _value(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return msgspec.json.decode(text, type=str)
        except msgspec.MsgspecError:
            return text[1:-1]
    return text
