"""Settings are read once, and what cannot work is refused before anything starts."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from volano.core import settings
from volano.core.blobs import open_blobs
from volano.core.bus import open_bus
from volano.core.settings import FILE, SQLITE, BadSetting, Settings


def test_the_environment_wins_over_defaults_and_the_command_line_over_it() -> None:
    environ = {"VOLANO_PORT": "9000", "VOLANO_JOBS_LEASE_S": "7.5", "VOLANO_HOST": "::1"}

    assert Settings(port=9000, jobs_lease_s=7.5, host="::1") == settings.read(environ)
    assert settings.read(environ, port=9001, host=None).port == 9001
    assert settings.read(environ, port=9001, host=None).host == "::1"


def test_every_default_could_be_typed() -> None:
    """What `volano settings` prints as a default means that default."""
    typed = {variable: default for variable, default, _ in settings.table()}

    assert Settings() == settings.read(typed)


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("VOLANO_PORT", "80.5", "not a whole number"),
        ("VOLANO_PORT", "", "not a whole number"),
        ("VOLANO_PORT", "65536", "more than 65535"),
        ("VOLANO_PORT", "-1", "not 0 or more"),
        ("VOLANO_PROCESSES", "0", "not 1 or more"),
        ("VOLANO_PROCESSES", "100000", "it is more than 256"),
        ("VOLANO_JOBS_SLOTS", "-2", "not 1 or more"),
        ("VOLANO_JOBS_LEASE_S", "long", "not a number"),
        ("VOLANO_JOBS_LEASE_S", "nan", "not 0 or more"),
        ("VOLANO_HTTP_HEAD_S", "inf", "more than"),
        ("VOLANO_HTTP_HEAD_S", "-0.1", "not 0 or more"),
        ("VOLANO_LOG", "loud", "none of debug, info, warning, error"),
        ("VOLANO_HOME", "", "it is empty"),
        ("VOLANO_HOST", " ", "it is empty"),
        ("VOLANO_DB", "mysql://db/x", "neither sqlite:/// nor postgresql://"),
        ("VOLANO_DB", "volano.db", "neither sqlite:/// nor postgresql://"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(variable: str, text: str, reason: str) -> None:
    with pytest.raises(BadSetting, match=reason) as refused:
        settings.read({variable: text})

    assert variable == refused.value.facts["name"]
    assert "volano settings" in refused.value.advice


@pytest.mark.parametrize(
    "given", [{"port": 70_000}, {"processes": 0}, {"log": "loud"}, {"host": ""}]
)
def test_the_command_line_is_checked_as_the_environment_is(given: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match=f"VOLANO_{next(iter(given)).upper()}"):
        settings.read({}, **given)


@pytest.mark.parametrize(
    "environ",
    [
        {"VOLANO_DB": "mysql://me:hunter2@db/x"},
        {"VOLANO_DB": "mysql://me:hun/hunter2@db/x"},
        {"VOLANO_SECRTE": "hunter2"},
    ],
)
def test_a_secret_in_a_refused_setting_is_not_repeated(environ: dict[str, str]) -> None:
    with pytest.raises(BadSetting) as refused:
        settings.read(environ)

    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in str(refused.value.problem())


def test_a_password_in_another_address_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="amqp://…@rabbit/") as refused:
        open_bus("amqp://me:hunter2@rabbit/", folder=tmp_path)
    assert "hunter2" not in str(refused.value.problem())
    with pytest.raises(BadSetting, match="VOLANO_BLOBS cannot be 'gs://…@bucket'") as refused:
        open_blobs("gs://me:hunter2@bucket")
    assert "hunter2" not in str(refused.value.problem())


def test_settings_are_not_written_out_with_their_secrets() -> None:
    given = Settings(secret="hunter2", s3_secret_key="hunter2", db="postgresql://me:hunter2@db/x")

    assert "hunter2" not in f"{given} {given!r}"


def test_a_misspelt_variable_is_refused_and_those_of_clients_are_not() -> None:
    clients = {"VOLANO_URL": "http://x", "VOLANO_KEY": "k", "VOLANO_TEST_DATA": "d", "PORT": "x"}

    assert Settings() == settings.read(clients)
    with pytest.raises(BadSetting, match=r"VOLANO_PROT.*no such setting"):
        settings.read({"VOLANO_PROT": "9000"})


def test_what_kubernetes_sets_for_a_service_is_no_setting() -> None:
    injected = {
        "VOLANO_SERVICE_HOST": "10.0.0.1",
        "VOLANO_SERVICE_PORT": "8000",
        "VOLANO_SERVICE_PORT_HTTP": "8000",
        "VOLANO_PORT": "tcp://10.0.0.1:8000",
        "VOLANO_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "VOLANO_PORT_8000_TCP_PROTO": "tcp",
        "VOLANO_PORT_8000_TCP_PORT": "8000",
        "VOLANO_PORT_8000_TCP_ADDR": "10.0.0.1",
    }

    assert settings.read(injected | {"VOLANO_PROCESSES": "2"}) == Settings(processes=2)
    assert settings.of_kubernetes(injected) == sorted(injected)
    assert settings.of_kubernetes({"VOLANO_PORT": "9000", "PATH": "/bin"}) == []
    assert settings.read({"VOLANO_PORT": "9000"}).port == 9000
    for wrong in ({"VOLANO_PORT": "http://x"}, {"VOLANO_SERVICE_HOTS": "10.0.0.1"}):
        with pytest.raises(BadSetting):
            settings.read(wrong)


@pytest.mark.parametrize(
    ("given", "db", "blobs", "bus"),
    [
        ({}, "sqlite:///{home}/volano.db", "file://{home}/blobs", "local:"),
        ({"db": "postgresql://h/d"}, "postgresql://h/d", "file://{home}/blobs", "postgres:"),
        ({"db": "postgresql://h/d", "bus": "local:"}, None, None, "local:"),
        ({"blobs": "s3://b/p"}, "sqlite:///{home}/volano.db", "s3://b/p", "local:"),
    ],
)
def test_what_is_left_empty_lies_in_home(
    tmp_path: Path, given: dict[str, str], db: str | None, blobs: str | None, bus: str
) -> None:
    found = Settings(home=str(tmp_path), **given)  # type: ignore[arg-type] # texts only

    assert bus == found.bus_url
    for wanted, url in ((db, found.db_url), (blobs, found.blobs_url)):
        assert wanted is None or wanted.format(home=tmp_path.resolve()) == url


@pytest.mark.parametrize("scheme", [SQLITE, FILE])
@given(st.text(st.characters(blacklist_characters="\0", codec="utf-8"), min_size=1))
@example("x?1")
@example("feature%2Fdraw#1 é")
@example("\udcff")
def test_a_path_comes_out_of_its_url_as_it_went_in(scheme: str, name: str) -> None:
    path = Path("/data", name)

    assert settings.path_of(settings.url_of(scheme, path), scheme, "VOLANO_DB") == path


@pytest.mark.parametrize("ending", ["x?1", "x#1", "x?mode=ro"])
def test_a_path_that_may_be_meant_as_a_query_is_refused(ending: str) -> None:
    with pytest.raises(BadSetting, match="write \\? as %3F and # as %23"):
        settings.path_of(f"sqlite:////data/{ending}", SQLITE, "VOLANO_DB")


def test_a_tilde_that_no_shell_has_expanded_is_the_users_folder(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("HOME", str(tmp_path))

        assert Settings(home="~/x").home_path == tmp_path.resolve() / "x"
        assert settings.path_of("sqlite:///~/x.db", SQLITE, "VOLANO_DB") == tmp_path / "x.db"
        assert Settings(home="./~").home_path == Path.cwd() / "~"


def test_home_is_one_folder_wherever_a_process_goes(tmp_path: Path) -> None:
    assert Settings(home=f"{tmp_path}/a/../b").home_path == (tmp_path / "b").resolve()


def test_every_setting_says_what_it_means_and_in_which_unit() -> None:
    units = {"_s": ", s", "_ms": ", ms", "_max_bytes": "bytes", "_days": "days"}
    for setting in fields(Settings):
        doc = setting.metadata["doc"]
        assert doc, setting.name
        for ending, unit in units.items():
            if setting.name.endswith(ending):
                assert unit in doc, setting.name
