"""Tests of the program among other programs: streams that are shut, full, or of another kind."""

import os
import pty
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cli import canned
from tests.cli.conftest import PROGRAM, Done
from tests.sdk.scripted import Script, page, problem
from volano.schemas.errors import Missing

pytestmark = pytest.mark.slow

Shell = Callable[..., Done]


@pytest.fixture
def shell(environ: dict[str, str], folder: Path, script: Script) -> Shell:
    """Runs a line of shell in which `volano` is the program, with a server that has something."""

    def run(line: str, **variables: str) -> Done:
        line = f'volano() {{ {shlex.join(PROGRAM)} "$@"; }}; {line}'
        given = environ | {"VOLANO_URL": script.url, "VOLANO_KEY": "vk_test"} | variables
        done = subprocess.run(["bash", "-c", line], capture_output=True, env=given, cwd=folder)
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert b"Exception ignored" not in done.stderr, done.stderr.decode()
        return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    return run


def test_a_closed_input_is_an_empty_one(shell):
    done = shell("volano predict drawing <&-")

    assert done.code == 1
    assert "error: standard input is not a drawing: there is nothing in it." in done.err


@pytest.mark.parametrize("command", ["predict drawing", "login"])
def test_an_input_that_cannot_be_read_is_said_in_words(shell, command):
    done = shell(f"volano {command} 0>file")

    assert done.code == 1
    assert "error: The file standard input cannot be used: Bad file descriptor." in done.err


@pytest.mark.parametrize("command", ["data ls", "data ls --json", "data export", "--help"])
def test_a_result_that_cannot_be_written_is_a_failure_in_one_line(shell, command):
    full = shell(f"volano {command} >/dev/full")
    closed = shell(f"volano {command} >&-")

    assert (full.code, closed.code) == (1, 1)
    assert "The output cannot be written: No space left on device." in full.err
    assert "The output cannot be written: Bad file descriptor." in closed.err
    assert len(full.err.splitlines()) <= 2


def test_what_has_no_result_needs_no_output(shell):
    done = shell("volano versions activate ver_1 >&-")

    assert done.code == 0
    assert "✓ ver_1 answers on drawing now" in done.err


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_where_nothing_can_be_said_the_exit_code_says_it(shell, where):
    assert "circle" in shell(f"volano shapes ls {where}").out
    assert shell(f"volano shapes ls {where}").code == 0
    assert shell(f"volano versions activate ver_1 {where}").code == 0
    assert shell(f"volano runs watch run_1 {where}").code == 0
    assert shell(f"volano data lss {where}").code == 2
    assert shell(f"volano predict drawing nowhere.json {where}").code == 1


def test_a_reader_that_has_seen_enough_is_no_failure(shell, script):
    script.on("GET", "/records", page(*[canned.RECORD] * 5_000))

    for options in ("", "--json", "-o jsonl"):
        done = shell(f"set -o pipefail; volano data ls --limit 0 {options} | head -1")
        assert done.code == 0
        assert done.out.count("\n") == 1
        assert done.err == ""


def test_a_listener_that_has_heard_enough_ends_nothing(shell):
    done = shell("volano runs watch run_1 2> >(head -c 0; exec 0<&-)")

    assert done.code == 0
    assert "finished" in done.out


def test_a_closed_stream_gives_its_number_to_no_file(shell, folder):
    shell("volano migrate --home home >&- 2>&- <&-")
    shell("volano doctor --home home >&- 2>&- <&-")

    assert (folder / "home" / "volano.db").read_bytes()[:15] == b"SQLite format 3"


def test_a_server_starts_whatever_is_closed(shell, folder):
    for closed in ("<&- >&-", "<&- >&- 2>&-"):
        done = shell(f"volano up --empty --once --home home --port 0 {closed}")
        assert done.code == 0
    kept = (folder / "home" / "client.json").read_text()
    assert "vol_" in kept


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp437"])
def test_characters_that_an_encoding_lacks_are_replaced(shell, script, encoding):
    record = msgspec.structs.replace(canned.RECORD, label="круг", quality=None)
    script.on("GET", "/records", page(record))
    given = {"PYTHONIOENCODING": encoding}

    table = shell("volano data ls", **given)
    assert table.code == 0
    assert "????" in table.out
    assert shell("volano versions activate ver_1", **given).code == 0
    assert msgspec.json.decode(shell("volano data ls --json", **given).out)[0]["label"] == "круг"


