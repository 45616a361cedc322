"""Errors on the wire: every failure becomes one RFC 9457 document, here and nowhere else."""

import math
import os
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from volano.core.durable import FULL
from volano.schemas.common import (
    Json,
    MethodNotAllowed,
    NotAuthenticated,
    StorageFull,
    Struct,
    UnsupportedEncoding,
)
from volano.schemas.errors import PROBLEM_MEDIA_TYPE, Broken, VolanoError, shorten


class Problem(Struct, frozen=True, kw_only=True):
    """What every refusal looks like (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    """Stable; the name of the error in kebab case."""
    detail: str
    """What happened, with the values that were refused."""
    remedy: str
    """What to do about it."""
    facts: Json
    """The values by name; for `invalid-values`, `at` is the path of the one that does not fit."""
    instance: str
    request_id: str
    """Finds the request in the logs."""


MEDIA_TYPE = PROBLEM_MEDIA_TYPE.encode()

_encoder = msgspec.json.Encoder(enc_hook=str)


def known(error: Exception) -> VolanoError:
    """Return what a caller is told: the error if it is ours or a full disk's, else Broken."""
    if isinstance(error, OSError) and error.errno in FULL:
        return StorageFull(reason=os.strerror(error.errno))
    return error if isinstance(error, VolanoError) else Broken()


def answer(error: VolanoError, *, path: str, request_id: str) -> Response:
    """Make the problem document of an error, with the headers that its status asks for."""
    document = error.shortened().problem(instance=shorten(path)) | {"request_id": request_id}
    body = _encoder.encode(document)
    return Response(body, error.status, _headers(error), PROBLEM_MEDIA_TYPE)


def _headers(error: VolanoError) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if error.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["retry-after"] = str(math.ceil(error.facts.get("retry_after_s", 1)))
    elif isinstance(error, MethodNotAllowed):
        headers["allow"] = error.facts["allowed"]
    elif error.status == HTTPStatus.UNAUTHORIZED or isinstance(error, NotAuthenticated):
        headers["www-authenticate"] = "Bearer"
    elif isinstance(error, UnsupportedEncoding):
        headers["accept-encoding"] = "identity"
    return headers
