"""Tiny graphs that answer as a recogniser does, so that serving is tested without training."""

import base64
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.registry.versions import registered
from tests.stages import drawing
from volano.core.context import Context
from volano.data.formats import packing
from volano.schemas.accounts import Who
from volano.schemas.common import uuid7
from volano.schemas.registry import (
    ClassesSpec,
    DrawingSpec,
    Golden,
    ImageSpec,
    Signature,
    ValueSpec,
    Version,
    VersionFile,
)
from volano.schemas.serving import (
    ClassesPrediction,
    DrawingInput,
    ImageInput,
    PredictInput,
    PredictRequest,
)
from volano.serving import loading
from volano.serving.adapters import drawing as drawings
from volano.serving.adapters.drawing import Drawing, DrawingInputs, padded
from volano.serving.adapters.outputs import Classes
from volano.serving.log import Answer
from volano.serving.routing import CallCost, LoadedVersion

CLASSES = ["circle", "square", "triangle"]
SEGMENTS = [[10.0, 10.0, 20.0, 20.0], [20.0, 20.0, 30.0, 10.0]]


_SIDE, _TIMES = 320, 8

_SLOWLY = [
    helper.make_node("ReduceMean", ["mean"], ["one"], axes=[0, 1], keepdims=0),
    helper.make_node("Mul", ["large", "one"], ["product 0"]),
    *(
        helper.make_node("MatMul", [f"product {n}", "large"], [f"product {n + 1}"])
        for n in range(_TIMES)
    ),
    helper.make_node("ReduceMean", [f"product {_TIMES}"], ["same"], axes=[0, 1], keepdims=0),
    helper.make_node("Add", ["leaning", "same"], ["logits"]),
]
"""The same number is added to every class, which changes no probability."""


def graph(favourite: int = 0, *, slow: bool = False) -> bytes:
    """Softmax of a linear map of the mean segment; `favourite` is the class it leans to.

    A slow one multiplies large matrices beside that, which takes some milliseconds.
    """
    weights = np.linspace(-0.002, 0.002, 12, dtype=np.float32).reshape(4, 3)
    bias = np.zeros(3, np.float32)
    bias[favourite] = 3.0
    float_, batch = TensorProto.FLOAT, "batch"
    nodes = [
        helper.make_node("ReduceMean", ["segments"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["linear"]),
        helper.make_node("Add", ["linear", "bias"], ["leaning" if slow else "logits"]),
        *(_SLOWLY if slow else ()),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        # The number of segments is not used, but is an input that every graph has.
        helper.make_node("Identity", ["count"], ["counted"]),
    ]
    made = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("segments", float_, [batch, "segments", 4]),
            helper.make_tensor_value_info("count", TensorProto.INT32, [batch]),
        ],
        [
            helper.make_tensor_value_info("probabilities", float_, [batch, 3]),
            helper.make_tensor_value_info("logits", float_, [batch, 3]),
            helper.make_tensor_value_info("counted", TensorProto.INT32, [batch]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.full((_SIDE, _SIDE), 1 / _SIDE, np.float32), "large"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    onnx.checker.check_model(data)
    return data


def image_graph(*, output: str = "probabilities") -> bytes:
    """A graph for grey pictures of 4 x 4 px: light ones are of the second class, or its value."""
    classes = 2 if output == "probabilities" else 1
    weights = np.array([[-0.1, 0.1]] if classes == 2 else [[1.0]], np.float32)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Sub", ["mean", "middle"], ["light"]),
        helper.make_node("MatMul", ["light", "weights"], ["logits"]),
        helper.make_node("Softmax" if classes == 2 else "Identity", ["logits"], [output]),
    ]
    shape = ["n", 4, 4, 1]
    made = helper.make_graph(
        nodes,
        "light",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", classes])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([127.5], np.float32), "middle"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def picture(grey: int, side: int = 8, format: str = "PNG") -> bytes:
    """An image file of one grey level."""
    file = io.BytesIO()
    Image.new("L", (side, side), grey).save(file, format)
    return file.getvalue()


def noisy_picture(side: int) -> bytes:
    """An image file that cannot be packed."""
    grey = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


async def image_version(ctx: Context, who: Who, *, value: bool = False) -> Version:
    """A version for pictures that tells dark from light, or how light they are."""
    output = "value" if value else "probabilities"
    data = image_graph(output=output)
    pixels = np.full((1, 4, 4, 1), 200, np.uint8)
    answered = loading.run(loading.open_session(data), {"pixels": pixels}, output)
    golden = Golden(input=base64.b64encode(picture(200)).decode(), scores=answered[0].tolist())
    told = VersionFile(
        signature=Signature(
            input=ImageSpec(height=4, width=4, channels=1),
            output=ValueSpec() if value else ClassesSpec(classes=["dark", "light"]),
        ),
        golden=[golden],
    )
    return await registered(ctx, who, {"model.onnx": data}, told)


def signature(*, classes: Sequence[str] = CLASSES, **changes: Any) -> Signature:
    """What such a graph takes and answers."""
    return Signature(input=DrawingSpec(**changes), output=ClassesSpec(classes=list(classes)))


def told(data: bytes, **changes: Any) -> VersionFile:
    """What is told of a graph, with its own answers as the golden ones."""
    segments = padded([np.array(SEGMENTS, np.float32)])
    answered = loading.run(loading.open_session(data), segments, "probabilities")
    golden = [Golden(input=SEGMENTS, scores=answered[0].tolist())]
    return msgspec.structs.replace(VersionFile(signature=signature(), golden=golden), **changes)


def wrong(data: bytes) -> VersionFile:
    """What is told of another graph, whose answers this one does not give."""
    return told(data, golden=[Golden(input=SEGMENTS, scores=[0.0, 0.0, 1.0])])


async def version(
    ctx: Context, who: Who, favourite: int = 0, *, slow: bool = False, **facts: Any
) -> Version:
    """A version that leans to one class."""
    data = graph(favourite, slow=slow)
    return await registered(ctx, who, {"model.onnx": data}, told(data), **facts)


def asked(seed: int = 0) -> PredictInput:
    """A drawing to recognise."""
    given = drawing("square", seed=seed)
    return PredictInput(canvas=given.canvas, strokes=given.strokes)


def request(*inputs: PredictInput) -> PredictRequest:
    """A request for one drawing, or for several inputs."""
    if len(inputs) > 1:
        return PredictRequest(inputs=list(inputs))
    return PredictRequest(input=inputs[0] if inputs else asked())


def loaded(data: bytes, cost_s: float | None = None, version: str = "ver_1") -> LoadedVersion:
    """A version that is loaded, of a measured or a given cost."""
    session = loading.open_session(data)
    inputs, outputs = DrawingInputs(DrawingSpec()), Classes(CLASSES)
    if cost_s is None:
        fed = padded([np.array(SEGMENTS, np.float32)])
        cost_s = loading.cost_s(session, fed, outputs.name)
    return LoadedVersion(version, told(data), session, CallCost(cost_s), inputs, outputs)


def answer(drawing: Drawing | None = None) -> Answer:
    """An answer of a version that nobody trained, to be logged."""
    made = ClassesPrediction(
        id=str(uuid7()), label="square", confidence=1.0, scores={"square": 1.0}
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Answer("shapes", "ver_1", at, made, drawing or drawings.read(asked(), 1000))


def seen(given: PredictInput | DrawingInput | ImageInput | None) -> bytes:
    """What a graph sees of a drawing, and all that the log keeps."""
    assert isinstance(given, PredictInput | DrawingInput)
    read = drawings.read(given, 10_000)
    (payload,) = packing.pack(read.steps, [read.frame])
    return payload
