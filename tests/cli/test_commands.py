"""Tests of the commands against a server that has one of everything."""

import base64
import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.cli import canned
from tests.sdk.scripted import problem, value
from volano.cli import versions
from volano.cli.render import Look
from volano.cli.run_card import figures
from volano.schemas.accounts import KeyRefused
from volano.schemas.common import InvalidValues, NotAuthenticated, RoleTooLow
from volano.schemas.data import EmptySplit, RecordCount
from volano.schemas.errors import Broken, Missing
from volano.schemas.evaluation import Difference, Interval, NothingShared
from volano.schemas.harness import BadParam
from volano.schemas.imports import ArchiveUnreadable
from volano.schemas.jobs import Requeued
from volano.schemas.loop import Retried
from volano.schemas.serving import NoEarlierVersion

LISTINGS = {
    "datasets ls": ("NAME ", "1234"),
    "shapes ls": ("NAME    DIFFICULTY", "circle"),
    "data ls": ("ID ", canned.RECORD_ID),
    f"data history {canned.RECORD_ID}": ("WHEN ", "cirkle"),
    "data quarantine ls": ("ID ", "unknown-codec-version: Stroke payloads of version 9"),
    "jobs ls": ("ID ", "the disk was away"),
    "snapshots ls": ("ID ", "letters"),
    "runs ls": ("ID ", "finished"),
    "versions ls": ("ID ", "0.9412"),
    f"versions errors {canned.VERSION_ID}": ("RECORD ", "0.7500"),
    "endpoints ls": ("NAME ", canned.VERSION_ID),
    "keys ls": ("ID ", "ci"),
    "members ls": ("ID ", "Ada"),
    "invites ls": ("ID ", "inv_1"),
}

SHOWN = {
    f"data show {canned.RECORD_ID}": "greek-07",
    f"data show {canned.PHOTO.id}": "traffic light",
    "data usage": "records in segments",
    "datasets show photos": "cat, traffic light",
    "datasets edit photos --licence CC0-1.0": "CC0-1.0",
    "snapshots show letters": "train=2000, valid=176, test=544",
    f"runs show {canned.RUN_ID}": "3 min 20 s",
    f"versions show {canned.VERSION_ID}": "model.onnx 912.3 kB",
    f"versions compare {canned.VERSION_ID} ver_2": "+0.0088",
    "endpoints show drawing": "activated",
    "endpoints set drawing --log 0.1 --inputs none --durable": "activated",
    f"feedback {canned.PREDICTION_ID} spiral": "spiral",
    f"explain {canned.PREDICTION_ID}": "└─ one of 2720  circle",
    f"predict drawing {canned.RECORD_ID}": "90.0%",
    f"versions show {canned.VERSION_ID} --classes": "circle  spiral         2  50.0%",
    "explain model drawing": "└─ one of 2720  circle",
    "explain endpoint drawing": "└─ one of 2720  circle",
    "explain snapshot letters": "└─ one of 2720  circle",
    f"jobs show {canned.JOB_ID}": "the disk was away",
    "whoami": "acme",
    "status": "12 of 1 shape",
}


@pytest.mark.parametrize("words", LISTINGS)
def test_a_listing_is_a_plain_table_in_a_pipe(ask, words):
    header, cell = LISTINGS[words]
    done = ask(*words.split())

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(header)
    assert cell in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize("words", [*LISTINGS, *SHOWN])
def test_json_and_json_lines_are_what_they_say(ask, words):
    whole = ask(*words.split(), "--json")
    lines = ask(*words.split(), "-o", "jsonl")

    document = json.loads(whole.out)
    expected = document if isinstance(document, list) else [document]
    assert [json.loads(line) for line in lines.out.splitlines()] == expected
    assert (whole.code, lines.code) == (0, 0)


@pytest.mark.parametrize("words", SHOWN)
def test_one_thing_is_shown_with_what_matters(ask, words):
    done = ask(*words.split())

    assert done.code == 0
    assert SHOWN[words] in done.out
    assert "\x1b" not in done.out


