"""Tests of `volano login`: a good key is kept, a bad one changes nothing, and none is shown."""

import fcntl
import json
import os
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Done, Volano
from tests.sdk.scripted import Script

SECRET = "vol_0123456789ab_" + "S3cret" * 7 + "x_sum123"

Login = Callable[[bytes], Done]


@pytest.fixture
def kept(environ: dict[str, str], script: Script) -> Path:
    """The configuration of a user who has logged in before."""
    path = Path(environ["XDG_CONFIG_HOME"], "volano", "config.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"url": script.url, "keys": {script.url: "vol_kept"}}))
    return path


def key_in(path: Path) -> str:
    document = json.loads(path.read_text())
    return str(document["keys"][document["url"]])


def at_the_prompt(script: Script, environ: dict[str, str], folder: Path, typed: bytes) -> Done:
    """Run `volano login` on a terminal of its own and type something when it asks."""
    screen, keyboard = os.openpty()
    with subprocess.Popen(
        [*PROGRAM, "login", script.url],
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        env=environ,
        cwd=folder,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(keyboard)
        shown = b""
        while b"Key for" not in shown:
            shown += os.read(screen, 1_000)
        os.write(screen, typed)
        while chunk := read_until_closed(screen):
            shown += chunk
    os.close(screen)
    return Done(code=process.returncode, out="", err=shown.decode())


def read_until_closed(screen: int) -> bytes:
    try:
        return os.read(screen, 10_000)
    except OSError:  # how Linux says that nobody writes any more
        return b""


@pytest.mark.parametrize(
    "typed",
    [
        SECRET.encode() + b"\n",
        b"  " + SECRET.encode() + b"\r\n\n",
        b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n",
        ("\ufeff" + SECRET + "\r\n").encode("utf-16-le"),
        SECRET.encode() + b"\xc2\xa0",
        SECRET.encode() + b"\nmade for the build server\n",
    ],
    ids=["line", "spaces", "byte order mark", "UTF-16", "hard space", "two lines"],
)
def test_a_key_from_a_file_is_kept_without_what_is_around_it(kept, script, environ, folder, typed):
    command = [*PROGRAM, "login", script.url]
    done = subprocess.run(command, input=typed, capture_output=True, env=environ, cwd=folder)

    assert done.returncode == 0, done.stderr
    assert key_in(kept) == SECRET
    assert script.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (b"", "No key was given for"),
        (b"\n", "No key was given for"),
        (SECRET[:9].encode() + "…".encode(), "its character number 10 is '…', which no key has"),
        (b"\xff\xfe\xfa" + SECRET.encode(), "which no key has"),
        (SECRET.replace("S3", "S 3").encode(), "which no key has"),
    ],
    ids=["nothing", "an empty line", "an ellipsis", "no text", "a space"],
)
def test_what_is_no_key_changes_nothing_and_is_not_repeated(
    kept, script, environ, folder, typed, said
):
    command = [*PROGRAM, "login", script.url]
    done = subprocess.run(command, input=typed, capture_output=True, env=environ, cwd=folder)

    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert said in told
    assert "Traceback" not in told
    assert "S3cret" not in told
    assert key_in(kept) == "vol_kept"
    assert script.seen == []


@pytest.mark.parametrize("typed", [b"\n", b"\x04"], ids=["Enter", "Ctrl-D"])
def test_nothing_typed_at_the_prompt_changes_nothing(kept, script, environ, folder, typed):
    done = at_the_prompt(script, environ, folder, typed)

    assert done.code == 1
    assert "No key was given for" in done.err
    assert "Traceback" not in done.err
    assert key_in(kept) == "vol_kept"


def test_a_key_typed_at_the_prompt_is_kept_and_not_shown(kept, script, environ, folder):
    done = at_the_prompt(script, environ, folder, SECRET.encode() + b"\n")

    assert done.code == 0, done.err
    assert "S3cret" not in done.err
    assert key_in(kept) == SECRET


def test_ctrl_c_at_the_prompt_ends_without_a_word(kept, script, environ, folder):
    done = at_the_prompt(script, environ, folder, b"\x03")

    assert done.code == 130
    assert "Traceback" not in done.err
    assert key_in(kept) == "vol_kept"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["login", SECRET], 1),
        (["login", f"http://me:{SECRET}@localhost:1"], 1),
        (["whoami", SECRET], 2),
        (["whoami", f"--keyy={SECRET}"], 2),
        (["whoami", "--url", "http://localhost:1", "--key", SECRET + "…"], 1),
        (["whoami", "--url", "http://localhost:1", "--key", SECRET], 3),
        (["whoami", "--url", SECRET], 1),
        (["predict", "shapes", SECRET], 1),
        (["explain", SECRET], 1),
        ([SECRET], 2),
    ],
)
@pytest.mark.parametrize("format", ["table", "json"])
def test_a_key_in_the_wrong_place_is_not_repeated(volano: Volano, words, code, format):
    done = volano(*words, "-o", format)

    assert done.code == code
    assert "S3cret" not in done.out + done.err


def test_a_key_of_the_environment_is_cleaned_and_not_repeated(volano, script, folder):
    os.environ["VOLANO_URL"] = script.url
    os.environ["VOLANO_KEY"] = f"\ufeff{SECRET}\n"
    assert volano("whoami").code == 0
    assert script.seen[-1].headers["authorization"] == f"Bearer {SECRET}"

    os.environ["VOLANO_KEY"] = SECRET + "\x1b[2J…"
    done = volano("whoami")
    assert done.code == 1
    assert "its character number 68 is" in done.err
    assert "S3cret" not in done.err


def test_a_configuration_that_cannot_be_written_is_said_in_words(script, environ, folder):
    blocked = folder / "file"
    blocked.write_text("")
    given = environ | {"XDG_CONFIG_HOME": str(blocked)}
    command = [*PROGRAM, "login", script.url, "--key", SECRET]
    done = subprocess.run(command, capture_output=True, env=given, cwd=folder, text=True)

    assert done.returncode == 1
    assert "config.json cannot be " in done.stderr
    assert "Traceback" not in done.stderr
    assert "S3cret" not in done.stderr
