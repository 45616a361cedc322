"""How a client speaks HTTP: one request sent until it is answered, pages, streams, errors.

Every write carries an Idempotency-Key, the same on each try, so trying again never does it twice.
"""

import math
import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

import volano
from volano.schemas import (
    accounts,
    data,
    datasets,
    drawings,
    errors,
    evaluation,
    harness,
    labeling,
    loop,
    registry,
    serving,
)
from volano.schemas.common import DeadlinePassed, Page, StillRunning, uuid7
from volano.schemas.errors import Invalid, Unavailable, VolanoError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

Query = Mapping[str, Any]
"""Texts, numbers and lists of texts; what is None or empty is left out."""

ROOT: Final = "/api/v1"
PATIENCE_S: Final = 60.0
"""A server that asks for a longer wait is not waited for."""

STAGES: Final = (
    accounts,
    data,
    datasets,
    drawings,
    evaluation,
    harness,
    labeling,
    loop,
    registry,
    serving,
)
"""Where the errors are written down that a server may send: they must be known here."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PASSING = frozenset({429, 502, 503, 504})
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_encode = msgspec.json.Encoder().encode


class ServerUnreachable(Unavailable):
    """No Volano server answers at {url}: {reason}."""

    remedy = (
        "Is it running? `volano up` starts one here. Commands find the server of the folder that"
        " they are typed in; `volano login URL` chooses another."
    )


class NotVolano(Unavailable):
    """{url} answered {status}, but not as a Volano server does."""

    remedy = "Check the address; a proxy in front of it may have answered instead."


class NetworkMisconfigured(Invalid):
    """The network settings of this environment cannot be used: {reason}."""

    remedy = "Look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR."


class NotText(Invalid):
    """{text} is no text that can be sent."""

    remedy = "Give names and ids in UTF-8."


class NotFinite(Invalid):
    """{at} is {value}, not a finite number."""

    remedy = "Give a number, or leave it out."


class NothingGiven(Invalid):
    """An id or a name is empty."""

    remedy = "Has a variable of the shell no value?"


class AnswerUnreadable(errors.Broken):
    """The answer to {method} {path} cannot be read: {reason}."""

    remedy = "The server may be newer than this client: `volano status` compares their versions."


class Content(NamedTuple):
    """A body that is no JSON."""

    data: bytes
    media_type: str


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long to go on: waits grow from `first_s` to `most_s`, each drawn at random up to that."""

    tries: int = 6
    first_s: float = 0.25
    most_s: float = 8.0

    def waits(self) -> Iterator[float | None]:
        """Yield the seconds to wait after each failed try, and None after the last."""
        for n in range(self.tries - 1):
            yield random.uniform(0.1, 1.0) * min(self.most_s, self.first_s * 2**n)
        yield None


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What a Volano server says of a refusal; other servers' problems have no `code`."""

    code: str
    status: int
    detail: str
    facts: dict[str, Any]
    remedy: str = ""
    request_id: str = ""


