"""What a server, a file or a run says cannot take over the terminal of whoever reads it."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.test_commands import LISTINGS, SHOWN
from tests.sdk.scripted import Answer, Script, problem, value
from volano.app import ROUTES
from volano.core.http.routes import Operation
from volano.schemas.errors import Conflict, Missing

EVIL = "\x1b]0;owned\x07\x1b[2J\r\u202e\x9b31m"
"""A new title for the window, an empty screen, a line written over, text from right to left."""

OPERATIONS = [operation for group in ROUTES for operation in group.operations]

OTHERS = [
    "runs watch run_1",
    "runs cancel run_1",
    "train --snapshot letters --detach",
    "train --snapshot letters",
    "versions activate ver_1",
    "versions rollback drawing",
    "shapes add circle",
    "keys create ci",
    "members add Ada --role developer",
    "members role mem_2 developer",
    "invites create",
    "snapshots create letters",
]


def texts(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the texts of a document lie."""
    if isinstance(document, str):
        yield path
    elif isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for key, inner in pairs:
            yield from texts(inner, (*path, key))


def poisoned(document: Any, shape: Any) -> Any:
    """The document with EVIL behind every text that a client takes as any text."""
    for path in list(texts(document)):
        before = msgspec.json.encode(document)
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] += EVIL
        try:
            msgspec.convert(document, shape)
        except msgspec.ValidationError:
            document = msgspec.json.decode(before)
    return document


def answered_by(method: str, path: str) -> Operation | None:
    for operation in OPERATIONS:
        pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path)
        if operation.method == method and re.fullmatch(pattern, path):
            return operation
    return None


@pytest.fixture
def evil(script: Script) -> Script:
    """The server that has one of everything, with hostile words in all of it."""
    for (method, path), (answer, *_) in list(script._answers.items()):
        operation = answered_by(method, path)
        shape = operation and operation.result_shape
        if shape and answer.body and answer.status < 400:
            document = poisoned(msgspec.json.decode(answer.body), shape)
            script.on(method, path.removeprefix("/api/v1"), value(document, answer.status))
    return script


@pytest.mark.parametrize("words", [*LISTINGS, *SHOWN, *OTHERS])
def test_a_hostile_server_is_read_and_not_obeyed(ask, evil, words: str):
    done = ask(*words.split())

    said = done.out + done.err
    assert done.code == 0, said
    assert [c for c in said if not c.isprintable() and c != "\n"] == []
    assert "\x1b" not in ask(*words.split(), "--json").out
    assert [seen for seen in evil.seen if seen.path.startswith("/api/v1/")]


def test_the_server_of_these_tests_is_hostile(evil):
    bodies = [answers[0].body for answers in evil._answers.values()]
    assert sum(b"owned" in body for body in bodies) > 20


@pytest.mark.parametrize(
    "error", [Missing(noun=f"run{EVIL}", id=f"x{EVIL}"), Conflict(EVIL, at=EVIL)]
)
def test_a_hostile_refusal_is_shown_and_not_obeyed(ask, script, error):
    script.on("GET", "/runs/run_1", problem(error))

    done = ask("runs", "show", "run_1")

    assert done.code == 1
    assert "owned" in done.err
    assert [c for c in done.err if not c.isprintable() and c != "\n"] == []
    assert "\x1b" not in ask("runs", "show", "run_1", "--json").err


def test_the_names_in_a_hostile_archive_are_shown_and_not_obeyed(ask, script, folder: Path):
    with zipfile.ZipFile(folder / "bad.zip", "w") as archive:
        for n in range(40):
            archive.writestr(f"strokes/Greek/character01/{n}{EVIL}.txt", "START\n")
            archive.writestr(f"strokes{EVIL}/Greek/character01/{n:04}_01.txt", "?")

    done = ask("data", "import", "--format", "omniglot", "bad.zip")

    assert done.code == 1
    assert done.err.count("owned") == 25
    assert " and 35 more" in done.err
    assert "more; `--json` or `--report FILE` lists all" in done.err
    assert [c for c in done.err if not c.isprintable() and c != "\n"] == []


def test_what_a_run_printed_comes_as_it_is_through_a_pipe(ask, script):
    script.on(
        "GET", "/runs/run_1/log", Answer(body=b"\x1b[31mred\x1b[0m\n", media_type="text/plain")
    )

    assert ask("runs", "log", "run_1").out == "\x1b[31mred\x1b[0m\n"
