"""`volano predict`: ask an endpoint about a file, standard input or a record."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from volano.cli import render
from volano.cli.render import Look
from volano.cli.streams import decoded, read_input
from volano.cli.terminal import Here, Terminal, note
from volano.schemas.errors import Invalid

if TYPE_CHECKING:
    from volano.schemas.serving import (
        FailedPrediction,
        PredictInput,
        Prediction,
        PredictResponse,
    )

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST: Final = 32
_JSON: Final = (".json", ".jsonl", ".ndjson", ".txt", "")
"""Endings of files with drawings; others are images."""
_TOP: Final = 5


class NotADrawing(Invalid):
    """{source} is not a drawing: {reason}."""

    remedy = "`volano data show ID --json` prints one; canvas and strokes are what counts."


class TooManyInputs(Invalid):
    """These are {inputs} inputs, more than {most}."""

    remedy = "Ask again with the others."


class NoEndpoint(Invalid):
    """No endpoint is named."""

    remedy = "`volano endpoints ls` lists them; name one first: `volano predict NAME photo.jpg`."


def predict(
    name: Annotated[str, note("Name of an endpoint.", metavar="ENDPOINT")] = "",
    source: Annotated[
        str,
        note("An image or a JSON file, the id of a record, or - for standard input."),
        Parameter(allow_leading_hyphen=True),
    ] = "-",
    more: Annotated[list[str] | None, note("Further ones, up to 32 in all.")] = None,
    /,
    *,
    endpoint: Annotated[str, note("Name of the endpoint, where it is not the first word.")] = "",
    terminal: Here,
) -> None:
    """Ask an endpoint about image files, drawings or a stored record.

    A JSON file holds one drawing or a list of up to 32, as JSON or JSON lines.

    Example:
        volano predict photos cat.jpg dog.png
        volano predict --endpoint photos cat.jpg
        volano predict shapes circle.json
        volano predict shapes 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
        volano data export --label circle | head -3 | volano predict shapes
    """
    from volano.schemas.serving import FailedPrediction

    chosen, words = _named(name, [source, *(more or [])], endpoint)
    inputs = [one for word in words for one in _inputs(terminal, word)]
    if len(inputs) > _MOST:
        raise TooManyInputs(inputs=len(inputs), most=_MOST)
    endpoints = terminal.client.endpoints
    # One alone is refused with its reason; of many, each has its own.
    if len(inputs) == 1:
        response = endpoints.predict_one(chosen, inputs[0])
    else:
        response = endpoints.predict_all(chosen, inputs)
    terminal.show(response, view)
    ids = [one.id for one in response.predictions if not isinstance(one, FailedPrediction)]
    if terminal.format == "table" and ids:
        terminal.then(f"volano explain {ids[0]}")


def _named(name: str, words: list[str], endpoint: str) -> tuple[str, list[str]]:
    """Return the endpoint, which is the first word or the option, and what to ask about.

    Raises: NoEndpoint.
    """
    if not endpoint:
        if not name:
            raise NoEndpoint
        return name, words
    if not name:
        return endpoint, words
    return endpoint, [name] if words == ["-"] else [name, *words]


def view(response: "PredictResponse", look: Look) -> str:
    """Draw the best answers to each input as bars."""
    answers = [_answer(prediction, look) for prediction in response.predictions]
    return "\n\n".join([*answers, look.ink("dim", f"{response.version} on {response.endpoint}")])


def _answer(answer: "Prediction | FailedPrediction", look: Look) -> str:
    from volano.schemas.serving import FailedPrediction, ValuePrediction

    if isinstance(answer, FailedPrediction):
        return f"{look.ink('red', answer.code)}: {answer.detail}\n{answer.remedy}".rstrip()
    if isinstance(answer, ValuePrediction):
        return f"{look.ink('bold', f'{answer.value:g}')}\n{look.ink('dim', answer.id)}"
    best = sorted(answer.scores.items(), key=lambda score: -score[1])[:_TOP]
    wide = max(render.width(label) for label, _ in best)
    lines = [
        f"{render.pad(label, wide)}  {share:6.1%}  {look.ink('cyan', render.bar(share))}".rstrip()
        for label, share in best
    ]
    return "\n".join([look.ink("bold", lines[0]), *lines[1:], look.ink("dim", answer.id)])


def _inputs(terminal: Terminal, source: str) -> "list[PredictInput]":
    from volano.schemas.serving import PredictInput

    if _UUID.fullmatch(source) and not Path(source).exists():
        return [PredictInput(record=source)]
    if source != "-":
        content = Path(source).read_bytes()
        if Path(source).suffix.lower() not in _JSON:
            return [PredictInput(image=content)]
        return parse(decoded(content), source)
    if sys.stdin.isatty():
        terminal.say("Reading a drawing as JSON from standard input; Ctrl-D ends it.")
    return parse(read_input(), "standard input")


def parse(text: str, source: str) -> "list[PredictInput]":
    """Return the drawings in a document: one, a list, a request to predict, or one on each line.

    Raises: NotADrawing.
    """
    import msgspec

    from volano.schemas.serving import DrawingInput, PredictInput

    try:
        documents = _documents(text.strip())
        found = msgspec.convert([_bare(one) for one in documents], list[DrawingInput])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise NotADrawing(source=source, reason=str(error)) from None
    if not found:
        raise NotADrawing(source=source, reason="there is nothing in it")
    return [PredictInput(canvas=one.canvas, strokes=one.strokes) for one in found]


def _documents(text: str) -> list[Any]:
    """Return the JSON values of a text that is one value, or has one on each line that is used."""
    import msgspec

    if not text:
        return []
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise
        return [msgspec.json.decode(line) for line in lines]
    if isinstance(document, dict):
        document = document.get("inputs") or document.get("input") or document
    return document if isinstance(document, list) else [document]


def _bare(document: Any) -> Any:
    """Return what counts of a drawing; exported ones carry more."""
    if not isinstance(document, dict):
        return document
    return {name: document[name] for name in ("canvas", "strokes") if name in document}