def test_a_drawing_is_drawn(ask):
    out = ask("data", "show", canned.RECORD_ID).out

    assert all(0x2800 <= ord(c) < 0x2900 for c in out.splitlines()[0])
    assert re.split(r"\s{2,}", out.splitlines()[-1]) == ["pace", "0.8750", "speed varies by 31%"]


def test_filters_reach_the_server(ask, script):
    ask("data", "ls", "--label", "a", "--label", "b", "--min-quality", "0.5", "--limit", "7")

    (seen,) = [seen for seen in script.seen if seen.path.endswith("/records")]
    assert seen.query == "label=a&label=b&min_quality=0.5&limit=7"


def test_flags_and_times_reach_the_server(ask, script):
    ask("data", "export", "--without-flag", "off-canvas", "--received-before", "2026-01-02")

    (seen,) = [seen for seen in script.seen if seen.path.endswith("/export")]
    assert seen.query == "without_flag=off-canvas&received_before=2026-01-02T00%3A00%3A00Z"


@pytest.mark.parametrize(
    ("counted", "shown"),
    [
        (RecordCount(records=12345), "12,345\n"),
        (RecordCount(records=20000, exact=False), "at least 20,000\n"),
    ],
)
def test_a_count_says_whether_it_is_exact(ask, script, counted, shown):
    script.on("GET", "/records/count", value(counted))
    done = ask("data", "count", "--label", "circle", "--min-quality", "0.8")

    assert done.out == shown
    (seen,) = [seen for seen in script.seen if seen.path.endswith("/records/count")]
    assert seen.query == "label=circle&min_quality=0.8"


def test_an_export_is_lines_on_stdout_and_the_count_beside_them(ask):
    done = ask("data", "export")

    assert msgspec.json.decode(done.out, type=type(canned.DRAWING)) == canned.DRAWING
    assert done.err == "1 record\n"


def test_a_snapshot_is_made_by_filter_and_rule(ask, script):
    words = "snapshots create letters --origin omniglot --without-flag off-canvas --seed 3"
    done = ask(*words.split(), "--test-contributors", "*-19", "*-20")

    (sent,) = script.bodies("POST", "/snapshots")
    assert sent["filter"]["origins"] == ["omniglot"]
    assert sent["filter"]["without_flags"] == ["off-canvas"]
    assert sent["split"]["test_contributors"] == ["*-19", "*-20"]
    assert sent["split"]["seed"] == 3
    assert sent["split"]["by"] == "contributor"
    assert done.err == "next: volano train --snapshot letters\n"


def test_what_a_snapshot_warns_of_is_told_beside_it(ask, script):
    told = ["Nothing tests: too few contributors."]
    script.on(
        "POST", "/snapshots", value(msgspec.structs.replace(canned.SNAPSHOT, warnings=told), 201)
    )
    done = ask("snapshots", "create", "letters", "--split-by", "record")

    (sent,) = script.bodies("POST", "/snapshots")
    assert sent["split"]["by"] == "record"
    assert done.err.splitlines()[0] == "warning: Nothing tests: too few contributors."


def test_training_takes_the_recipes_own_parameters_and_follows_the_run(ask, script):
    running, finished = value(canned.RUNNING), value(canned.FINISHED)
    script.on("GET", "/runs/run_1", value(canned.QUEUED), running, finished)
    words = "train --snapshot letters --model mine --seconds 60 --learning_rate=0.001 --depth 3"
    done = ask(*words.split(), "--name=x", "--augment=true")

    (sent,) = script.bodies("POST", "/runs")
    assert sent["params"] == {"learning_rate": 0.001, "depth": 3, "name": "x", "augment": True}
    assert (sent["snapshot"], sent["model"], sent["seconds"]) == ("snap_1", "mine", 60.0)
    assert done.code == 0
    assert "finished  100%  3 min 20 s  loss 0.5000  accuracy 0.8000" in done.err
    assert "next: volano versions activate ver_1" in done.err
    assert "0.9412" in done.out


def test_a_detached_training_says_how_to_come_back_to_it(ask, script):
    done = ask("train", "--snapshot", "letters", "--detach")

    assert done.code == 0
    assert "next: volano runs watch run_1\n" in done.err


