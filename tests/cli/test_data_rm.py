"""Records deleted on the command line: by id, or by conditions once their count is confirmed."""

import pytest

from tests.cli import canned
from tests.sdk.scripted import problem, value
from volano.schemas.deletion import CountDiffers, Deleted

AT = "/records/delete"


def sent(script):
    (seen,) = [seen for seen in script.seen if seen.path.endswith(AT)]
    return seen.json


def test_records_are_deleted_by_their_ids(ask, script):
    script.on("POST", AT, value(Deleted(records=1)))
    done = ask("data", "rm", canned.RECORD_ID)
    assert done.code == 0
    assert "1 record deleted" in done.err
    assert sent(script)["ids"] == [canned.RECORD_ID]
    assert sent(script)["confirm"] == 1


def test_without_a_confirmed_count_nothing_is_deleted_and_the_count_is_said(ask, script):
    script.on("POST", AT, problem(CountDiffers(found=12, confirmed=0)))
    done = ask("data", "rm", "--label", "blank")
    assert done.code == 0
    assert "12 records" in done.err
    assert "--confirm 12" in done.err
    assert sent(script)["filter"]["labels"] == ["blank"]


def test_a_confirmed_count_deletes_and_a_wrong_one_is_an_error(ask, script):
    script.on("POST", AT, value(Deleted(records=12)))
    done = ask("data", "rm", "--label", "blank", "--confirm", "12")
    assert "12 records deleted" in done.err
    assert sent(script)["confirm"] == 12
    script.on("POST", AT, problem(CountDiffers(found=13, confirmed=12)))
    wrong = ask("data", "rm", "--label", "blank", "--confirm", "12")
    assert wrong.code == 1
    assert "These are 13 records, not 12" in wrong.err


@pytest.mark.parametrize("words", ["", f"{canned.RECORD_ID} --label blank"])
def test_what_is_to_go_must_be_said_in_one_way(ask, script, words):
    done = ask("data", "rm", *words.split())
    assert done.code == 2
    assert script.seen == []
