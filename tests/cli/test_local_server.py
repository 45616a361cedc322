"""Tests of volano.cli.local_server: what is said where one cannot start, and what it is called."""

import asyncio
import contextlib
import json
import os
import socket
import sqlite3

import pytest

from volano.cli.local_server import address
from volano.migrations import migrate


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
    assert address(host, 80) == url


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


def test_a_server_elsewhere_says_how_commands_find_it_and_how_it_goes_on(program, folder):
    done = program("up", "--empty", "--once", "--port", "0", "--home", "else where")

    assert done.code == 0
    assert f"export VOLANO_HOME='{folder}/else where'" in done.err
    assert done.err.endswith("next: volano up --home 'else where'\n")
    here = program("up", "--empty", "--once", "--port", "0")
    assert "VOLANO_HOME" not in here.err


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


def test_the_doctor_neither_needs_nor_makes_the_secret(volano, folder):
    assert volano("migrate", "--home", "fresh").code == 0
    secret = folder / "fresh" / "secret"
    assert volano("doctor", "--home", "fresh").code == 0
    assert not secret.exists()
    secret.write_text("short")

    assert volano("doctor", "--home", "fresh").code == 0
    assert secret.read_text() == "short"


def test_a_database_that_cannot_be_opened_says_where_to_look(volano, folder):
    (folder / "home" / "volano.db").mkdir(parents=True)

    done = volano("migrate", "--home", "home")

    assert done.code == 3
    assert "cannot be opened for writing: unable to open database file." in done.err
    assert "mounted read-only" in done.err


@pytest.mark.parametrize("home", ["empty", "missing"])
@pytest.mark.parametrize("db", ["", "postgresql://localhost:1/volano"])
def test_the_doctor_finds_no_server_where_none_has_run_and_leaves_nothing(volano, folder, home, db):
    (folder / "empty").mkdir()
    if db:
        os.environ["VOLANO_DB"] = db

    done = volano("doctor", "--home", home)

    assert (done.code, done.out) == (1, "")
    assert f"error: No server has run in {folder / home}." in done.err
    assert [path.name for path in folder.rglob("*")] == ["empty"]


def test_the_doctor_asks_for_a_migration_of_an_older_database(volano, folder):
    asyncio.run(migrate(f"sqlite:///{folder}/old/volano.db", "0002"))

    done = volano("doctor", "--home", "old")

    assert done.code == 3
    assert "error: The database is at revision 0002; this version of Volano needs " in done.err
    assert "`volano migrate`" in done.err


@pytest.mark.parametrize("words", [["doctor"], ["migrate"], ["up", "--empty", "--port", "0"]])
def test_a_database_that_is_damaged_or_newer_is_said_in_words(volano, folder, words):
    asyncio.run(migrate(f"sqlite:///{folder}/newer/volano.db"))
    with contextlib.closing(sqlite3.connect("newer/volano.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    (folder / "damaged").mkdir()
    (folder / "damaged" / "volano.db").write_text("no database" * 1_000)

    newer, damaged = (volano(*words, "--home", home) for home in ("newer", "damaged"))

    assert (newer.code, damaged.code) == (3, 3)
    assert "error: The database is at revision 9999, which this version of Volano" in newer.err
    assert "error: The database is damaged: file is not a database" in damaged.err


@pytest.mark.parametrize("inside", ["blobs", "metrics", "client.json", "api.lock", "volano.db"])
def test_a_home_in_which_something_stands_in_the_way_is_said_in_words(volano, folder, inside):
    taken = folder / "home" / inside
    if inside in ("blobs", "metrics"):
        taken.parent.mkdir()
        taken.write_text("")
    else:
        taken.mkdir(parents=True)

    done = volano("up", "--empty", "--once", "--port", "0", "--home", "home")

    assert done.code in (1, 3)
    assert "error: " in done.err
    assert inside == "volano.db" or str(taken) in done.err
    assert "Traceback" not in done.err