@pytest.mark.parametrize(
    ("run", "code", "said"),
    [
        (canned.FAILED, 1, "failed: user.data: label 'x' has one record"),
        (canned.LOST, 3, "failed: system.worker_lost: the worker went away"),
    ],
)
def test_the_exit_code_of_a_failed_run_says_whose_turn_it_is(ask, script, run, code, said):
    script.on("GET", "/runs/run_1", value(run))
    done = ask("runs", "watch", "run_1")

    assert done.code == code
    assert said in done.err
    assert "next: volano runs log run_1" in done.err


def test_the_log_of_a_run_is_what_it_printed(ask):
    assert ask("runs", "log", "run_1").out == "epoch 1\nepoch 2\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("runs cancel run_1", "run_1 is cancelled"),
        ("versions activate ver_1", "ver_1 answers on drawing now"),
        ("versions rollback drawing", "ver_1 answers on drawing now"),
        ("shapes add circle", "circle is asked for now"),
        ("datasets create photos", "photos is there"),
        ("datasets rm photos", "photos is removed"),
        ("keys revoke key_2", "key_2 is revoked"),
        ("members add Ada --role developer", "Ada is a member with the role developer"),
        ("members role mem_2 developer", "Ada is developer now"),
        ("members role Ada developer", "Ada is developer now"),
        ("invites revoke inv_1", "inv_1 is revoked"),
        ("data quarantine retry", "3 rows will be read again"),
        (f"jobs requeue {canned.JOB_ID}", "2 jobs will be tried again"),
        ("jobs requeue --all", "2 jobs will be tried again"),
        (f"data quarantine rm {canned.RECORD_ID}", "1 row deleted"),
        ("data quarantine rm --all", "1 row deleted"),
    ],
)
def test_what_was_done_is_confirmed(ask, words, said):
    done = ask(*words.split())

    assert done.code == 0
    assert f"✓ {said}" in done.err


def test_a_retry_names_the_rows_or_means_all(ask, script):
    ask("data", "quarantine", "retry", "a", "b")
    done = ask("data", "quarantine", "retry", "--json")
    assert script.bodies("POST", "/quarantine/retry") == [{"ids": ["a", "b"]}, {"ids": None}]
    assert json.loads(done.out) == {"rows": 3}


@pytest.mark.parametrize("words", [[], [canned.RECORD_ID, "--all"]])
def test_what_is_to_be_deleted_is_named_or_all_but_not_both(ask, script, words):
    done = ask("data", "quarantine", "rm", *words)
    assert done.code == 2
    assert "Give ids, or --all" in done.err
    assert not [seen for seen in script.seen if seen.method == "DELETE"]


@pytest.mark.parametrize(
    "words", [[], [canned.JOB_ID, "--all"], ["--all", "--signature", "x"]], ids=" ".join
)
def test_jobs_to_be_tried_again_are_named_in_one_way(ask, script, words):
    done = ask("jobs", "requeue", *words)
    assert done.code == 2
    assert "Give ids, --signature or --all" in done.err
    assert not [seen for seen in script.seen if seen.method == "POST"]


def test_jobs_that_failed_alike_are_requeued_by_their_signature(ask, script):
    done = ask("jobs", "requeue", "--signature", "e706", "--json")
    assert json.loads(done.out) == {"jobs": 2}
    assert script.bodies("POST", "/jobs/requeue") == [{"ids": None, "signature": "e706"}]


def test_deleted_rows_are_told_as_a_document(ask):
    done = ask("data", "quarantine", "rm", "--all", "--json")
    assert json.loads(done.out) == {"deleted": [canned.RECORD_ID]}


@pytest.mark.parametrize(
    ("words", "secret"), [("keys create ci", "vk_secret"), ("invites create", "vi_code")]
)
def test_a_secret_is_all_that_goes_to_stdout(ask, words, secret):
    done = ask(*words.split())

    assert done.out == f"{secret}\n"
    assert "not shown again" in done.err


