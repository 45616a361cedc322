"""What `volano data import` shows: how far it is, and how sound the data looks at the end."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from volano.cli import render
from volano.cli.terminal import Terminal

if TYPE_CHECKING:
    from volano.cli.data_import import Imported
    from volano.data.formats.health import Health
    from volano.data.formats.items import Skipped
    from volano.schemas.common import Json

_SHOWN: Final = 20
_FEW: Final = 5
_CELLS: Final = 30
_CLASSES: Final = 12


class Bar:
    """How far an import is, and how fast."""

    def __init__(self, terminal: Terminal, found: "Imported") -> None:
        self._terminal = terminal
        self._found = found
        self._start = time.monotonic()

    def lines(self) -> list[str]:
        """Return the progress as the one line of a `Live`."""
        found, seconds = self._found, max(time.monotonic() - self._start, 1e-6)
        done = found.done
        # What is left out may not have been counted.
        total = None if found.total is None else max(found.total, done)
        speed = f"  {done / seconds:,.0f}/s" if done else ""
        if total and 0 < done < total:
            speed += f"  {render.span((total - done) * seconds / done)} left"
        elif done:
            speed += f"  in {render.span(seconds)}"
        word = "importing" if found.target else "reading"
        share = min(done / total, 1.0) if total else 1.0
        bar = render.pad(render.bar(share, _CELLS), _CELLS)
        shown = self._terminal.ink("cyan", bar) if self._terminal.live else word
        return [f"{shown} {done:,}{f'/{total:,}' if total else ''} {_nouns(found)}{speed}"]

    def of_all(self) -> str:
        """Return how many there are, in words."""
        if self._found.total is None:
            return _nouns(self._found)
        return f"{self._found.total:,} {_nouns(self._found)}"


def write(found: "Imported", file: Path) -> None:
    """Write the whole report to a file. Raises: OSError."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document(found)), indent=2) + b"\n")


def document(found: "Imported") -> "Json":
    """Return the whole report as JSON values."""
    return {
        "format": found.format.name,
        "dataset": found.target.used if found.target else [],
        "seen_by": found.format.saw,
        "hint": found.hint,
        "stored": found.stored,
        "duplicates": found.duplicates,
        "bad": [
            {"file": at, "code": code, "detail": detail, "remedy": remedy}
            for at, code, detail, remedy in found.left_out
        ],
        "foreign": [one.locator for one in found.health.problems if one.loss == "none"],
        "health": found.health.document(),
    }


def show(terminal: Terminal, found: "Imported") -> None:
    """Show what was imported, how sound it looks, and what was left out."""
    if terminal.format != "table":
        return terminal.document(document(found))
    count = found.stored if found.target else found.health.items
    known = f", {found.duplicates:,} were there already" if found.duplicates else ""
    done = "stored" if found.target else "read"
    terminal.confirm(f"{count:,} {_noun(found, count)} {done}{known}")
    terminal.say(render.card(_facts(found), terminal.look))
    for finding in [*filter(None, [found.hint]), *_findings(found.health)]:
        terminal.warn(finding)
    _show_problems(terminal, found)
    return None


