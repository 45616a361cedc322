"""The pepper of a server."""

import stat
import threading
from pathlib import Path

import pytest

from volano.accounts.secrets import Pepper, pepper
from volano.core.settings import Settings
from volano.schemas.accounts import BadSecret


def made_in(home: Path) -> Pepper:
    return pepper(Settings(home=str(home)))


def test_a_pepper_is_made_once_and_found_again(tmp_path: Path) -> None:
    assert made_in(tmp_path).kid == made_in(tmp_path).kid


def test_two_homes_have_two_peppers(tmp_path: Path) -> None:
    assert made_in(tmp_path / "one").kid != made_in(tmp_path / "two").kid


def test_only_its_owner_may_read_it_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    made_in(tmp_path)

    assert [(p.name, stat.S_IMODE(p.stat().st_mode)) for p in tmp_path.iterdir()] == [
        ("secret", 0o600)
    ]


def test_servers_that_start_together_agree_on_one_pepper(tmp_path: Path) -> None:
    kids: list[str] = []
    threads = [
        threading.Thread(target=lambda: kids.append(made_in(tmp_path).kid)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(kids) == 16
    assert len(set(kids)) == 1


def test_a_configured_secret_wins_and_writes_no_file(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), secret="x" * 32)

    assert Pepper(b"x" * 32).kid == pepper(settings).kid
    assert list(tmp_path.iterdir()) == []


def test_a_short_secret_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(BadSecret) as refused:
        pepper(Settings(home=str(tmp_path), secret="hunter2"))

    assert refused.value.facts == {"setting": "VOLANO_SECRET", "length": 7}


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()

    with pytest.raises(BadSecret):
        made_in(tmp_path)


def test_one_purpose_proves_nothing_for_another() -> None:
    assert Pepper(b"x").mac("key", "text") != Pepper(b"x").mac("session", "text")


def test_a_pepper_does_not_show_itself() -> None:
    assert "hunter2" not in repr(Pepper(b"hunter2"))
