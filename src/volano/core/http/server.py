"""The operations that every server has: its first page, health, figures and description."""

import html
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template
from typing import Generic, TypeVar

import msgspec
from starlette.responses import Response

from volano.core.context import Context
from volano.core.db import EVERYWHERE, now_ms
from volano.core.http import idempotency, openapi
from volano.core.http.routes import PUBLIC, Answer, Operation, Routes
from volano.core.metrics import Level
from volano.schemas.common import Name, Struct, UnknownPath
from volano.schemas.errors import Unavailable, VolanoError

T = TypeVar("T")

Counts = Callable[[Context], Awaitable[Mapping[str, int]]]
Roles = Callable[[Context], Awaitable[Sequence[str]]]
Levels = Callable[[Context], Awaitable[Sequence[Level]]]
Check = Callable[[Context], Awaitable[object]]

_PAGES = files("volano.core.http") / "pages"
_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript"}
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cache-control": "no-cache",
}

LEVELS_S, PAGE_S = 5.0, 1.0
"""So long one look at the database answers everybody who asks for the figures, or the page."""

PROBE_S = 1.0
"""After a write that was refused, health writes at most this often to see whether it can."""


async def _nothing(_ctx: Context) -> Mapping[str, int]:
    return {}


async def _api(_ctx: Context) -> Sequence[str]:
    return ("api",)


async def _no_levels(_ctx: Context) -> Sequence[Level]:
    return ()


async def database_works(ctx: Context) -> None:
    """Read the database and, where it has refused a write, write: what every server needs.

    Raises: DatabaseUnavailable, StorageFull.
    """
    async with ctx.db.read(EVERYWHERE) as tx:
        await tx.scalar(tx.select(now_ms()))
    refused = ctx.db.refused_write
    if refused is None:
        return
    if time.monotonic() - ctx.db.refused_at < PROBE_S:
        raise refused.with_traceback(None)
    await idempotency.write_probe(ctx.db)
    ctx.db.refused_write = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a server says about itself."""

    title: str = "Volano"
    text: str = "Collect, label, curate, train, serve and explain, on one server of your own."
    version: str
    roles: Roles = _api
    """What runs, in words."""
    counts: Counts = _nothing
    """Shown on the first page: what there is, and how many."""
    levels: Levels = _no_levels
    """Beside the figures of the processes on /metrics."""
    checks: Mapping[str, Check] = field(default_factory=lambda: {"database": database_works})
    """Each must return for the server to be ready; a VolanoError says what is wrong."""


class Health(Struct, frozen=True, kw_only=True):
    """Whether a server runs, and whether it can do its work."""

    live: bool
    ready: bool
    checks: dict[str, str]
    """Each check with `ok` or the code of its error."""


def routes(operations: Sequence[Operation], about: About) -> Routes:
    """Make the operations that describe `operations`, and themselves."""
    own = Routes("", tag="server", root="")
    _add_health(own, about)
    _add_pages(own, about)
    described = [*operations, *own.operations]
    text = msgspec.json.encode(
        openapi.document(described, title=about.title, version=about.version, about=openapi.COMMON)
    )

    @own.get("/api/openapi.json", allow=PUBLIC, hidden=True)
    async def description(ctx: Context, who: None) -> Response:
        return Response(text, 200, {"cache-control": "no-cache"}, "application/json")

    return own


class Cached(Generic[T]):
    """What a look-up gave, for some seconds; while the database is away, what it gave before."""

    def __init__(self, look: Callable[[Context], Awaitable[T]], first: T, kept_s: float) -> None:
        self._look, self._kept_s = look, kept_s
        self._found = first
        self._due = 0.0

    async def value(self, ctx: Context) -> T:
        """Return the value, at most `kept_s` old where the database answers."""
        if (now := time.monotonic()) >= self._due:
            self._due = now + self._kept_s
            with suppress(Unavailable):
                self._found = await self._look(ctx)
        return self._found


def _add_health(own: Routes, about: About) -> None:
    levels: Cached[Sequence[Level]] = Cached(about.levels, (), LEVELS_S)

    @own.get("/healthz", allow=PUBLIC)
    async def health(ctx: Context, who: None) -> Answer[Health]:
        """Tell whether this server can do its work: 200 when ready, else 503."""
        checks = {name: await _outcome(check, ctx) for name, check in about.checks.items()}
        ready = all(outcome == "ok" for outcome in checks.values())
        return Answer(Health(live=True, ready=ready, checks=checks), 200 if ready else 503)

    @own.get("/healthz/live", allow=PUBLIC)
    async def live(ctx: Context, who: None) -> None:
        """Tell whether this server runs at all; nobody else is asked."""

    @own.get("/metrics", allow=PUBLIC, produces="text/plain; version=0.0.4; charset=utf-8")
    async def metrics(ctx: Context, who: None) -> Response:
        """Show the figures of all processes of this server, for Prometheus."""
        text = ctx.metrics.exposition(await levels.value(ctx))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _outcome(check: Check, ctx: Context) -> str:
    try:
        await check(ctx)
    except VolanoError as error:
        return error.code
    return "ok"


def _add_pages(own: Routes, about: About) -> None:
    page = Template(_text("home.html"))
    counts: Cached[Mapping[str, int]] = Cached(about.counts, {}, PAGE_S)
    roles: Cached[Sequence[str]] = Cached(about.roles, (), PAGE_S)

    @own.get("", allow=PUBLIC, hidden=True)
    async def home(ctx: Context, who: None) -> Response:
        checks = {name: await _outcome(check, ctx) for name, check in about.checks.items()}
        wrong = [f"{name}: {outcome}" for name, outcome in checks.items() if outcome != "ok"]
        tiles = [
            f"<li><b>{n:,}</b> {html.escape(name)}</li>"
            for name, n in (await counts.value(ctx)).items()
        ]
        facts = {
            "title": about.title,
            "text": about.text,
            "version": about.version,
            "roles": " · ".join(await roles.value(ctx)),
            "state": "down" if wrong else "up",
            "health": ", ".join(wrong) or "Ready",
        }
        safe = {name: html.escape(text) for name, text in facts.items()}
        return _page("html", page.substitute(safe, counts="".join(tiles)))

    @own.get("/api/docs", allow=PUBLIC, hidden=True)
    async def docs(ctx: Context, who: None) -> Response:
        return _page("html", _text("docs.html"))

    @own.get("/api/docs/{name}", allow=PUBLIC, hidden=True)
    async def docs_part(ctx: Context, who: None, name: Name) -> Response:
        if name not in ("docs.js", "style.css"):
            raise UnknownPath(path=f"/api/docs/{name}")
        return _page(name.rpartition(".")[2], _text(name))


def _text(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")


def _page(kind: str, text: str) -> Response:
    return Response(text, 200, _PAGE_HEADERS, _TYPES[kind])