@pytest.mark.parametrize(
    "document",
    [
        msgspec.json.encode({"canvas": canned.DRAWING.canvas, "strokes": canned.DRAWING.strokes}),
        msgspec.json.encode(canned.DRAWING),
        msgspec.json.encode([canned.DRAWING]),
        msgspec.json.encode({"input": canned.DRAWING}),
        msgspec.json.encode({"inputs": [canned.DRAWING]}),
        msgspec.json.encode(canned.DRAWING) + b"\n\n" + msgspec.json.encode(canned.DRAWING) + b"\n",
        msgspec.json.encode(canned.DRAWING) + b"\n\n \r\n",
        b"\xef\xbb\xbf" + msgspec.json.encode(canned.DRAWING),
        ("\ufeff" + msgspec.json.encode(canned.DRAWING).decode() + "\r\n").encode("utf-16-le"),
    ],
)
def test_a_drawing_is_recognised_in_any_of_its_documents(ask, script, document, tmp_path: Path):
    file = tmp_path / "drawing.json"
    file.write_bytes(document)

    assert ask("predict", "drawing", str(file)).code == 0
    (sent,) = script.bodies("POST", "/endpoints/drawing/predict")
    first = sent["input"] if "input" in sent else sent["inputs"][0]
    assert first.keys() == {"canvas", "strokes"}


def test_image_files_are_sent_as_they_are(ask, script, folder: Path):
    for name in ("one.jpg", "two.png"):
        (folder / name).write_bytes(b"the bytes of " + name.encode())

    assert ask("predict", "drawing", "one.jpg", "two.png").code == 0
    assert ask("predict", "--endpoint", "drawing", "one.jpg").code == 0

    many, one = script.bodies("POST", "/endpoints/drawing/predict")
    given = [base64.b64decode(one["image"]) for one in many["inputs"]]
    assert given == [b"the bytes of one.jpg", b"the bytes of two.png"]
    assert base64.b64decode(one["input"]["image"]) == b"the bytes of one.jpg"


def test_which_mistakes_and_what_is_logged_reaches_the_server(ask, script):
    ask("versions", "errors", canned.VERSION_ID, "--drawn", "circle", "--taken-for", "猫")
    ask("endpoints", "set", "drawing", "--log", "0.1", "--inputs", "none", "--no-durable")
    ask("feedback", canned.PREDICTION_ID, "--value", "3.5")

    (seen,) = [seen for seen in script.seen if seen.path.endswith("/errors")]
    assert seen.query == "drawn=circle&taken_for=%E7%8C%AB"
    (change,) = script.bodies("PATCH", "/endpoints/drawing")
    assert change == {"log": 0.1, "inputs": "none", "durable": False}
    (told,) = script.bodies("POST", f"/predictions/{canned.PREDICTION_ID}/feedback")
    assert told == {"truth": 3.5}


@pytest.mark.parametrize("share", ["some", "0", "1", "1.5", "-0.1", "nan"])
def test_a_share_that_is_none_is_refused_before_it_is_sent(ask, script, share):
    done = ask("endpoints", "set", "drawing", f"--log={share}")

    assert done.code == 1
    assert "--log cannot be" in done.err
    assert script.seen == []


def test_a_drawing_may_come_by_standard_input(program, script):
    document = msgspec.json.encode(canned.DRAWING)

    assert "90.0%" in program("predict", "drawing", stdin=document, url=script.url).out


def test_standard_input_may_be_named_by_a_hyphen(program, script):
    document = msgspec.json.encode(canned.DRAWING)

    assert "90.0%" in program("predict", "drawing", "-", stdin=document, url=script.url).out


