"""Folders for sockets: short, ours, and the same for everyone who asks."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from volano.core.sockets import LONGEST_ADDRESS, socket_folder


def test_a_short_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert tmp_path / "s" == socket_folder(tmp_path / "s", longest_name=10)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


def test_a_long_folder_has_one_short_stand_in_that_takes_a_socket(tmp_path: Path) -> None:
    wanted = tmp_path / ("é" * 60)
    folder = socket_folder(wanted, longest_name=20)
    assert socket_folder(wanted, longest_name=20) == folder
    assert socket_folder(tmp_path / ("e" * 120), longest_name=20) != folder
    name = folder / ("x" * 20)
    assert len(os.fsencode(name)) <= LONGEST_ADDRESS
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(name))
        name.unlink()


@pytest.mark.parametrize("name", ["a,b", "a b", "a%41", "x?1", "é", "\udcff", 'a"b', "a:b", "a@b"])
def test_a_folder_that_an_address_would_take_apart_has_a_stand_in(
    tmp_path: Path, name: str
) -> None:
    folder = socket_folder(tmp_path / name, longest_name=10)

    assert folder != tmp_path / name
    assert folder == socket_folder(tmp_path / name, longest_name=10)
    assert not set(str(folder)) & set(',?%:@ "')
    folder.rmdir()


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, absent: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        absent("not root: nothing can be given away")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12_345, 12_345)
    with pytest.raises(PermissionError, match="somebody else"):
        socket_folder(theirs, longest_name=10)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError):
        socket_folder(tmp_path / "link", longest_name=10)
