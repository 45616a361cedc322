"""Every error that a caller can see: told whole, sent and raised again as it was."""

import ast
import json
import re
import string
import subprocess
import sys

import pytest

from tests.house import code
from volano import app
from volano.cli import (
    accounts,
    data_import,
    local_server,
    predict,
    snapshots,
    train,
    train_local,
    versions,
)
from volano.core.http import openapi
from volano.schemas.common import IN_WORDS
from volano.schemas.errors import KINDS, VolanoError, from_problem
from volano.sdk import client

STATUSES = [400, 401, 403, 404, 405, 408, 409, 413, 415, 418, 422, 429, 500, 502, 503, 504, 507]

LOADED = (
    app,
    client,
    accounts,
    data_import,
    local_server,
    predict,
    snapshots,
    train,
    train_local,
    versions,
)
"""What defines errors, or imports what does."""


def errors(cls: type[VolanoError] = VolanoError) -> list[type[VolanoError]]:
    """List the errors of the package; tests define some too."""
    found = [one for sub in cls.__subclasses__() for one in (sub, *errors(sub))]
    return [one for one in found if one.__module__.startswith("volano.")]


ERRORS = sorted(set(errors()), key=lambda cls: cls.code)
BY_NAME = pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.code)


def facts_of(text: str) -> set[str]:
    """Return the facts that the first paragraph of a message names."""
    return {name for _, name, _, _ in string.Formatter().parse(text.partition("\n\n")[0]) if name}


def made_up(cls: type[VolanoError]) -> VolanoError:
    """Make the error with a value for every fact that it names."""
    names = facts_of(cls.__doc__ or "") | facts_of(cls.remedy)
    return cls(**{name: f"<{name}>" for name in names})


def test_no_two_errors_have_one_code() -> None:
    codes = [cls.code for cls in ERRORS]
    assert sorted(set(codes)) == codes
    assert len(codes) > 80


@BY_NAME
def test_an_error_says_what_happened_with_its_facts(cls: type[VolanoError]) -> None:
    error = made_up(cls)

    for text, written in ((error.message, cls.__doc__ or ""), (error.advice, cls.remedy)):
        for name in facts_of(written):
            assert f"<{name}>" in text
            assert f"{{{name}" not in text
    assert error.message.endswith((".", "…", ">"))
    assert issubclass(cls, KINDS)
    if cls.status != 408:  # the caller was too slow, but may try again: unavailable
        assert {cls.status // 100} == {k.status // 100 for k in KINDS if issubclass(cls, k)}


@BY_NAME
def test_an_error_comes_back_from_its_document_as_it_was(cls: type[VolanoError]) -> None:
    error = made_up(cls)
    document = json.loads(json.dumps(error.problem("/api/v1/x")))

    again = from_problem(document)

    assert type(again) is cls
    assert again.message == error.message
    assert again.advice == error.advice
    assert again.facts == error.facts
    assert again.problem("/api/v1/x") == error.problem("/api/v1/x")


@pytest.mark.parametrize("status", STATUSES)
def test_a_code_that_is_not_known_here_becomes_its_kind(status: int) -> None:
    error = from_problem({"code": "from-the-future", "status": status, "detail": "It is so."})

    assert type(error) in KINDS
    assert error.message == "It is so."
    assert error.status // 100 == (5 if status == 408 else status // 100)


def called(node: ast.Call) -> str:
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


def test_every_error_is_raised_with_the_facts_that_its_message_names() -> None:
    by_name = {cls.__name__: cls for cls in ERRORS}
    lacking, seen = {}, 0
    for module in code.modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and (cls := by_name.get(called(node))):
                facts = {keyword.arg for keyword in node.keywords}
                named = facts_of(cls.remedy)
                named |= set() if node.args else facts_of(cls.__doc__ or "")
                seen += 1
                if None not in facts and not named <= facts:  # None: handed on from another call
                    lacking[f"{module.name}:{node.lineno}"] = named - facts
    assert lacking == {}
    assert seen > 150


def test_a_missing_fact_does_not_hide_the_error() -> None:
    class Torn(VolanoError):
        """The {thing} is torn at {place.start}, {0}."""

    assert Torn().message == "The {thing} is torn at {place.start}, {0}."


def test_the_errors_are_known_to_a_client_that_loads_nothing_else() -> None:
    """What a server sends is raised as its class in a script of one import."""
    never_sent = tuple(
        f"volano.schemas.{name}" for name in ("harness", "services", "jobs", "blobs", "imports")
    )
    sent = {
        cls.__name__
        for cls in ERRORS
        if cls.__module__.startswith("volano.schemas.") and cls.__module__ not in never_sent
    }
    script = (
        "import sys, volano.sdk.client as c, volano.schemas.errors as e\n"
        "print(*(s.__name__ for s in e._subclasses(e.VolanoError)))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout

    assert sent - set(told.decode().split()) == set()


def test_every_pattern_of_the_api_has_words_for_people() -> None:
    operations = [operation for routes in app.ROUTES for operation in routes.operations]
    described = json.dumps(openapi.document(operations, title="", version="", about=""))

    patterns = {
        json.loads(text) for text in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', described)
    }

    assert patterns <= set(IN_WORDS)
    assert len(patterns) >= 4
