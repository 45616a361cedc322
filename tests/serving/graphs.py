"""Tiny graphs that answer as a recogniser does, so that serving is tested without training."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.registry.versions import registered
from tests.stages import drawing
from volano.core.context import Context
from volano.schemas.accounts import Who
from volano.schemas.common import uuid7
from volano.schemas.registry import (
    ClassesSpec,
    DrawingSpec,
    Golden,
    Signature,
    Version,
    VersionFile,
)
from volano.schemas.serving import DrawingInput, Prediction
from volano.serving import drawings, loading, runtime
from volano.serving.drawings import Drawing, padded
from volano.serving.log import Answer

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


def signature(*, classes: Sequence[str] = CLASSES, **changes: Any) -> Signature:
    """What such a graph takes and answers."""
    return Signature(input=DrawingSpec(**changes), output=ClassesSpec(classes=list(classes)))


def told(data: bytes, **changes: Any) -> VersionFile:
    """What is told of a graph, with its own answers as the golden ones."""
    answered = runtime.run(loading.open_session(data), padded([np.array(SEGMENTS, np.float32)]))
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


def asked(seed: int = 0) -> DrawingInput:
    """A drawing to recognise."""
    given = drawing("square", seed=seed)
    return DrawingInput(canvas=given.canvas, strokes=given.strokes)


def answer(drawing: Drawing | None = None) -> Answer:
    """An answer of a version that nobody trained, to be logged."""
    made = Prediction(id=str(uuid7()), label="square", confidence=1.0, scores={"square": 1.0})
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Answer("shapes", "ver_1", at, made, drawing or drawings.read(asked(), 1000))


def seen(given: DrawingInput) -> bytes:
    """What a graph sees of a drawing, and all that the log keeps."""
    ((payload,),) = drawings.payloads([drawings.read(given, 10_000)])
    return payload