@pytest.mark.parametrize(
    "document", [b"", b"nonsense", b"[]", b"3", b'{"canvas": 3}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_drawing_is_refused_before_it_is_sent(ask, script, document, folder: Path):
    (folder / "drawing.json").write_bytes(document)
    done = ask("predict", "drawing", "drawing.json")

    assert done.code == 1
    assert "error: drawing.json is not a drawing: " in done.err
    assert script.seen == []


def test_a_file_that_is_not_there_is_named(ask):
    done = ask("predict", "drawing", "nowhere.json")

    assert done.code == 1
    assert "error: The file nowhere.json cannot be used: No such file or directory." in done.err


@pytest.mark.parametrize(
    ("error", "code", "following"),
    [
        (Missing(noun="run", id="run_1"), 1, "next:  volano runs ls"),
        (Missing(noun="row in quarantine", id="x"), 1, "next:  volano data quarantine ls"),
        (NotAuthenticated(), 1, "`volano login` keeps a key for commands"),
        (KeyRefused(), 1, "whoever runs the server gets one by starting it: `volano up`"),
        (ArchiveUnreadable(reason="no zip"), 1, "next:  volano data import --help"),
        (EmptySplit(split="test", contributors=1), 1, "next:  volano snapshots create --help"),
        (BadParam(name="rate", value=3, reason="above 1"), 1, "`volano train --help` lists"),
        (RoleTooLow(role="contributor", permission="read", roles="admin"), 1, "Ask an admin"),
        (
            NoEarlierVersion(endpoint="drawing"),
            1,
            "`volano versions ls` lists what can be activated",
        ),
        (Broken(), 3, "request id req_1"),
    ],
)
def test_a_refusal_is_one_block_that_ends_with_what_to_do(ask, script, error, code, following):
    script.on("GET", "/runs/run_1", problem(error))
    done = ask("runs", "show", "run_1")

    assert (code, "") == (done.code, done.out)
    assert done.err.startswith(f"error: {error.message}\n")
    assert following in done.err
    assert "Traceback" not in done.err


def test_login_keeps_the_key_of_a_server_that_accepts_it(program, script):
    done = program("login", script.url, stdin=b"vk_mine\n")

    assert done.code == 0
    assert "vk_mine" not in done.out + done.err
    assert program("whoami").code == 0
    assert script.seen[-1].headers["authorization"] == "Bearer vk_mine"


def test_login_keeps_nothing_where_the_key_is_refused(volano, script):
    script.on("GET", "/whoami", problem(NotAuthenticated()))
    assert volano("login", script.url, "--key", "vk_wrong").code == 1

    volano("whoami", "--url", script.url)
    assert "authorization" not in script.seen[-1].headers


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.004, 0.02, "The last is more accurate: +1.2 points, +0.4 to +2.0 with 95% confidence"),
        (-0.001, 0.03, "Not known which is more accurate: +1.4 points, -0.1 to +3.0 with 95%"),
        (-0.03, -0.01, "The first is more accurate: -2.0 points, -3.0 to -1.0 with 95%"),
    ],
)
def test_a_comparison_says_whether_one_is_better(low: float, high: float, said: str):
    interval = Interval(low=low, high=high)
    middle = (low + high) / 2
    found = Difference(n=1, difference=middle, interval=interval, share_better=0.5)
    assert versions.better(found).startswith(said)
    assert versions.better(found).endswith("on 1 record of both tests.")


def test_a_comparison_without_answers_of_records_is_the_table_alone(ask, script):
    missing = problem(Missing(noun="file of ver_3", id="test_outputs.parquet"))
    script.on("GET", f"/versions/ver_3/against/{canned.VERSION_ID}", missing)
    done = ask("versions", "compare", canned.VERSION_ID, "ver_3")
    assert (done.code, done.err) == (0, "")
    assert "accurate" not in done.out


def test_versions_that_share_no_test_are_not_called_better_or_worse(ask, script):
    nothing = problem(NothingShared(first=canned.VERSION_ID, second="ver_2"))
    script.on("GET", f"/versions/ver_2/against/{canned.VERSION_ID}", nothing)
    done = ask("versions", "compare", canned.VERSION_ID, "ver_2")
    assert done.code == 0
    assert "warning: Nothing says which is more accurate" in done.err
    assert "more accurate" not in done.out


def test_an_answer_comes_with_the_command_that_explains_it(ask):
    told = ask("predict", "drawing", canned.RECORD_ID)
    assert f"next: volano explain {canned.PREDICTION_ID}" in told.err
    document = ask("predict", "drawing", canned.RECORD_ID, "--json")
    assert document.err == ""


