"""Tests of volano.cli.local_server: what is said where one cannot start, and what it is called."""

import json
import socket

import pytest

from volano.cli.local_server import address


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:80"),
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("10.0.0.7", "http://10.0.0.7:80"),
        ("annotate.example", "http://annotate.example:80"),
    ],
)
def test_a_server_is_called_by_a_name_that_reaches_it(host: str, url: str):
    assert url == address(host, 80)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "99999"], "VOLANO_PORT cannot be 99999: it is more than 65535"),
        (["--port", "-1"], "VOLANO_PORT cannot be -1: it is not 0 or more"),
        (["--processes", "0"], "VOLANO_PROCESSES cannot be 0: it is not 1 or more"),
        (["--home", "taken"], "taken cannot be used: File exists"),
        (["--home", "taken/below"], "taken/below cannot be used: Not a directory"),
    ],
)
def test_a_server_that_cannot_be_is_refused_before_it_starts(volano, folder, words, said):
    (folder / "taken").write_text("")

    done = volano("up", *words)

    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert [path.name for path in folder.iterdir()] == ["taken"]


def test_a_port_that_is_taken_is_said_in_words(program):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = program("up", "--empty", "--once", "--port", str(port))

    assert done.code == 3
    assert f"error: The server cannot listen on 127.0.0.1:{port}: Address already" in done.err
    assert "give another --port" in done.err
    assert "Traceback" not in done.err


def test_migrating_names_the_database_without_its_password(volano, folder):
    done = volano("migrate", "--home", "fresh")

    assert done.code == 0
    assert f"sqlite:///{folder}/fresh/volano.db is up to date" in done.err
    again = volano("migrate", "--home", "fresh")
    assert done.err == again.err


def test_the_settings_are_listed_with_their_defaults(volano):
    done = volano("settings")

    assert done.code == 0
    assert "VOLANO_PORT" in done.out
    assert "8000" in done.out


def test_the_doctor_looks_at_what_is_stored(volano, folder):
    assert volano("migrate", "--home", "fresh").code == 0

    done = volano("doctor", "--home", "fresh")
    assert done.code == 0
    assert "sound" in done.out
    told = volano("doctor", "--home", "fresh", "--fix", "-o", "json")
    assert {"healthy": True, "fixed": True, "orphans": {"blobs": 0, "bytes": 0}}.items() <= (
        json.loads(told.out).items()
    )