def _facts(found: "Imported") -> dict[str, object]:
    """Return the facts of the report that everybody wants."""
    health = found.health
    saw = f"{found.format.name}: {found.format.saw}" if found.format.saw else found.format.name
    sizes = list(health.sizes)
    least = min(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    most = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    splits = ", ".join(f"{split or 'none'} {n:,}" for split, n in sorted(health.splits.items()))
    return {
        "format": saw,
        "dataset": ", ".join(found.target.used) or None if found.target else None,
        "classes": _classes(health) or None,
        "splits": splits if set(health.splits) - {""} else None,
        "boxes": f"{health.boxes:,}" if health.boxes else None,
        "sizes": (
            f"{least[0]} x {least[1]} to {most[0]} x {most[1]} px"
            if len(sizes) > 1
            else f"{least[0]} x {least[1]} px"
            if sizes
            else None
        ),
        "bytes": render.size(health.size) if health.size else None,
    }


def _classes(health: "Health") -> str:
    """Return the classes with their counts, the most frequent first."""
    named = health.classes.most_common(_CLASSES)
    if not named:
        return ""
    rest = len(health.classes) - len(named)
    few = ", ".join(f"{render.visible(name)} {count:,}" for name, count in named)
    return f"{len(health.classes):,}: {few}" + (f" and {rest:,} more" if rest > 0 else "")


def _findings(health: "Health") -> list[str]:
    """Return what a person should know before a model is trained on this."""
    told = []
    if health.unlabelled and health.classes:
        told.append(f"{render.plural(health.unlabelled, 'item')} without a label")
    elif health.unlabelled:
        told.append("no item has a label; --label NAME gives one to all, or see --help")
    if single := health.single:
        told.append(f"{_some(single)} {_has(single)} one example only")
    if lacking := health.not_trained:
        told.append(f"{_some(lacking)} {'is' if len(lacking) == 1 else 'are'} not in train")
    told += [f"{_some(names)} may be one class" for names in health.alike[:_FEW]]
    if health.duplicate_count:
        first = f"{health.duplicates[0][0]} is {health.duplicates[0][1]}"
        equal = render.plural(health.duplicate_count, "item")
        told.append(f"{equal} equal to another: {first}")
    if health.contradictions:
        one, other = health.contradictions[0]
        count = render.plural(len(health.contradictions), "item")
        told.append(f"{count} with another label than an equal one: {one} and {other}")
    if health.leaks:
        one, other = health.leaks[0]
        count = render.plural(len(health.leaks), "item")
        told.append(f"{count} in another split than an equal one: {one} and {other}")
    if health.odd:
        few = _some([f"{at} ({size})" for at, size in health.odd])
        told.append(f"odd sizes: {few}")
    return told


def _show_problems(terminal: Terminal, found: "Imported") -> None:
    """Show what was passed over: other files by name, losses one by one with a remedy a code."""
    problems = found.health.problems
    if foreign := [one.locator for one in problems if one.loss == "none"]:
        others = render.plural(len(foreign), "other file")
        terminal.warn(f"{others} left out: {_some(foreign)}")
    for loss, noun, head in (("note", "item", "to look at:"), ("part", "part", "left out:")):
        some = [_row(one) for one in problems if one.loss == loss]
        _list(terminal, f"{render.plural(len(some), noun)} {head}", some)
    count = len(found.left_out)
    _list(terminal, f"{count:,} {_noun(found, count)} left out:", found.left_out)


def _row(one: "Skipped") -> tuple[str, str, str, str]:
    return one.locator, one.error.code, one.error.message, one.error.advice


def _list(terminal: Terminal, head: str, rows: Sequence[tuple[str, str, str, str]]) -> None:
    if not rows:
        return
    terminal.warn(head)
    for at, code, detail, _ in rows[:_SHOWN]:
        place = "" if at in detail else f"{at}  "
        terminal.say(render.visible(f"  {place}{code}: {detail}"))
    if len(rows) > _SHOWN:
        terminal.say(f"  and {len(rows) - _SHOWN:,} more; `--json` or `--report FILE` lists all")
    for remedy in list(dict.fromkeys(remedy for *_, remedy in rows))[:_SHOWN]:
        if remedy:
            terminal.say(terminal.ink("dim", "  advice: ") + render.visible(remedy))


def _some(names: Sequence[str]) -> str:
    """Return the first few of many names."""
    few = ", ".join(map(render.visible, names[:_FEW]))
    hidden = len(names) - _FEW
    return f"{few} and {hidden:,} more" if hidden > 0 else few


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _noun(found: "Imported", count: int) -> str:
    kinds = found.health.kinds.most_common(1)
    noun = kinds[0][0] if kinds else ("drawing" if found.format.holds_drawings else "item")
    return noun if count == 1 else f"{noun}s"


def _nouns(found: "Imported") -> str:
    return _noun(found, 2)