def test_an_export_is_utf_8_whatever_the_terminal_is(shell, script, environ, folder):
    plain = shell("volano data export").out

    assert shell("volano data export", PYTHONIOENCODING="latin-1").out == plain
    assert shell("volano data export", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0").out == (
        plain
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ALL_PROXY", "socks://me:hunter2@x"),
        ("ALL_PROXY", "socks5://me:hunter2@x"),
        ("HTTP_PROXY", "http://me:hunter2@[x"),
        ("HTTP_PROXY", "http://me:hunter2@x:y"),
        ("SSL_CERT_FILE", "/nowhere/hunter2"),
    ],
)
def test_a_network_that_is_set_up_wrong_is_said_in_words(shell, variable, text):
    given = {"VOLANO_URL": "https://volano.invalid", variable: text}
    if variable == "HTTP_PROXY":
        given["VOLANO_URL"] = "http://volano.invalid"
    done = shell("volano data ls", **given)

    assert done.code in (1, 3)
    assert done.err.startswith("error: ")
    assert "hunter2" not in done.err.replace("/nowhere/hunter2", "")


def test_a_proxy_is_not_asked_for_this_machine(shell):
    assert shell("volano data ls", ALL_PROXY="socks://x").code == 0


@pytest.mark.parametrize(
    "line",
    [
        "volano runs show $'\\xff'",
        "volano data ls --label $'\\xff'",
        "volano shapes add $'\\xff'",
        "volano login http://$'\\xff'",
        "volano predict drawing $'\\xff.json'",
        "volano data import --format omniglot $'\\xff.zip'",
        "volano $'\\xff'",
        "volano data ls $'\\xff'",
        "volano data ls --limit $'\\xff'",
    ],
)
def test_words_that_are_no_text_are_refused_in_words(shell, script, line):
    script.on("GET", "/runs/%FF", problem(Missing(noun="run", id="\ufffd")))
    for options in ("", " --json"):
        done = shell(line + options)

        assert done.code in (1, 2)
        assert len(done.err.splitlines()) <= 3


def test_a_folder_that_has_been_removed_is_no_obstacle(shell):
    assert "circle" in shell("mkdir gone; cd gone; rmdir ../gone; volano shapes ls").out


def on_terminal(words: list[str], environ: dict[str, str]) -> str:
    """What a command shows on a terminal of its own."""
    screen, keyboard = pty.openpty()
    subprocess.run([*PROGRAM, *words], stdout=keyboard, stderr=keyboard, env=environ, check=True)
    os.close(keyboard)
    shown = os.read(screen, 50_000).decode()
    os.close(screen)
    return shown


@pytest.mark.parametrize(
    ("variables", "obeyed"),
    [
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(script, environ, variables, obeyed):
    shown = on_terminal(["shapes", "ls", "--url", script.url], environ | variables)

    assert "circle" in shown
    assert ("\x1b[" in shown) == obeyed


@pytest.mark.parametrize(("term", "redrawn"), [("xterm", True), ("dumb", False), ("", False)])
def test_progress_is_redrawn_where_the_terminal_obeys(script, environ, term, redrawn):
    words = ["runs", "watch", "run_1", "--url", script.url]
    shown = on_terminal(words, environ | {"TERM": term, "NO_COLOR": "1"})

    assert "finished" in shown
    assert ("\x1b[" in shown) == redrawn


@pytest.mark.parametrize("columns", ["1", "20", "0", "-5", "wide", ""])
def test_a_terminal_of_any_width_shows_every_page(script, environ, columns):
    given = environ | {"TERM": "dumb", "COLUMNS": columns}

    assert "Usage: volano" in on_terminal(["--help"], given)
    assert "Usage: volano data ls" in on_terminal(["data", "ls", "--help"], given)
    for words in ("data ls", "shapes ls", "versions show ver_1", "status", "explain ver_1"):
        assert on_terminal([*words.split(), "--url", script.url], given)
