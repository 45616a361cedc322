"""Tests of volano.sdk.config: whose key goes where."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from volano.sdk import config
from volano.sdk.config import ConfigUnreadable, KeyUnusable, NoKey, NoServerAddress, Profile


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    return tmp_path / "work" / "deep"


def test_without_anything_the_server_on_this_machine_is_meant(environ, folder):
    expected = Profile(url="http://localhost:8000", key="")
    assert config.read(environ=environ, folder=folder) == expected


def test_arguments_win_over_the_environment_and_that_over_files(environ, folder):
    config.write("http://saved", "saved-key", config.user_file(environ))
    given = environ | {"VOLANO_URL": "http://given", "VOLANO_KEY": "given-key"}

    saved = config.read(environ=environ, folder=folder)
    told = config.read(environ=given, folder=folder)
    said = config.read("http://said", "said-key", environ=given, folder=folder)
    assert saved == Profile(url="http://saved", key="saved-key")
    assert told == Profile(url="http://given", key="given-key")
    assert said == Profile(url="http://said", key="said-key")


def test_a_key_is_never_sent_to_another_server_than_its_own(environ, folder):
    config.write("http://one", "key-one", config.user_file(environ))

    assert config.read("http://two", environ=environ, folder=folder).key == ""
    assert config.read(environ=environ | {"VOLANO_URL": "http://two"}, folder=folder).key == ""


def test_every_server_keeps_its_own_key(environ, folder):
    path = config.user_file(environ)
    config.write("http://one", "key-one", path)
    config.write("http://two", "key-two", path)

    found = config.read(environ=environ, folder=folder)
    assert found == Profile(url="http://two", key="key-two")
    assert config.read("http://one/", environ=environ, folder=folder).key == "key-one"


def test_a_project_file_above_the_folder_wins_over_the_users_own(environ, folder):
    config.write("http://mine", "my-key", config.user_file(environ))
    config.write("http://project", "project-key", folder.parent / config.PROJECT_FILE)

    expected = Profile(url="http://project", key="project-key")
    assert config.read(environ=environ, folder=folder) == expected
    assert config.read("http://mine", environ=environ, folder=folder).key == "my-key"


@pytest.mark.skipif(os.getuid() != 0, reason="not root: cannot give a file to somebody else")
def test_the_home_that_is_named_wins_over_the_folder_and_the_users_own(environ, folder, tmp_path):
    config.write("http://mine", "my-key", config.user_file(environ))
    config.write("http://project", "project-key", folder / config.PROJECT_FILE)
    config.write("http://home", "home-key", tmp_path / "home" / "client.json")
    named = environ | {"VOLANO_HOME": str(tmp_path / "home")}

    found = config.read(environ=named, folder=folder)
    assert found == Profile(url="http://home", key="home-key")
    missing = environ | {"VOLANO_HOME": str(tmp_path / "nowhere")}
    assert config.read(environ=missing, folder=folder).url == "http://project"


def test_somebody_elses_project_file_is_not_followed(environ, folder):
    path = config.write("http://trap", "key", folder / config.PROJECT_FILE)
    os.chown(path, 12345, 12345)

    assert config.read(environ=environ, folder=folder).url == config.DEFAULT_URL


def test_only_its_owner_can_read_the_file(tmp_path):
    path = config.write("http://one", "key", tmp_path / "config.json")

    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"], "no draft is left behind"


@pytest.mark.parametrize("key", ["", " \n", "\ufeff"])
def test_an_empty_key_is_never_written_over_a_kept_one(tmp_path, key):
    path = config.write("http://one", "kept", tmp_path / "config.json")

    with pytest.raises(NoKey):
        config.write("http://one", key, path)
    assert config.kept(path) == Profile(url="http://one", key="kept")


def test_no_text_of_a_key_or_profile_has_the_key_in_it(environ, folder):
    with pytest.raises(KeyUnusable) as refused:
        config.clean_key("secret…")

    assert "secret" not in str(refused.value.problem())
    assert "secret" not in repr(config.read(key="secret", environ=environ, folder=folder))


def test_secrets_are_cut_out_of_what_is_said():
    text = "at https://me:pass/w@rd@host/x with vol_0123456789ab_abcdefghijkl in inv_0123 here"
    code = "inv_" + "0" * 32 + "_secret"

    assert config.without_secrets(text) == "at https://…@host/x with vol_… in inv_0123 here"
    assert config.without_secrets(f"the code {code}.") == "the code inv_…."
    assert config.without_secrets("snapshot vol_1") == "snapshot vol_1"


def test_a_folder_that_is_shut_or_gone_chooses_no_server(environ, folder):
    config.write("http://shut", "key", folder / config.PROJECT_FILE)
    (folder / ".volano").chmod(0)
    if os.getuid() == 0:
        os.seteuid(65534)  # root may look into every folder
    elsewhere = {"XDG_CONFIG_HOME": "/nowhere"}
    try:
        assert config.read(environ=elsewhere, folder=folder).url == config.DEFAULT_URL
    finally:
        os.seteuid(os.getuid())
    with contextlib.chdir(folder.parent):
        shutil.rmtree(folder.parent)
        assert config.read(environ=environ).url == config.DEFAULT_URL


@pytest.mark.parametrize("content", ["\ufeff", "[" * 100_000])
def test_a_file_with_a_mark_is_read_and_one_without_end_is_not(environ, folder, content):
    path = config.write("http://one", "key", config.user_file(environ))
    path.write_text(content + path.read_text())

    if content == "\ufeff":
        assert config.read(environ=environ, folder=folder).url == "http://one"
    else:
        with pytest.raises(ConfigUnreadable):
            config.read(environ=environ, folder=folder)


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8000", "ftp://host", "http://", "http://:80", "http://a b", ""),
        *("http://host:99999", "http://host:abc", "http://[::1", "http://..", "http://a\0b"),
        *("http://a\tb", "http://" + "a" * 64, "http://me:secret@host"),
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(NoServerAddress) as refused:
        config.clean(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["HTTP://Host:80", "http://host:80/", " http://host:80 "])
def test_addresses_that_mean_the_same_are_the_same(url):
    assert config.clean(url) == "http://host:80"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://Bücher.example", "https://bücher.example"),
        ("http://host/Volano/", "http://host/Volano"),
        ("http://a_b:80", "http://a_b:80"),
    ],
)
def test_addresses_of_every_kind_are_kept(url, kept):
    assert config.clean(url) == kept


@pytest.mark.parametrize(
    "text",
    [
        *("{", "", "[]", "null", '{"keys": 3}', '{"url": 5}', '{"url": ["x"], "keys": {}}'),
        '{"url": "http://localhost:8000", "keys": {"http://localhost:8000": 5}}',
    ],
)
def test_a_damaged_file_says_which_one_it_is(environ, folder, text):
    path = config.user_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(ConfigUnreadable, match="config"):
        config.read(environ=environ, folder=folder)
    with pytest.raises(ConfigUnreadable, match="config"):
        config.kept(path)
