"""Where a client finds its server and its key: what it is given, the environment, then files.

A key is kept per server and sent to no other: `--url` alone never carries a key elsewhere.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from volano.schemas.errors import Invalid

DEFAULT_URL = "http://localhost:8000"

PROJECT_FILE = Path(".volano") / "client.json"
"""What `volano up` leaves beside its data: commands typed in that folder, or below, use it."""


class ConfigUnreadable(Invalid):
    """The client's configuration {path} cannot be read: {reason}."""

    remedy = "Remove it; `volano login URL` writes a new one."


class NoServerAddress(Invalid):
    """{url!r} is not the address of a server."""

    remedy = "Give it with its scheme, such as http://localhost:8000."


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server and the key that is sent to it; an empty key sends none."""

    url: str = DEFAULT_URL
    key: str = ""


def environment() -> Mapping[str, str]:
    """The environment of this process, as clients and commands see it."""
    return os.environ


def read(
    url: str | None = None,
    key: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Profile:
    """The server to talk to: arguments over VOLANO_URL and VOLANO_KEY over files over the default.

    Files are the nearest `.volano/client.json` from `folder` (the current one) upwards, then the
    user's own.

    Raises: ConfigUnreadable, NoServerAddress.
    """
    environ = environment() if environ is None else environ
    files = [_load(path) for path in _files(environ, folder or Path.cwd())]
    named = [f["url"] for f in files if f.get("url")]
    url = clean(url or environ.get("VOLANO_URL") or (named[0] if named else DEFAULT_URL))
    kept = [f["keys"][url] for f in files if url in f.get("keys", {})]
    return Profile(url=url, key=key or environ.get("VOLANO_KEY") or (kept[0] if kept else ""))


def write(url: str, key: str, path: Path | None = None) -> Path:
    """Keep the key of a server and make that server the default; the file it is in.

    Only its owner can read the file. Other servers' keys stay.

    Raises: ConfigUnreadable, NoServerAddress.
    """
    path = path or user_file(environment())
    url = clean(url)
    _save(path, url, _load(path).get("keys", {}) | {url: key})
    return path


def move(path: Path, url: str) -> None:
    """Keep the key of a file's own server under that server's new address.

    Raises: FileNotFoundError, ConfigUnreadable, NoServerAddress.
    """
    if not (kept := _load(path)):
        raise FileNotFoundError(path)
    keys = dict(kept.get("keys", {}))
    if (key := keys.pop(kept.get("url"), None)) is not None:
        keys[clean(url)] = key
    _save(path, clean(url), keys)


def kept(path: Path) -> Profile | None:
    """The server and key that one file makes the default; None where it has none.

    Raises: ConfigUnreadable.
    """
    document = _load(path)
    url = document.get("url", "")
    key = document.get("keys", {}).get(url, "")
    return Profile(url=url, key=key) if key else None


def clean(url: str) -> str:
    """The address in the one form under which its key is kept.

    Raises: NoServerAddress.
    """
    scheme, _, rest = url.strip().rstrip("/").partition("://")
    if scheme.lower() not in ("http", "https") or not _is_address(f"http://{rest}"):
        raise NoServerAddress(url=url)
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no port
        host = (parts.hostname or "").encode("idna")
    except ValueError:
        return False
    return bool(host) and url.isprintable() and " " not in url


def user_file(environ: Mapping[str, str]) -> Path:
    """Return where the configuration of this user is."""
    folder = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder, "volano", "config.json")


def _files(environ: Mapping[str, str], folder: Path) -> Iterator[Path]:
    for above in (folder, *folder.parents):
        path = above / PROJECT_FILE
        # Somebody else's folder must not choose where this user's data goes.
        if path.is_file() and path.stat().st_uid == os.getuid():
            yield path
            break
    yield user_file(environ)


def _save(path: Path, url: str, keys: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"url": url, "keys": dict(keys)}, file, indent=2)
    draft.replace(path)


def _load(path: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigUnreadable(path=str(path), reason=str(error)) from None
    if not _is_configuration(document):
        raise ConfigUnreadable(path=str(path), reason="it is not an object with url and keys")
    return dict(document)


def _is_configuration(document: Any) -> bool:
    if not isinstance(document, dict) or not isinstance(keys := document.get("keys", {}), dict):
        return False
    return all(isinstance(text, str) for text in (document.get("url") or "", *keys.values()))
