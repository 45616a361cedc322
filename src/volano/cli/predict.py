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
    from volano.schemas.serving import DrawingInput, Prediction, PredictResponse

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST: Final = 32
_TOP: Final = 5


class NotADrawing(Invalid):
    """{source} is not a drawing: {reason}."""

    remedy = "`volano data show ID --json` prints one; canvas and strokes are what counts."


def predict(
    endpoint: Annotated[str, note("Name of an endpoint.")],
    source: Annotated[
        str,
        note("A JSON file, the id of a record, or - for standard input."),
        Parameter(allow_leading_hyphen=True),
    ] = "-",
    /,
    *,
    terminal: Here,
) -> None:
    """Ask an endpoint what a drawing is.

    A file holds one drawing or a list of up to 32, as JSON or JSON lines.

    Example:
        volano predict shapes circle.json
        volano predict shapes 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10
        volano data export --label circle | head -3 | volano predict shapes
    """
    inputs = _inputs(terminal, source)
    response = terminal.client.endpoints.predict_all(endpoint, inputs)
    terminal.show(response, view)
    if terminal.format == "table":
        terminal.then(f"volano explain {response.predictions[0].id}")


def view(response: "PredictResponse", look: Look) -> str:
    """Draw the best answers to each input as bars."""
    answers = [_bars(prediction, look) for prediction in response.predictions]
    return "\n\n".join([*answers, look.ink("dim", f"{response.version} on {response.endpoint}")])


def _bars(prediction: "Prediction", look: Look) -> str:
    best = sorted(prediction.scores.items(), key=lambda score: -score[1])[:_TOP]
    wide = max(render.width(label) for label, _ in best)
    lines = [
        f"{render.pad(label, wide)}  {share:6.1%}  {look.ink('cyan', render.bar(share))}".rstrip()
        for label, share in best
    ]
    return "\n".join([look.ink("bold", lines[0]), *lines[1:], look.ink("dim", prediction.id)])


def _inputs(terminal: Terminal, source: str) -> "list[DrawingInput]":
    from volano.schemas.serving import DrawingInput

    if _UUID.fullmatch(source) and not Path(source).exists():
        drawing = terminal.client.records.drawing(source)
        return [DrawingInput(canvas=drawing.canvas, strokes=drawing.strokes)]
    if source != "-":
        name, text = source, decoded(Path(source).read_bytes())
    else:
        if sys.stdin.isatty():
            terminal.say("Reading a drawing as JSON from standard input; Ctrl-D ends it.")
        name, text = "standard input", read_input()
    found = parse(text, name)
    if not 1 <= len(found) <= _MOST:
        raise NotADrawing(source=name, reason=f"{len(found)} drawings, not 1 to {_MOST}")
    return found


def parse(text: str, source: str) -> "list[DrawingInput]":
    """Return the drawings in a document: one, a list, a request to predict, or one on each line.

    Raises: NotADrawing.
    """
    import msgspec

    from volano.schemas.serving import DrawingInput

    try:
        documents = _documents(text.strip())
        return msgspec.convert([_bare(one) for one in documents], list[DrawingInput])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise NotADrawing(source=source, reason=str(error)) from None


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
