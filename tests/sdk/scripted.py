"""A real HTTP server on this machine whose answers a test writes down."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from volano.schemas.errors import PROBLEM_MEDIA_TYPE, VolanoError


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to answer; `drop` closes the connection after `body` without an end."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


def value(it: object, status: int = 200) -> Answer:
    """An answer with a value of the schemas."""
    return Answer(status=status, body=msgspec.json.encode(it))


def page(*items: object, after: str | None = None) -> Answer:
    """One page of a listing."""
    return value({"items": items, "next": after})


def problem(error: VolanoError, **headers: str) -> Answer:
    """An answer with an error, as a server sends it."""
    document = error.problem() | {"request_id": "req_1"}
    return Answer(
        status=error.status,
        body=json.dumps(document).encode(),
        media_type=PROBLEM_MEDIA_TYPE,
        headers=headers,
    )


class Script:
    """The answers by method and path, in the order in which they are given; the last one stays."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answer requests for `/api/v1<path>`."""
        self._answers[method, "/api/v1" + path] = list(answers)

    def answer(self, seen: Seen) -> Answer:
        """What this request gets."""
        self.seen.append(seen)
        answers = self._answers.get((seen.method, seen.path))
        if answers is None:
            return Answer(status=404, body=b"{}", media_type="text/html")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def bodies(self, method: str, path: str) -> list[Any]:
        """The documents that were sent there."""
        wanted = (method, "/api/v1" + path)
        return [seen.json for seen in self.seen if (seen.method, seen.path) == wanted]


@contextmanager
def served(script: Script) -> Iterator[Script]:
    """The script on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            path, _, query = self.path.partition("?")
            headers = {name.lower(): text for name, text in self.headers.items()}
            seen = Seen(method=self.command, path=path, query=query, headers=headers, body=body)
            self.write(script.answer(seen))

        def write(self, answer: Answer) -> None:
            if answer.drop and not answer.body:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("content-type", answer.media_type)
            length = len(answer.body) + (1 if answer.drop else 0)
            self.send_header("content-length", str(length))
            for name, text in answer.headers.items():
                self.send_header(name.replace("_", "-"), text)
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = self.close_connection or answer.drop

        def log_message(self, format: str, *args: object) -> None:
            pass

        do_GET = do_POST = do_PATCH = do_DELETE = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