def test_nothing_to_try_again_is_said_without_a_tick(ask, script):
    script.on("POST", "/jobs/requeue", value(Requeued(jobs=0)))
    script.on("POST", "/quarantine/retry", value(Retried(rows=0)))
    assert ask("jobs", "requeue", "--all").err == "No job is dead.\n"
    assert ask("data", "quarantine", "retry").err == "Nothing is in quarantine.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["members", "add", "Ada"], "error: --role is needed."),
        (["snapshots", "show"], "error: ID is needed."),
        (["data", "ls", "--limit"], "error: --limit needs a value."),
        (["members", "role", "Ada"], "error: ROLE is needed."),
    ],
)
def test_what_is_left_out_is_named_as_it_is_typed(ask, words, said):
    done = ask(*words)
    assert done.code == 2
    assert said in done.err


def test_the_interval_of_an_accuracy_stands_beside_it():
    ends = {"accuracy_interval_low": 0.9, "accuracy_interval_high": 0.96}
    drawn = figures({"accuracy": 0.9412, **ends, "accuracy_interval_level": 0.95, "n": 80}, Look())
    assert drawn.splitlines() == [
        "accuracy  0.9412 (0.9000 to 0.9600 with 95% confidence)",
        "n         80",
    ]


def test_a_name_without_its_kind_is_told_which_kinds_have_names(ask, script):
    done = ask("explain", "shapes")

    assert done.code == 1
    assert "'shapes' is not the id of a prediction, version, run, snapshot or record." in done.err
    assert "`volano explain endpoint shapes`" in done.err
    assert script.seen == []


@pytest.mark.parametrize(
    ("at", "said"),
    [("body.name", "error: name: too long.\n"), ("body", "error: too long.\n")],
)
def test_a_refused_value_is_said_without_the_words_of_the_protocol(ask, script, at, said):
    script.on("POST", "/shapes", problem(InvalidValues(at=at, reason="too long")))

    done = ask("shapes", "add", "circle")

    assert (done.code, done.err) == (1, said)
    told = ask("shapes", "add", "circle", "--json").err
    assert json.loads(told)["facts"] == {"at": at, "reason": "too long"}


@pytest.mark.parametrize("words", ["runs show", "keys revoke", "explain endpoint"])
def test_an_empty_word_is_refused_as_one(ask, script, words):
    done = ask(*words.split(), "")

    assert done.code == 1
    assert "error: " in done.err
    assert [seen for seen in script.seen if seen.path.count("//")] == []


def test_a_limit_may_be_as_large_as_somebody_likes(ask):
    assert ask("data", "ls", "--limit", "9" * 30).code == 0


@pytest.mark.parametrize("number", ["nan", "inf", "1e999"])
@pytest.mark.parametrize(
    "line", ["snapshots create all --min-quality", "train --snapshot a --seconds"]
)
def test_a_number_that_is_none_is_refused_and_not_left_out(ask, script, line, number):
    done = ask(*line.split(), number)

    assert done.code == 2
    assert "It must be a finite number." in done.err
    assert script.seen == []


@pytest.mark.parametrize("line", ["up --once --home", "doctor --home", "train --local --data"])
def test_an_empty_path_is_not_the_folder_that_one_is_in(ask, folder: Path, line):
    done = ask(*line.split(), "")

    assert done.code == 2
    assert "A path is empty. Has a variable of the shell no value?" in done.err
    assert list(folder.iterdir()) == []


def test_a_dataset_has_the_fields_that_are_given(ask, script):
    ask("datasets", "create", "photos")
    ask("datasets", "create", "photos", "--field", "photo=image", "--field", "caption=text")
    first, second = script.bodies("POST", "/datasets")
    assert first["fields"] == {"image": "image"}
    assert second["fields"] == {"photo": "image", "caption": "text"}


def test_the_content_of_a_record_is_written_to_a_file(ask, tmp_path):
    done = ask("data", "fetch", canned.PHOTO.id, str(tmp_path / "a.png"))
    assert done.code == 0
    assert (tmp_path / "a.png").read_bytes() == b"pixels"


def test_records_of_a_dataset_are_asked_for(ask, script):
    ask("data", "ls", "--dataset", "photos", "--synthetic", "without", "--given-split", "train")
    asked = script.seen[-1].query
    assert "dataset=photos" in asked
    assert "synthetic=false" in asked
    assert "split=train" in asked
