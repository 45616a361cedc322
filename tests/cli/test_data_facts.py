"""Labels corrected, flags and tags on the command line, and what was stated before."""

import pytest

from tests.cli import canned

AT = f"/records/{canned.RECORD_ID}/attributes"


def sent(script, at=AT):
    (seen,) = [seen for seen in script.seen if seen.method == "POST" and seen.path.endswith(at)]
    return seen.json


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("label {id} cat", "label", "cat"),
        ("label {id} 7", "label", "7"),
        ("flag {id} blurry", "flag", "blurry"),
        ("flag {id} blurry --remove", "unflag", "blurry"),
        ("tag {id} weather rain", "weather", "rain"),
        ("tag {id} quality 0.5", "quality", 0.5),
        ('tag {id} seen {{"by":[1]}}', "seen", {"by": [1]}),
    ],
)
def test_a_statement_reaches_the_server(ask, script, words, name, value):
    done = ask("data", *words.format(id=canned.RECORD_ID).split())
    assert done.code == 0
    assert sent(script) == {"name": name, "value": value}


def test_labels_of_many_are_corrected_by_the_label_that_they_have(ask, script):
    done = ask("data", "label", "--where-label", "a b", "--to", "c", "--dataset", "photos")
    assert done.code == 0
    change = sent(script, "/records/attributes")
    assert change["value"] == "c"
    assert change["filter"]["labels"] == ["a b"]
    assert change["filter"]["datasets"] == ["photos"]
    assert change["dry_run"] is False


def test_a_dry_run_only_says_how_many_there_would_be(ask, script):
    done = ask("data", "label", "--where-label", "a", "--to", "b", "--dry-run")
    assert "3 records would become 'b'" in done.out + done.err
    assert sent(script, "/records/attributes")["dry_run"] is True


@pytest.mark.parametrize(
    "words",
    [
        "label",
        f"label {canned.RECORD_ID}",
        f"label {canned.RECORD_ID} cat --to dog",
        "label --where-label a",
        "label --to b",
    ],
)
def test_half_a_correction_is_refused_before_anything_is_sent(ask, script, words):
    done = ask("data", *words.split())
    assert done.code == 2
    assert script.seen == []


def test_a_record_is_shown_with_what_was_stated_of_it(ask):
    out = ask("data", "show", canned.RECORD_ID).out
    assert "came so" in out
    assert "cirkle" in out
