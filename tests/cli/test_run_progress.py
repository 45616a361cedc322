"""Tests of volano.cli.run_progress: a run as lines, and leaving it without stopping it."""

import json
import signal
import subprocess
import time

import msgspec

from tests.cli import canned
from tests.cli.conftest import PROGRAM
from tests.sdk.scripted import value
from volano.cli.render import Ink
from volano.cli.run_progress import Moment, frame
from volano.schemas.registry import Progress

CURVES = {"peak_mb": [500.0], "loss": [2.0, 1.0, 0.5], "accuracy": [0.1, 0.5, 0.9]}


def test_a_frame_says_all_in_its_first_line_and_draws_the_curves_below():
    moment = Moment("running", Progress(done=3, total=12, note="epoch 3"), 75.0)
    head, bar, *curves = frame(moment, CURVES, Ink())

    assert head == "running  25%  epoch 3  1 min 15 s  loss 0.5000  accuracy 0.9000  peak_mb 500"
    assert bar.strip() == "██████████"
    assert curves == ["loss      █▃▁", "accuracy  ▁▅█", "peak_mb   ▁"]


def test_a_run_that_has_not_said_how_far_it_is_has_an_empty_bar():
    head, bar = frame(Moment("queued", Progress(), 0.5), {}, Ink())

    assert (head, bar.strip()) == ("queued  0.5 s", "")


def test_a_run_that_is_over_is_in_no_phase_any_more(ask, script):
    over = msgspec.structs.replace(
        canned.FINISHED, progress=Progress(done=12, total=12, note="testing")
    )
    script.on("GET", "/runs/run_1", value(over))

    assert "finished  100%  3 min 20 s" in ask("runs", "watch", "run_1").err


def test_json_lines_are_the_run_each_time_that_it_has_changed(ask, script):
    states = (canned.QUEUED, canned.RUNNING, canned.FINISHED)
    script.on("GET", "/runs/run_1", *(value(run) for run in states))

    lines = ask("runs", "watch", "run_1", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["queued", "running", "finished"]


def test_ctrl_c_leaves_the_run_running_and_says_how_to_come_back(script, environ):
    script.on("GET", "/runs/run_1", value(canned.RUNNING))
    command = subprocess.Popen(
        [*PROGRAM, "runs", "watch", "run_1", "--url", script.url],
        stderr=subprocess.PIPE,
        env=environ,
        text=True,
    )
    until = time.monotonic() + 30
    while len(script.seen) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=30)

    assert command.returncode == 130
    assert "run_1 is still running." in said
    assert "next: volano runs watch run_1\n      volano runs cancel run_1\n" in said
    assert "cancel" not in "".join(seen.path for seen in script.seen)
