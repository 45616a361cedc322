"""The description of the API: OpenAPI 3.1, made of what the operations are compiled from."""

import inspect
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, get_args

import msgspec

from volano.core.http.problem import Problem
from volano.core.http.request import JSON, Parameter
from volano.core.http.routes import PUBLIC, Handler, Operation
from volano.core.http.schemas import Schemas, field_notes
from volano.schemas.accounts import PERMISSIONS
from volano.schemas.common import (
    BodyTooLarge,
    BodyTooSlow,
    DeadlinePassed,
    IdempotencyKeyReused,
    InvalidValues,
    NotAuthenticated,
    Overloaded,
    RoleTooLow,
    StillRunning,
    UnreadableBody,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from volano.schemas.errors import PROBLEM_MEDIA_TYPE, Broken, Missing, VolanoError
from volano.schemas.examples import EXAMPLES

ANYWHERE: tuple[type[VolanoError], ...] = (InvalidValues, Overloaded, DeadlinePassed, Broken)
WITH_BODY = (UnreadableBody, UnsupportedMediaType, UnsupportedEncoding, BodyTooLarge, BodyTooSlow)
WITH_KEY = (IdempotencyKeyReused, StillRunning)
WITH_PERMISSION = (NotAuthenticated, RoleTooLow)

COMMON = """\
`/api/…` without a version means the current one, `/api/v1/…`.

Send `Authorization: Bearer <key>`; the badge of an operation is the permission that the key's \
role needs, and `public` needs none. Bodies are JSON in UTF-8 unless an operation says otherwise; \
a field or a query parameter that it does not know is refused.

A write takes an `Idempotency-Key`: sent again with the same key, it happens once and answers \
the same. `x-deadline-ms` bounds how long the whole answer may take; without it, a stream may take \
as long as it does once it has begun. `x-request-id` is kept or made, and returned. It finds the \
request in the logs where it failed on our side; from the log level `info` on also where it was \
refused or slow, at `debug` always.

Every refusal is an `application/problem+json` (RFC 9457) with a stable `code`, what happened, the \
values, and what to do. 429 and 503 say in `Retry-After` when to try again."""
"""What holds for every operation."""

IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text that is new for a new request. Sent again with the same request "
    "within seven days, the first answer comes back and nothing happens twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}

Json = dict[str, Any]


def document(operations: Iterable[Operation], *, title: str, version: str, about: str) -> Json:
    """Make the OpenAPI document of these operations, in their order.

    Raises: TypeError (two operations have one id).
    """
    shown = [operation for operation in operations if not operation.hidden]
    ids = [operation.id for operation in shown]
    if twice := {one for one in ids if ids.count(one) > 1}:
        raise TypeError(f"operations with one id: {sorted(twice)}")
    schemas = Schemas(_types(shown))
    paths: defaultdict[str, Json] = defaultdict(dict)
    for operation in shown:
        paths[operation.path][operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": about},
        "servers": [{"url": "/"}],
        "tags": _tags(shown),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "parameters": {"IdempotencyKey": IDEMPOTENCY_KEY},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key or session."}
            },
        },
    }


def _types(operations: Iterable[Operation]) -> Iterator[Any]:
    """Yield every type that the operations name."""
    yield Problem
    for operation in operations:
        yield from (parameter.type for parameter in operation.parameters)
        if operation.body and not operation.body.as_is:
            yield operation.body.shape
        if operation.result_shape is not None:
            yield operation.result_shape


def _operation(operation: Operation, schemas: Schemas) -> Json:
    summary, description = _words(operation.handler)
    described: Json = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": summary,
        "description": description,
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation, schemas),
        "security": [] if operation.allow == PUBLIC else [{"key": []}],
        "x-permission": operation.allow,
    }
    if operation.allow != PUBLIC:
        described["x-roles"] = sorted(PERMISSIONS[operation.allow])
    if operation.keyed:
        described["parameters"].append({"$ref": "#/components/parameters/IdempotencyKey"})
    if operation.body:
        described["requestBody"] = {
            "required": operation.body.required,
            "content": _content(operation, schemas),
        }
    return {name: value for name, value in described.items() if value != ""}


def _words(handler: Handler) -> tuple[str, str]:
    """Split a docstring into its first sentence and the rest of it."""
    paragraphs = (inspect.getdoc(handler) or "").split("\n\n")
    first, *rest = [" ".join(paragraph.split()) for paragraph in paragraphs]
    summary, _, more = first.partition(". ")
    return summary.rstrip("."), "\n\n".join([more, *rest]).strip()


def _content(operation: Operation, schemas: Schemas) -> Json:
    body = operation.body
    assert body is not None
    types = sorted(body.reads) or ["application/octet-stream"]
    schema = {} if body.as_is else schemas.of(body.shape)
    content: Json = {name: {"schema": schema if name.endswith("json") else {}} for name in types}
    named = [EXAMPLES[one] for one in (body.shape, *get_args(body.shape)) if one in EXAMPLES]
    if named:
        content[JSON]["example"] = named[0]
    return content


def _parameters(operation: Operation, schemas: Schemas) -> list[Json]:
    notes = dict(field_notes(operation.query)) if operation.query else {}
    return [_parameter(p, schemas, notes.get(p.name, "")) for p in operation.parameters]


def _parameter(parameter: Parameter, schemas: Schemas, note: str) -> Json:
    schema = schemas.of(parameter.type)
    if not parameter.required and parameter.default is not None:
        schema["default"] = msgspec.to_builtins(parameter.default)
    described: Json = {
        "name": parameter.wire,
        "in": parameter.where,
        "required": parameter.required,
        "schema": schema,
    }
    if text := schema.pop("description", note):
        described["description"] = text
    return described


def _responses(operation: Operation, schemas: Schemas) -> Json:
    status = HTTPStatus(operation.status)
    fine: Json = {"description": status.phrase}
    if status is not HTTPStatus.NO_CONTENT:
        shape = operation.result_shape
        schema = {} if shape is None else schemas.of(shape)
        fine["content"] = {operation.produces: {"schema": schema}}
    by_status: defaultdict[int, list[type[VolanoError]]] = defaultdict(list)
    for error in may_raise(operation):
        by_status[error.status].append(error)
    problems = {str(code): _problem(errors) for code, errors in sorted(by_status.items())}
    return {str(operation.status): fine} | problems


def may_raise(operation: Operation) -> list[type[VolanoError]]:
    """List every error that the operation declares, and those that its parts bring with them."""
    errors = list(operation.errors)
    if operation.allow != PUBLIC:
        errors += WITH_PERMISSION
    if operation.body:
        errors += WITH_BODY
    if operation.keyed:
        errors += WITH_KEY
    if any(p.where == "path" for p in operation.parameters):
        errors.append(Missing)
    return list(dict.fromkeys([*errors, *ANYWHERE]))


def _problem(errors: Sequence[type[VolanoError]]) -> Json:
    # `{id!r}` of a message is `{id}` for a reader.
    said = [f"`{e.code}`: {inspect.getdoc(e)}".replace("!r}", "}") for e in errors]
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "\n\n".join(said),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}},
    }


def _tags(operations: Sequence[Operation]) -> list[Json]:
    """List the tags in order of first use, each with the first line of its module."""
    modules = {operation.tag: operation.handler.__module__ for operation in reversed(operations)}
    order = dict.fromkeys(operation.tag for operation in operations)
    return [{"name": tag, "description": _first_line(modules[tag])} for tag in order]


def _first_line(module: str) -> str:
    return (sys.modules[module].__doc__ or "").strip().partition("\n")[0]
