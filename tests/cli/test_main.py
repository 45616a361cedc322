"""Tests of volano.cli.main: every command explains itself, and every misuse is answered."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import PROGRAM
from volano.cli.main import COMMANDS, app

HOST = {"up", "migrate", "doctor", "settings"}


def commands() -> list[list[str]]:
    """The words of every command that talks HTTP."""
    found = []
    for name in [name for section in COMMANDS.values() for name in section if name not in HOST]:
        node = app[name]
        verbs = [verb for verb in node if not verb.startswith("-")]
        found += [[name, verb] for verb in verbs] or [[name]]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_explains_itself_with_an_example(volano, words):
    done = volano(*words, "--help")

    assert (done.code, done.err) == (0, "")
    assert f"Usage: volano {' '.join(words)} " in done.out
    example = done.out.partition("Example:\n")[2]
    assert re.search(rf"volano {' '.join(words)}\b", example), "the example shows this command"
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_the_examples_are_valid_command_lines():
    for words in commands():
        node = app
        for word in words:
            node = node[word]
        example = (node.default_command.__doc__ or "").partition("Example:\n")[2]
        for line in re.findall(r"volano ([^|>\n]+)", example):
            tokens = [word.strip("'\"") for word in line.split() if not word.startswith("<")]
            if not {"-o", "--json"} & set(tokens) and '"' not in line:
                app.parse_args(tokens, print_error=False, exit_on_error=False)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]], ids=str)
def test_the_program_lists_its_commands(program, words):
    done = program(*words)

    assert done.code == 0
    for section in COMMANDS.values():
        for name, (_, line) in section.items():
            assert re.search(rf"^  {name} +{re.escape(line)}$", done.out, re.MULTILINE)


def test_a_noun_alone_lists_its_verbs(volano):
    done = volano("snapshots")

    assert done.code == 0
    assert "create  Freeze records into a snapshot, divided by contributor." in done.out


def test_the_version_is_the_packages(volano):
    import volano as package

    assert volano("--version").out == f"volano {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said", "following"),
    [
        (["dta", "ls"], "Unknown command 'dta'. Did you mean 'data'?", "volano --help"),
        (["data", "lss"], "Unknown command 'lss'. Did you mean 'ls'?", "volano data --help"),
        (["data", "ls", "--nope"], "Unknown option '--nope'.", "volano data ls --help"),
        (["data", "ls", "--limit", "x"], "'x' is not a whole number", "volano data ls --help"),
        (["data", "ls", "--limit", "-1"], "--limit cannot be '-1'. It is", "volano data ls --help"),
        (["data", "ls", "extra"], "This command takes no 'extra'.", "volano data ls --help"),
        (["runs", "show"], "ID is missing.", "volano runs show --help"),
        (["members", "add", "Ada"], "--role is missing.", "volano members add --help"),
        (["versions", "compare", "v"], "two versions or more", "volano versions compare --help"),
        (["-o", "xml", "data", "ls"], "'xml' is no format", "volano --help"),
        (["data", "ls", "--url"], "--url needs a value.", "volano data ls --help"),
    ],
)
def test_a_misused_command_says_what_is_wrong_and_where_help_is(volano, words, said, following):
    done = volano(*words)

    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.endswith(f"next: {following}\n")
    assert "Traceback" not in done.err


def test_without_a_server_the_next_command_is_volano_up(program):
    done = program("runs", "ls", "--url", "http://127.0.0.1:9")

    assert done.code == 3
    assert "error: No Volano server answers at http://127.0.0.1:9: connection refused." in done.err
    assert "`volano up`" in done.err


def test_errors_are_documents_where_documents_are_asked_for(volano):
    done = volano("runs", "ls", "--url", "http://127.0.0.1:9", "--json")

    assert json.loads(done.err)["code"] == "server-unreachable"


def test_a_reader_that_has_seen_enough_is_no_failure(script, environ):
    words = [*PROGRAM, "data", "export", "--url", script.url]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
    command.stdout.close()

    assert b"Error" not in command.stderr.read()
    assert command.wait() == 0
    command.stderr.close()


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(script, environ, no_color, coloured):
    told, tell = pty.openpty()
    given = environ | {"NO_COLOR": no_color, "TERM": "xterm"}
    words = [*PROGRAM, "shapes", "ls", "--url", script.url]
    subprocess.run(words, stdout=tell, stderr=subprocess.DEVNULL, env=given, check=True)
    os.close(tell)
    shown = os.read(told, 10_000).decode()
    os.close(told)

    assert "circle" in shown
    assert coloured == ("\x1b[" in shown)


def test_help_loads_neither_rich_nor_an_http_library(environ):
    code = (
        "import sys; from volano.cli.main import run; run(['--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}

    heavy = {"rich", "httpx", "msgspec", "numpy", "sqlalchemy", "starlette", "torch"}
    assert heavy & loaded == set()


def test_every_listing_refuses_a_negative_limit(volano):
    listings = [words for words in commands() if words[-1] == "ls"]
    assert len(listings) > 8
    for words in listings:
        done = volano(*words, "--limit", "-1")
        assert (done.code, done.out) == (2, "")
        assert "--limit cannot be '-1'. It is 0 or more." in done.err


def test_the_exit_codes_are_told(volano):
    assert "Exit codes:\n  0 " in volano("--help").out
