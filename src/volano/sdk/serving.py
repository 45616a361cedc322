"""The client's part of serving: endpoints and what they answered."""

from collections.abc import Iterator, Sequence

from volano.schemas.common import Id, Name
from volano.schemas.drawings import Drawing, NewDrawing
from volano.schemas.serving import (
    Activation,
    DrawingInput,
    Endpoint,
    LoggedPrediction,
    Prediction,
    PredictRequest,
    PredictResponse,
    Rollback,
)
from volano.sdk.transport import Transport, path

Drawn = DrawingInput | Drawing | NewDrawing
"""What can be recognised: of a drawing only the canvas and the strokes are sent."""


def _asked(drawn: Drawn) -> DrawingInput:
    return DrawingInput(canvas=drawn.canvas, strokes=drawn.strokes)


class Endpoints:
    """The addresses that predict."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self) -> Iterator[Endpoint]:
        """Yield every endpoint."""
        return self._transport.pages("/endpoints", Endpoint)

    def show(self, name: Name) -> Endpoint:
        """Return one endpoint with the history of its traffic."""
        return self._transport.call("GET", path("endpoints", name), Endpoint)

    def activate(self, name: Name, version: Id) -> Endpoint:
        """Put a version on an endpoint's traffic; requests on their way are not disturbed.

        Raises: GoldenMismatch (the active version stays).
        """
        at = path("endpoints", name, "activate")
        return self._transport.call("POST", at, Endpoint, body=Activation(version=version))

    def rollback(self, name: Name, leaves: Id | None = None) -> Endpoint:
        """Put the version back that answered before `leaves`, by default the active one.

        Raises: NotAnswering (`leaves` is not active), NoEarlierVersion.
        """
        body = Rollback(leaves=leaves or self.show(name).version)
        at = path("endpoints", name, "rollback")
        return self._transport.call("POST", at, Endpoint, body=body)

    def predict(self, name: Name, input: Drawn) -> Prediction:
        """Ask the active version about one drawing. Raises: NothingActive."""
        return self._predict(name, PredictRequest(input=_asked(input))).predictions[0]

    def predict_all(self, name: Name, inputs: Sequence[Drawn]) -> PredictResponse:
        """Ask about up to 32 drawings in one call of the model. Raises: NothingActive."""
        return self._predict(name, PredictRequest(inputs=[_asked(one) for one in inputs]))

    def _predict(self, name: Name, request: PredictRequest) -> PredictResponse:
        at = path("endpoints", name, "predict")
        return self._transport.call("POST", at, PredictResponse, body=request)


class Predictions:
    """Answers that were given, as they were logged."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(self, id: Id) -> LoggedPrediction:
        """Return one answer with its input; it is there within the endpoint's logging delay."""
        return self._transport.call("GET", path("predictions", id), LoggedPrediction)
