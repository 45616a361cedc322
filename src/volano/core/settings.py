"""The settings of a server: the one place that reads the environment.

Every setting has a default that works on a laptop, a unit in its help, and a line in
`docs/settings.md`, which is generated from here.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from volano.schemas.errors import Invalid


class BadSetting(Invalid):
    """The setting {name} cannot be {value!r}: {reason}."""

    remedy = "`volano settings` lists every setting with its meaning and default."

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        if isinstance(facts.get("value"), str):  # an address may hold a password
            facts["value"] = re.sub("(?<=://).*(?=@)", "…", facts["value"])
        super().__init__(message, **facts)


_MOST = sys.float_info.max

SQLITE = "sqlite:///"
FILE = "file://"


def _setting(
    default: Any,
    doc: str,
    *,
    least: float = 0,
    most: float = _MOST,
    words: tuple[str, ...] = (),
    starts: tuple[str, ...] = (),
    filled: bool = False,
) -> Any:
    """Declare a number from `least` to `most`, or a text that is, or begins as, one of `words`.

    A text that is `filled` cannot be empty.
    """
    bounds = {"least": least, "most": most, "words": words, "starts": starts, "filled": filled}
    return field(default=default, metadata={"doc": doc, **bounds})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Four addresses are the difference between a laptop and a cluster, and a secret that is shared
    by the machines of one database; the rest are limits. Core holds the settings of all stages, as
    names and bounds alone."""

    home: str = _setting(
        ".volano", "folder of the embedded database and blobs, of keys and runs", filled=True
    )
    db: str = _setting(
        "",
        "sqlite:///… or postgresql://…; empty: SQLite in home",
        starts=(SQLITE, "postgresql://"),
    )
    blobs: str = _setting("", "file://… or s3://bucket/prefix?endpoint=…; empty: files in home")
    s3_access_key: str = _setting("", "access key of the S3 store; empty: the ambient ones")
    s3_secret_key: str = _setting("", "secret key of the S3 store")
    bus: str = _setting("", "local: or postgres:; empty: postgres: on PostgreSQL, else local:")
    compute: str = _setting("local:", "where user code runs; local: is this machine")
    secret: str = _setting(
        "",
        "pepper of keys and sessions, the same on every machine of one database; "
        "empty: made once and kept in home",
    )

    host: str = _setting("127.0.0.1", "address to listen on", filled=True)
    port: int = _setting(8000, "port to listen on", most=65_535)
    processes: int = _setting(1, "API processes, each with its own socket", least=1, most=256)
    allowed_hosts: str = _setting("localhost,127.0.0.1,[::1]", "Host headers answered, comma apart")
    log: str = _setting(
        "warning",
        "debug, info, warning or error",
        words=("debug", "info", "warning", "error"),
    )

    http_max_body: int = _setting(8 * 2**20, "largest request body, bytes", least=1)
    http_body_s: float = _setting(30.0, "time for a body to arrive, s")
    http_head_s: float = _setting(10.0, "time for a request head to arrive, s")
    http_deadline_ms: int = _setting(
        30_000, "time for an answer where the client gives none, ms", least=1
    )
    http_drain_s: float = _setting(10.0, "time for open requests at shutdown, s")

    drawing_max_points: int = _setting(20_000, "points in one drawing", least=1)
    drawing_max_strokes: int = _setting(200, "strokes in one drawing", least=1)
    drawing_max_bytes: int = _setting(256 * 1024, "one stored drawing, bytes", least=1)

    inbox_group: int = _setting(
        256, "rows in one commit of acknowledged records", least=1, most=10_000
    )
    inbox_queue: int = _setting(
        20_000, "rows waiting for a commit before the answer is 503", least=1
    )
    segment_rows: int = _setting(50_000, "rows in one Parquet segment", least=1)
    segment_bytes: int = _setting(
        64 * 2**20, "rows of one Parquet segment, before they are packed, bytes", least=1
    )
    segment_age_s: float = _setting(5.0, "age at which inbox rows become a segment, s")
    segment_merge_s: float = _setting(60.0, "look for small segments to merge this often, s")
    blob_grace_s: float = _setting(
        3600.0, "a blob that nothing refers to is kept so long: longer than a backup takes, s"
    )

    jobs_slots: int = _setting(2, "jobs of the system that one worker has at once", least=1)
    jobs_run_slots: int = _setting(2, "runs that one worker has at once, in slots apart", least=1)
    jobs_lease_s: float = _setting(30.0, "lease of a running job, s")
    jobs_beat_s: float = _setting(5.0, "heartbeat of a worker, s")
    jobs_sweep_s: float = _setting(1.0, "look for work and expired leases this often, s")

    run_max_seconds: float = _setting(86_400.0, "longest run, s")
    run_max_memory: int = _setting(8 * 2**30, "memory of one run, bytes")
    run_max_data: int = _setting(20 * 2**30, "data staged for one run, bytes")
    run_max_artefact: int = _setting(2 * 2**30, "files of one version, bytes")
    run_threads: int = _setting(0, "threads of one run; 0: all cores")

    serving_poll_s: float = _setting(0.25, "look for a changed endpoint this often, s")
    serving_loaded: int = _setting(
        64, "versions kept loaded (least recently used go first)", least=1
    )
    serving_deadline_ms: int = _setting(
        200, "a prediction that would take longer is refused, where x-deadline-ms is not given, ms"
    )
    serving_log_ms: int = _setting(
        200, "prediction log: wait so long between commits; what waits is lost in a crash, ms"
    )

    key_cache_s: float = _setting(5.0, "a verified key is trusted this long without a look-up, s")
    session_days: int = _setting(30, "life of an anonymous session, days", least=1)

    @property
    def home_path(self) -> Path:
        """The folder of everything embedded, absolute."""
        return expanded(self.home).resolve()

    @property
    def db_url(self) -> str:
        """The database, with the embedded default filled in."""
        return self.db or url_of(SQLITE, self.home_path / "volano.db")

    @property
    def blobs_url(self) -> str:
        """The blob store, with the embedded default filled in."""
        return self.blobs or url_of(FILE, self.home_path / "blobs")

    @property
    def bus_url(self) -> str:
        """The bus, with the default that fits the database filled in."""
        return self.bus or ("postgres:" if self.db_url.startswith("postgresql") else "local:")