class Transport:
    """Sends requests to one server, from any thread; opens no connection before the first."""

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        timeout_s: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.url = url
        self.key = key
        self.timeout_s = timeout_s
        self.backoff = backoff or Backoff()
        self._answered = False
        self._closed = threading.Event()

    def call(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        query: Query | None = None,
        body: Any = None,
        timeout_s: float | None = None,
    ) -> T:
        """Send one request and return its answer as `shape`; `timeout_s` replaces the usual.

        Raises: what the server refused it with; ServerUnreachable; NotVolano; AnswerUnreadable;
        NotFinite (a number in the query or the body that JSON does not have).
        """
        answer = self.fetch(method, path, query=query, body=body, timeout_s=timeout_s)
        try:
            return msgspec.json.decode(answer or b"null", type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AnswerUnreadable(method=method, path=path, reason=str(error)) from None

    def fetch(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Send one request and return the bytes of its answer. Raises: as `call`."""
        request = self._request(method, path, query, body, timeout_s)
        for wait_s in self.backoff.waits():
            try:
                return self._once(request)
            except VolanoError as failure:
                if wait_s is None or not self._passes(failure):
                    raise
                self._closed.wait(max(wait_s, failure.facts.get("retry_after_s", 0.0)))
        raise AssertionError("the last wait is None")

    def pages(self, path: str, shape: type[T], query: Query | None = None) -> Iterator[T]:
        """Yield everything in a listing, fetched page by page as it is asked for."""
        shape_of_page: type[Page[T]] = Page[shape]  # type: ignore[valid-type]  # made at run time
        page = self.call("GET", path, shape_of_page, query=query)
        yield from page.items
        while page.next is not None:
            page = self.call(
                "GET", path, shape_of_page, query={**(query or {}), "after": page.next}
            )
            yield from page.items

    def chunks(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """Yield the bytes of a streamed answer as they arrive.

        Raises: as `call`, and ServerUnreachable where the stream is cut before its end.
        """
        with self._stream(path, query) as chunks:
            yield from chunks

    def lines(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """Yield the lines of a streamed answer, without their ends. Raises: as `chunks`."""
        rest = b""
        for chunk in self.chunks(path, query):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def wait(self, seconds: float) -> None:
        """Pause; ends early when the transport is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Close the connections; a pause in another thread ends."""
        self._closed.set()
        if "_http" in self.__dict__:
            self._http.close()

    @cached_property
    def _http(self) -> "httpx.Client":
        import httpx

        headers = {"user-agent": f"volano/{volano.__version__}"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        # A proxy for the outside world cannot reach this machine's own servers.
        outside = urlsplit(self.url).hostname not in _LOOPBACK
        try:
            return httpx.Client(headers=headers, timeout=self.timeout_s, trust_env=outside)
        except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
            raise NetworkMisconfigured(reason=_reason(error)) from None

    def _request(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Any = None,
        timeout_s: float | None = None,
    ) -> "httpx.Request":
        headers = {"idempotency-key": uuid7().hex} if method in _WRITES else {}
        content = None if body is None else _content(body)
        if content is not None:
            headers["content-type"] = content.media_type
        params = {k: msgspec.to_builtins(v) for k, v in (query or {}).items() if v or v == 0}
        _check_finite(params, "")
        try:
            return self._http.build_request(
                method,
                self.url + ROOT + path,
                params=params,
                content=content and content.data,
                headers=headers,
                timeout=timeout_s or self.timeout_s,
            )
        except UnicodeEncodeError as error:
            raise NotText(text=ascii(error.object)) from None

    def _once(self, request: "httpx.Request") -> bytes:
        with self._failures():
            response = self._http.send(request)
        if response.is_success:
            return response.content
        raise self._refusal(response)

    @contextmanager
    def _stream(self, path: str, query: Query | None) -> Iterator[Iterator[bytes]]:
        with self._failures():
            response = self._http.send(self._request("GET", path, query), stream=True)
            try:
                if not response.is_success:
                    response.read()
                    raise self._refusal(response)
                yield response.iter_bytes()
            finally:
                response.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what the HTTP library raises into what this client raises."""
        import httpx

        try:
            yield
        except httpx.RequestError as error:
            raise ServerUnreachable(url=self.url, reason=_reason(error)) from error
        self._answered = True

    def _passes(self, failure: VolanoError) -> bool:
        """Return whether the same request may succeed in a moment.

        A server that has never answered is not waited for: it is not there, or elsewhere.
        """
        if self._closed.is_set() or failure.facts.get("retry_after_s", 0.0) > PATIENCE_S:
            return False
        if isinstance(failure, ServerUnreachable):
            return self._answered
        return isinstance(failure, StillRunning) or _status(failure) in _PASSING

    def _refusal(self, response: "httpx.Response") -> VolanoError:
        """Return the error that an answer stands for."""
        if not response.headers.get("content-type", "").startswith(errors.PROBLEM_MEDIA_TYPE):
            return NotVolano(url=self.url, status=response.status_code)
        try:
            problem = msgspec.json.decode(response.content, type=_Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return NotVolano(url=self.url, status=response.status_code)
        error = errors.from_problem(msgspec.structs.asdict(problem))
        if isinstance(error, errors.Broken):
            error.facts.setdefault("request_id", problem.request_id)
        if (seconds := response.headers.get("retry-after", "")).isdecimal():
            error.facts.setdefault("retry_after_s", float(seconds))
        return error


def path(*segments: str) -> str:
    """Return a path of the API; what people typed stays within its segment.

    Raises: NothingGiven (an empty segment, which would be another path).
    """
    if "" in segments:
        raise NothingGiven
    return "".join("/" + _quoted(segment) for segment in segments)


def _content(body: Any) -> Content:
    """Return a body as it is sent: JSON, unless it is content already. Raises: NotFinite."""
    return body if isinstance(body, Content) else Content(encoded(body), "application/json")


def encoded(value: Any) -> bytes:
    """Return a value as JSON.

    Raises: NotFinite (JSON has no such number: it would be sent as null), NotText.
    """
    try:
        text = _encode(value)
    except UnicodeEncodeError as error:
        raise NotText(text=ascii(error.object)) from None
    if b"null" in text:  # seldom, so that large bodies are not walked through
        _check_finite(msgspec.to_builtins(value), "")
    return text


def _check_finite(value: Any, at: str) -> None:
    """Look through a JSON value. Raises: NotFinite (naming the place: `filter.min_quality`)."""
    if isinstance(value, float) and not math.isfinite(value):
        raise NotFinite(at=at, value=value)
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_finite(inner, f"{at}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check_finite(inner, f"{at}[{index}]")


def _quoted(segment: str) -> str:
    if segment in (".", ".."):  # which are no names in an address
        return segment.replace(".", "%2E")
    return quote(segment, safe="", errors="surrogateescape")


def _status(failure: VolanoError) -> int:
    status: int = failure.facts["status"] if isinstance(failure, NotVolano) else failure.status
    # Our own 504 has used up the time that the caller allowed.
    return 0 if isinstance(failure, DeadlinePassed) else status


def _reason(error: Exception) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)).lower() or type(error).__name__
