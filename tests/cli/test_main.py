"""Tests of volano.cli.main: every command explains itself, and every misuse is answered."""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from cyclopts import App, CoercionError

from volano.cli.global_options import split
from volano.cli.main import COMMANDS, app


def commands() -> list[list[str]]:
    """List the words of every command."""
    names = [name for section in COMMANDS.values() for name in section]
    return [[name, *words] for name in names for words in below(app[name])]


def below(node: App) -> list[list[str]]:
    """List the words of every command in a group; none for what is a command itself."""
    verbs = [verb for verb in node if not verb.startswith("-")]
    return [[verb, *words] for verb in verbs for words in below(node[verb])] or [[]]


def examples(words: list[str]) -> list[list[str]]:
    """List the command lines in the example of a command, up to where another program goes on."""
    node = app
    for word in words:
        node = node[word]
    found = []
    for line in (node.default_command.__doc__ or "").partition("Example:\n")[2].splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
        lexer.whitespace_split = True
        tokens = list(lexer)
        if "volano" in tokens:
            after = tokens[tokens.index("volano") + 1 :]
            found.append(list(itertools.takewhile(lambda token: token not in "|>", after)))
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_explains_itself_with_an_example(volano, words):
    done = volano(*words, "--help")

    assert (done.code, done.err) == (0, "")
    assert f"Usage: volano {' '.join(words)} " in done.out
    if words == ["settings"]:
        assert "VOLANO_PORT=9000 volano up" in done.out
    else:
        shown = done.out.partition("Example:\n")[2]
        assert re.search(rf"volano {' '.join(words)}\b", shown), "the example shows this command"
    assert all(len(line) <= 100 for line in done.out.splitlines())


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_example_is_a_valid_command_line(words):
    lines = examples(words)

    assert lines
    for line in lines:
        command, bound, _ = app.parse_args(split(line)[1], print_error=False, exit_on_error=False)
        assert bound is not None
        assert callable(command)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_whole_number_is_never_rounded(words):
    node = app
    for word in words:
        node = node[word]
    options = node.assemble_argument_collection()
    needed = ["x" for one in options if one.required and one.field_info.is_positional]

    for one in options:
        if one.hint is int:
            line = [*words, *needed, f"{one.name}=1.5"]
            with pytest.raises(CoercionError):
                app.parse_args(line, print_error=False, exit_on_error=False)


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
        (["data", "lss"], 'Unknown command "lss". Did you mean "ls"?', "volano data --help"),
        (["data", "ls", "--nope"], "Unknown option: --nope.", "volano data ls --help"),
        (["data", "ls", "--limt=3"], "Did you mean --limit?", "volano data ls --help"),
        (["data", "ls", "--limit", "x"], "'x': it is not a whole number", "volano data ls --help"),
        (["data", "ls", "--limit=1.5"], "'1.5': it is not a whole number", "volano data ls --help"),
        (
            ["data", "ls", "--limit", "-1"],
            'value "-1" for --limit. It must',
            "volano data ls --help",
        ),
        (
            ["data", "ls", "--received-before", "noon"],
            "--received-before cannot be 'noon': it is not a time, such as 2026-01-31",
            "volano data ls --help",
        ),
        (["data", "ls", "extra"], "This command takes no 'extra'.", "volano data ls --help"),
        (["runs", "show"], "ID is needed.", "volano runs show --help"),
        (["members", "add", "Ada"], "--role is needed.", "volano members add --help"),
        (["train", "--seconds=x"], "--seconds cannot be 'x': it is not a num", "volano train -"),
        (["versions", "compare", "v"], "two versions or more", "volano versions compare --help"),
        (["-o", "xml", "data", "ls"], "'xml' is no format", "volano --help"),
        (["data", "ls", "--url"], "--url needs a value.", "volano data ls --help"),
    ],
)
def test_a_misused_command_says_what_is_wrong_and_where_help_is(volano, words, said, following):
    done = volano(*words)

    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert f"\nnext: {following}" in done.err
    assert "Traceback" not in done.err


def test_without_a_server_the_next_command_is_volano_up(program):
    done = program("runs", "ls", "--url", "http://127.0.0.1:9")

    assert done.code == 3
    assert "error: No Volano server answers at http://127.0.0.1:9: connection refused." in done.err
    assert "`volano up`" in done.err


def test_errors_are_documents_where_documents_are_asked_for(volano):
    done = volano("runs", "ls", "--url", "http://127.0.0.1:9", "--json")

    assert json.loads(done.err)["code"] == "server-unreachable"


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
        assert 'Invalid value "-1" for --limit. It must be 0 or more.' in done.err


def test_a_tilde_behind_an_equals_sign_is_the_users_folder(volano, folder):
    os.environ["HOME"] = str(folder)

    assert volano("migrate", "--home=~/x").code == 0
    assert (folder / "x" / "volano.db").is_file()
    assert str(folder / "data") in volano("train", "--local", "--data=~/data").err
    (folder / "snapshot.json").write_text("{}")
    told = volano("train", "--local", "--data=.", "--recipe=~/model.py").err
    assert str(folder / "model.py") in told
    words = ["data", "import", "--format=omniglot", "~/x.zip", "--url=http://localhost:1"]
    assert str(folder / "x.zip") in volano(*words).err
    assert "~nobody-at-all" in volano("train", "--local", "--data=~nobody-at-all/x").err


def test_the_exit_codes_are_told(volano):
    assert "Exit codes:\n  0 " in volano("--help").out
