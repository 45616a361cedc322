"""Logs of a server: one line an event, JSON or (on a terminal) for the eye.

A line holds only fields that are on a list: bodies, keys and whatever else a person sent cannot get
into it by accident. Every line of a request or a run carries its id.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog

request_id: ContextVar[str] = ContextVar("request_id", default="")
run_id: ContextVar[str] = ContextVar("run_id", default="")

FIELDS = frozenset({
    # the line itself
    "event", "level", "timestamp", "logger", "exception", "dropped",
    # whose and where
    "request_id", "run", "workspace", "member", "worker", "pid", "process", "host", "port",
    # what
    "method", "route", "path", "status", "code", "error", "topic", "job", "attempt", "endpoint",
    "version", "snapshot", "dataset", "segment", "stream", "model", "kind", "reason", "url", "role",
    # why a job failed
    "class", "type", "message", "signature", "delay_ms", "at",
    # how much
    "ms", "seconds", "count", "rows", "bytes", "queued", "retry_in_s", "signal", "exit_code",
})  # fmt: skip
"""The only fields that a line may have; others leave their name, not their value."""

LONGEST = 8_000
"""Characters of one value; a traceback keeps its end."""

Event = MutableMapping[str, Any]


def configure(level: str = "info", *, pretty: bool | None = None) -> None:
    """Send the logs of this process to standard error; `pretty` None: where that is a terminal."""
    pretty = sys.stderr.isatty() if pretty is None else pretty
    chain: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        add_ids,
        only_listed,
    ]
    end = structlog.dev.ConsoleRenderer() if pretty else render_json
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, end],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    # It tells of its own start, and of what a client did wrong as often as somebody likes.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def add_ids(_logger: Any, _method: str, event: Event) -> Event:
    """Write the ids of the request and the run on a line."""
    for name, variable in (("request_id", request_id), ("run", run_id)):
        if value := variable.get():
            event.setdefault(name, value)
    return event


def only_listed(_logger: Any, _method: str, event: Event) -> Event:
    """Drop the fields that are not on the list, cut the ones that are long."""
    # structlog's own underscore fields are removed before a line is rendered.
    unlisted = [name for name in event if name not in FIELDS and not name.startswith("_")]
    for name in unlisted:
        del event[name]
    if unlisted:
        event["dropped"] = sorted(unlisted)
    for name, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST:
            event[name] = "…" + value[-LONGEST:]
    return event


def render_json(_logger: Any, _method: str, event: Event) -> str:
    """Render a line as JSON."""
    return msgspec.json.encode(event, enc_hook=str).decode()
