"""Where a client finds its server and its key: what it is given, the environment, then files.

A key is kept per server and sent to no other: `--url` alone never carries a key elsewhere.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from volano.schemas.errors import Invalid

DEFAULT_URL = "http://localhost:8000"

PROJECT_FILE = Path(".volano") / "client.json"
"""What `volano up` leaves beside its data: commands typed in that folder, or below, use it."""


_AROUND: Final = " \t\r\n\v\f\ufeff\u200b\xa0"
"""What files, clipboards and editors put around a key: space, a byte order mark."""

_SECRETS: Final = re.compile(r"(?<=://)\S*(?=@)|(?<=vol_)\w{20,}|(?<=inv_)[0-9a-f]{32}_\w+")
"""A name and password in an address; keys and codes behind the letters that they begin with."""


class ConfigUnreadable(Invalid):
    """The client's configuration {path} cannot be read: {reason}."""

    remedy = "Remove it; `volano login URL` writes a new one."


class ConfigUnwritable(Invalid):
    """The client's configuration {path} cannot be written: {reason}."""

    remedy = "Or give the key to each command: VOLANO_URL and VOLANO_KEY, or --url and --key."


class NoServerAddress(Invalid):
    """{url!r} is not the address of a server."""

    remedy = "Give it with its scheme and without a password, such as http://localhost:8000."


class KeyUnusable(Invalid):
    """The key cannot be used: its character number {place} is {character!r}, which no key has."""

    remedy = "Copy it again in one piece; `volano keys create` makes another."


class NoKey(Invalid):
    """No key was given for {url}; what was kept before is as it was."""

    remedy = "`volano up` shows the first key of a server, `volano keys create` makes another."


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One server and the key that is sent to it; an empty key sends none."""

    url: str = DEFAULT_URL
    key: str = field(default="", repr=False)


def environment() -> Mapping[str, str]:
    """Return the environment of this process, as clients and commands see it."""
    return os.environ


def read(
    url: str | None = None,
    key: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Profile:
    """Return the server to talk to: from arguments, else VOLANO_URL and VOLANO_KEY, else files.

    Files are that of VOLANO_HOME, the nearest `.volano/client.json` from `folder` (the current one)
    upwards, then the user's own; without any it is the server on this machine.

    Raises: ConfigUnreadable, NoServerAddress, KeyUnusable.
    """
    environ = environment() if environ is None else environ
    files = [_load(path) for path in _files(environ, folder)]
    named = [f["url"] for f in files if f.get("url")]
    url = clean(url or environ.get("VOLANO_URL") or (named[0] if named else DEFAULT_URL))
    kept = [f["keys"][url] for f in files if url in f.get("keys", {})]
    keys = map(clean_key, (key or "", environ.get("VOLANO_KEY", ""), *kept))
    return Profile(url=url, key=next(filter(None, keys), ""))


def write(url: str, key: str, path: Path | None = None) -> Path:
    """Keep the key of a server and make that server the default; return the file they are in.

    Only its owner can read the file. Other servers' keys stay.

    Raises: ConfigUnreadable, ConfigUnwritable, NoServerAddress, KeyUnusable, NoKey.
    """
    path = path or user_file(environment())
    url, key = clean(url), clean_key(key)
    if not key:
        raise NoKey(url=url)
    _save(path, url, _load(path).get("keys", {}) | {url: key})
    return path


def kept(path: Path) -> Profile | None:
    """Return the server and key that one file makes the default; None where it has none.

    Raises: ConfigUnreadable.
    """
    document = _load(path)
    url = document.get("url", "")
    key = document.get("keys", {}).get(url, "")
    return Profile(url=url, key=key) if key else None


def clean(url: str) -> str:
    """Return the address in the one form under which its key is kept.

    Raises: NoServerAddress.
    """
    scheme, _, rest = url.strip(_AROUND).rstrip("/").partition("://")
    if scheme.lower() not in ("http", "https") or not _is_address(f"http://{rest}"):
        raise NoServerAddress(url=without_secrets(url))
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def clean_key(key: str) -> str:
    """Return the key without what a file or a clipboard has put around it.

    Raises: KeyUnusable (it does not repeat the key).
    """
    key = key.strip(_AROUND)
    for place, character in enumerate(key, 1):
        if not "!" <= character <= "~":
            raise KeyUnusable(place=place, character=character)
    return key


def without_secrets(text: str) -> str:
    """Return the text with keys, invitation codes and the passwords in addresses left out."""
    return _SECRETS.sub("…", text)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no port
        host = (parts.hostname or "").encode("idna")
    except ValueError:
        return False
    # A name and password would be sent in the place of the key.
    return bool(host) and "@" not in parts.netloc and url.isprintable() and " " not in url


def user_file(environ: Mapping[str, str]) -> Path:
    """Return where the configuration of this user is."""
    folder = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(folder, "volano", "config.json")


def is_found(path: Path) -> bool:
    """Return whether commands typed in the current folder look into this file of a server."""
    return any(path.resolve() == file.resolve() for file in _files(environment(), None))


def _files(environ: Mapping[str, str], folder: Path | None) -> Iterator[Path]:
    if home := environ.get("VOLANO_HOME"):
        path = Path(os.path.expanduser(home), PROJECT_FILE.name)
        if _is_own(path):
            yield path
    with suppress(FileNotFoundError):  # the current folder has been removed
        folder = folder or Path.cwd()
    for above in (folder, *folder.parents) if folder else ():
        if _is_own(above / PROJECT_FILE):
            yield above / PROJECT_FILE
            break
    yield user_file(environ)


def _is_own(path: Path) -> bool:
    """Return whether the file is this user's: no other's may choose where this user's data goes."""
    try:
        return path.stat().st_uid == os.getuid()
    except OSError:  # not there, or shut: somebody else's server runs in it
        return False


def _save(path: Path, url: str, keys: Mapping[str, str]) -> None:
    if path.parts[0] == "~":
        raise ConfigUnwritable(path=str(path), reason="this user has no home; set XDG_CONFIG_HOME")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"url": url, "keys": dict(keys)}, file, indent=2)
        draft.replace(path)
    except OSError as error:
        raise ConfigUnwritable(path=str(path), reason=error.strerror) from None


def _load(path: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigUnreadable(path=str(path), reason=str(error)) from None
    if not _is_configuration(document):
        raise ConfigUnreadable(path=str(path), reason="it is not an object with url and keys")
    return dict(document)


def _is_configuration(document: Any) -> bool:
    if not isinstance(document, dict) or not isinstance(keys := document.get("keys", {}), dict):
        return False
    return all(isinstance(text, str) for text in (document.get("url") or "", *keys.values()))