def url_of(scheme: str, path: Path) -> str:
    """Return the path behind the scheme, quoted so that `path_of` gives the same path back."""
    return scheme + quote(os.fsencode(path))


def path_of(url: str, scheme: str, setting: str) -> Path:
    """Return the path in a URL of a file or folder.

    Raises: BadSetting (it has a query or a fragment: which file is meant cannot be told).
    """
    text = url.removeprefix(scheme)
    if "?" in text or "#" in text:
        reason = "in the path of a file, write ? as %3F and # as %23"
        raise BadSetting(name=setting, value=url, reason=reason)
    return expanded(os.fsdecode(unquote_to_bytes(text)))


def expanded(path: str) -> Path:
    """Return the path with a leading `~` as the user's folder, where no shell has expanded it."""
    return Path(os.path.expanduser(path))


def variable(setting: Field[Any]) -> str:
    """Return the environment variable of a setting: `VOLANO_` and its name in capitals."""
    return f"VOLANO_{setting.name.upper()}"


def read(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings from the environment, overridden by what a command line gives.

    Raises: BadSetting (not of the setting's type or range, or an unknown VOLANO_ variable).
    """
    environ = os.environ if environ is None else environ
    foreign = set(of_kubernetes(environ))
    environ = {name: value for name, value in environ.items() if name not in foreign}
    known = {variable(f): f for f in fields(Settings)}
    unknown = sorted(n for n in environ if n.startswith("VOLANO_") and n not in known)
    if unknown := [n for n in unknown if not n.startswith(CLIENT_VARIABLES)]:
        raise BadSetting(name=unknown[0], value="…", reason="no such setting")
    values = {f.name: _typed(f, environ[name]) for name, f in known.items() if name in environ}
    values |= {name: value for name, value in overrides.items() if value is not None}
    for setting in fields(Settings):
        if setting.name in values:
            _check(setting, values[setting.name])
    return Settings(**values)


_OF_KUBERNETES = re.compile(
    r"VOLANO_SERVICE_(HOST|PORT(_\w+)?)|VOLANO_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)


def of_kubernetes(environ: Mapping[str, str] | None = None) -> list[str]:
    """List the variables that Kubernetes sets in every pod beside a Service named `volano`.

    They are no settings, though one of them has the name of one: `VOLANO_PORT=tcp://…`.
    """
    environ = os.environ if environ is None else environ
    found = [name for name in environ if _OF_KUBERNETES.fullmatch(name)]
    if re.match("(tcp|udp|sctp)://", environ.get("VOLANO_PORT", "")):
        found.append("VOLANO_PORT")
    return sorted(found)


CLIENT_VARIABLES = ("VOLANO_URL", "VOLANO_KEY", "VOLANO_DATA", "VOLANO_TEST_")
"""Read by clients, runs and tests, not by a server."""


def _typed(setting: Field[Any], text: str) -> Any:
    assert setting.default is not MISSING
    kind = type(setting.default)
    try:
        return kind(text)
    except ValueError:
        reason = "it is not a whole number" if kind is int else "it is not a number"
        raise BadSetting(name=variable(setting), value=text, reason=reason) from None


def _check(setting: Field[Any], value: Any) -> None:
    """Check a setting. Raises: BadSetting."""
    bounds, reason = setting.metadata, ""
    if isinstance(value, str):
        if bounds["filled"] and not value.strip():
            reason = "it is empty"
        elif bounds["words"] and value not in bounds["words"]:
            reason = f"it is none of {', '.join(bounds['words'])}"
        elif value and bounds["starts"] and not value.startswith(bounds["starts"]):
            reason = f"it begins with neither {' nor '.join(bounds['starts'])}"
    elif not value >= bounds["least"]:  # `not`, so that NaN is refused too
        reason = f"it is not {bounds['least']} or more"
    elif value > bounds["most"]:
        reason = f"it is more than {bounds['most']:.10g}"
    if reason:
        raise BadSetting(name=variable(setting), value=value, reason=reason)


def table() -> list[tuple[str, str, str]]:
    """List (variable, default, meaning) of all settings, for `volano settings` and the docs."""
    return [(variable(f), str(f.default), f.metadata["doc"]) for f in fields(Settings)]
