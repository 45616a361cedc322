"""`volano feedback`: say what turned out to be true of something that was predicted."""

from typing import TYPE_CHECKING, Annotated

from volano.cli import render
from volano.cli.misuse import Misuse
from volano.cli.render import Look
from volano.cli.terminal import Here, note

if TYPE_CHECKING:
    from volano.schemas.serving import Feedback


def feedback(
    id: Annotated[str, note("Id of a prediction.")],
    label: Annotated[str, note("What it really was.")] = "",
    /,
    *,
    value: Annotated[float | None, note("The true number, of a model that predicts one.")] = None,
    terminal: Here,
) -> None:
    """Say what turned out to be true of a prediction; nothing that was said before is replaced.

    Example:
        volano feedback 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a11 circle
        volano feedback 019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a11 --value 3.5
    """
    if bool(label) == (value is not None):
        raise Misuse("Give either a label or --value.")
    truth = label if value is None else value
    terminal.show(terminal.client.predictions.feedback(id, truth), view)


def view(feedback: "Feedback", look: Look) -> str:
    """Draw what was kept as a card."""
    facts = {
        "prediction": feedback.prediction,
        "truth": feedback.truth,
        "by": feedback.by,
        "at": feedback.at,
    }
    return render.card(facts, look)
