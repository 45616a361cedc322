"""The client's part of serving: endpoints and what they answered."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from volano.schemas.common import Id, Name
from volano.schemas.drawings import Drawing, NewDrawing
from volano.schemas.serving import (
    Activation,
    DrawingInput,
    Endpoint,
    EndpointChange,
    FailedPrediction,
    Feedback,
    LoggedPrediction,
    NewFeedback,
    OneOrMany,
    PredictInput,
    Prediction,
    PredictRequest,
    PredictResponse,
    Rollback,
    Share,
)
from volano.sdk.transport import Transport, path

Drawn = DrawingInput | PredictInput | Drawing | NewDrawing
"""What can be recognised: of a drawing only the canvas and the strokes are sent."""

ImageFile = Path | str | bytes
"""A path, or the bytes of the file."""


def _asked(drawn: Drawn) -> PredictInput:
    if isinstance(drawn, PredictInput):
        return drawn
    return PredictInput(canvas=drawn.canvas, strokes=drawn.strokes)


def _image(image: ImageFile) -> PredictInput:
    return PredictInput(image=image if isinstance(image, bytes) else Path(image).read_bytes())


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

    def configure(
        self,
        name: Name,
        *,
        log: Share | None = None,
        inputs: Share | None = None,
        durable: bool | None = None,
    ) -> Endpoint:
        """Say what an endpoint keeps of its predictions; what is left out stays as it is."""
        body = EndpointChange(log=log, inputs=inputs, durable=durable)
        return self._transport.call("PATCH", path("endpoints", name), Endpoint, body=body)

    def predict(
        self,
        name: Name,
        input: Drawn | None = None,
        *,
        image: ImageFile | None = None,
        record: Id | None = None,
    ) -> Prediction:
        """Ask the active version about one drawing, image file or stored record.

        Raises: NothingActive, Invalid (it is nothing of the kind that the version takes).
        """
        given = [_asked(input)] if input is not None else []
        given += [_image(image)] if image is not None else []
        given += [PredictInput(record=record)] if record is not None else []
        if len(given) != 1:
            raise OneOrMany
        (answer,) = self.predict_one(name, given[0]).predictions
        assert not isinstance(answer, FailedPrediction), "a single input is refused instead"
        return answer

    def predict_one(self, name: Name, input: Drawn) -> PredictResponse:
        """Ask about one input, and return with the answer which version gave it."""
        return self._predict(name, PredictRequest(input=_asked(input)))

    def predict_all(
        self,
        name: Name,
        inputs: Sequence[Drawn] = (),
        *,
        images: Sequence[ImageFile] = (),
        records: Sequence[Id] = (),
    ) -> PredictResponse:
        """Ask about up to 32 inputs in one call of the model; one that cannot be read fails alone.

        Raises: NothingActive.
        """
        given = [_asked(one) for one in inputs] + [_image(one) for one in images]
        given += [PredictInput(record=one) for one in records]
        return self._predict(name, PredictRequest(inputs=given))

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

    def feedback(self, id: Id, truth: str | float) -> Feedback:
        """Say what turned out to be true of an answer: a label, or a number where one was given."""
        at = path("predictions", id, "feedback")
        return self._transport.call("POST", at, Feedback, body=NewFeedback(truth=truth))
