"""Tests of volano.sdk.imports: stopped anywhere, an import goes on and stores nothing twice."""

from itertools import islice
from pathlib import Path

import pytest

from tests.sdk.scripted import Script, page, problem, value
from volano.schemas.accounts import NameTaken
from volano.schemas.common import uuid7
from volano.schemas.data import Canvas, ImportedDrawing, NewDrawing, Point, Stroke
from volano.schemas.labeling import Outcome
from volano.sdk.client import Client
from volano.sdk.imports import Journal, send

STROKE = Stroke(points=[Point(x=1, y=2, timestamp=0)])


def drawings(count: int) -> list[ImportedDrawing]:
    return [
        ImportedDrawing(
            contributor=f"drawer-{n % 3}",
            drawing=NewDrawing(
                id=str(uuid7()),
                shape=f"shape-{n % 2}",
                canvas=Canvas(width=10, height=10),
                strokes=[STROKE],
            ),
        )
        for n in range(count)
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "strokes.zip"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def journal(source: Path, tmp_path: Path) -> Journal:
    return Journal.open(source, "omniglot", "ws_1", folder=tmp_path / "state")


@pytest.fixture
def taking(script: Script) -> Script:
    """A server that has one of the two shapes and stores whatever it is sent, two at a time."""
    script.on("GET", "/shapes", page({"name": "shape-0"}))
    script.on("POST", "/shapes", value({"name": "shape-1"}, 201))
    script.on("POST", "/drawings/import", stored(2))
    return script


def stored(count: int) -> object:
    return value([Outcome(id="x", stored=True)] * count, 201)


def test_everything_is_sent_in_batches_and_missing_shapes_are_added(
    taking: Script, client: Client, journal: Journal
):
    batches = list(send(client, "omniglot", drawings(4), journal, batch=2))

    assert [len(outcomes) for outcomes in batches] == [2, 2]
    assert [sent["name"] for sent in taking.bodies("POST", "/shapes")] == ["shape-1"]
    sent = taking.bodies("POST", "/drawings/import")
    assert [one["origin"] for one in sent] == ["omniglot", "omniglot"]
    assert sent[0]["drawings"][0]["contributor"] == "drawer-0"


def test_a_shape_that_somebody_else_has_just_added_is_no_obstacle(
    taking: Script, client: Client, journal: Journal
):
    taking.on("POST", "/shapes", problem(NameTaken(noun="shape", name="shape-1")))

    assert len(list(send(client, "omniglot", drawings(4), journal, batch=2))) == 2


def test_a_stopped_import_goes_on_behind_what_was_answered(
    taking: Script, client: Client, source: Path, tmp_path: Path, journal: Journal
):
    made = drawings(6)
    list(islice(send(client, "omniglot", made, journal, batch=2), 2))

    again = Journal.open(source, "omniglot", "ws_1", folder=tmp_path / "state")
    assert again.sent == 4
    list(send(client, "omniglot", made, again, batch=2))

    sent = taking.bodies("POST", "/drawings/import")
    ids = [one["drawing"]["id"] for batch in sent for one in batch["drawings"]]
    assert [one.drawing.id for one in made] == ids


def test_refusals_are_kept_for_the_report_of_the_last_part(
    taking: Script, client: Client, source: Path, tmp_path: Path, journal: Journal
):
    refusal = Outcome(id="bad", stored=False, code="bad-canvas", detail="too small")
    taking.on(
        "POST",
        "/drawings/import",
        value([Outcome(id="good", stored=True), refusal], 201),
        stored(2),
    )
    list(send(client, "omniglot", drawings(4), journal, batch=2))

    again = Journal.open(source, "omniglot", "ws_1", folder=tmp_path / "state")
    assert [refusal] == again.refused


@pytest.mark.parametrize("what", ["file", "origin", "workspace"])
def test_another_file_origin_or_workspace_begins_anew(
    source: Path, tmp_path: Path, journal: Journal, what: str
):
    journal.note([Outcome(id="x", stored=True)])
    if what == "file":
        source.write_bytes(b"other content")
    origin = "other" if what == "origin" else "omniglot"
    workspace = "ws_2" if what == "workspace" else "ws_1"

    assert Journal.open(source, origin, workspace, folder=tmp_path / "state").sent == 0


def test_a_forgotten_or_damaged_journal_begins_anew(source: Path, tmp_path: Path, journal: Journal):
    journal.note([Outcome(id="x", stored=True)])
    journal.path.write_bytes(b"{")
    assert Journal.open(source, "omniglot", "ws_1", folder=tmp_path / "state").sent == 0

    journal.forget()
    assert (journal.sent, journal.path.exists()) == (0, False)
