"""The trained recogniser as an ONNX file that is known to answer as the network does.

The graph is written here node by node: see `networks/onnx_graph.py`. What keeps the two forms
together is `parity`, measured in every run on the run's own drawings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from volano.schemas.registry import ArtefactRefused, Golden
from volano.training.networks.onnx_graph import Graph, layer_nodes
from volano.training.recipes.drawing import raster, trace
from volano.training.recipes.drawing.network import Recogniser

OUTPUTS = ("probabilities", "logits")
PARITY = 1e-4
"""Largest difference in probability between network and graph that is put down to rounding."""

Floats = NDArray[np.float32]
Counts = NDArray[np.integer]


def write(recogniser: Recogniser, path: Path) -> None:
    """Export to `path`; `segments` (batch, segments, 4) and `count` (batch,), any lengths."""
    graph = Graph()
    mask = _mask(graph)
    ends = _normalised(graph, mask)
    directions, length = _directions(graph, ends)
    ink = _ink_by_channel(graph, recogniser.raster, directions, length, mask)
    picture_logits = _picture_logits(graph, recogniser, ends, ink)
    trace_logits = _trace_logits(graph, recogniser, _traces(graph, ends, directions, mask))
    _write_outputs(graph, graph("Add", picture_logits, trace_logits), recogniser)
    classes = recogniser.classes
    inputs = [
        helper.make_tensor_value_info("segments", TensorProto.FLOAT, ["batch", "segments", 4]),
        helper.make_tensor_value_info("count", TensorProto.INT32, ["batch"]),
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", classes])
        for name in OUTPUTS
    ]
    graph.save(path, "recogniser", inputs, outputs)


def _mask(graph: Graph) -> str:
    """Mark which segments are no padding."""
    length = graph("Gather", graph("Shape", "segments"), 1)
    numbers = graph("Range", 0, length, 1)
    return graph(
        "Less", numbers, graph("Unsqueeze", graph("Cast", "count", to=TensorProto.INT64), [1])
    )


def _normalised(graph: Graph, mask: str) -> str:
    """Write `raster.normalised` as nodes of the graph."""
    ends = graph("Reshape", "segments", [0, 0, 2, 2])
    mask = graph("Unsqueeze", mask, [2, 3])
    low = graph("ReduceMin", graph("Where", mask, ends, raster.FAR), [1, 2])
    high = graph("ReduceMax", graph("Where", mask, ends, -raster.FAR), [1, 2])
    side = graph("Max", graph("ReduceMax", graph("Sub", high, low), [3]), 1e-3)
    middle = graph("Mul", graph("Add", low, high), 0.5)
    return graph("Div", graph("Sub", ends, middle), side)


def _picture_logits(graph: Graph, recogniser: Recogniser, ends: str, ink: str) -> str:
    """Return what the picture network answers to both ways up."""
    pictures = _pictures(graph, recogniser.raster, ends, ink)
    answers = graph("Concat", pictures, _turned(graph, pictures), axis=0)
    for layer in recogniser.network.picture:
        answers = layer_nodes(graph, layer, answers)
    return answers


def _pictures(graph: Graph, form: raster.Raster, ends: str, ink: str) -> str:
    """Write `Raster.forward` as nodes, line by line."""
    # All dots at once: the x and the y of a dot are sums of two numbers of a segment.
    side, places = raster.FILL * form.size_px, form.places.numpy()
    shares = side * np.stack([1 - places, places])
    matrix = np.einsum("ed,ab->eabd", shares, np.eye(2)).reshape(4, -1)
    dots = graph("MatMul", graph("Reshape", ends, [0, 0, 4]), matrix)
    dots = graph("Transpose", graph("Add", dots, form.size_px / 2), perm=[0, 2, 1])
    x = graph("Reshape", graph("Slice", dots, [0], [raster.DOTS], [1]), [0, -1, 1])
    y = graph("Reshape", graph("Slice", dots, [raster.DOTS], [2 * raster.DOTS], [1]), [0, 1, -1])
    centres = form.centres.numpy()
    columns = _spread(graph, form, graph("Sub", x, centres))
    rows = _spread(graph, form, graph("Sub", y, centres[:, None]))
    weights = graph("Unsqueeze", graph("Concat", *[ink] * raster.DOTS, axis=2), [2])
    heights = graph("Mul", weights, graph("Unsqueeze", rows, [1]))
    heights = graph("Reshape", heights, [0, raster.CHANNELS * form.size_px, -1])
    pictures = graph("MatMul", heights, columns)
    return graph("Reshape", pictures, [0, raster.CHANNELS, form.size_px, form.size_px])


def _spread(graph: Graph, form: raster.Raster, off: str) -> str:
    """Write `Raster._spread` as nodes."""
    return graph("Exp", graph("Mul", graph("Mul", off, off), -0.5 / form.spread**2))


def _directions(graph: Graph, ends: str) -> tuple[str, str]:
    """Write `raster.directions` as nodes: (B, N, 4) and (B, N, 1)."""
    begin, end = (graph("Gather", ends, at, axis=2) for at in (0, 1))
    vector = graph("Sub", end, begin)
    length = _length(graph, vector)
    unit = graph("Div", vector, length)
    cos, sin = (graph("Gather", unit, [axis], axis=2) for axis in (0, 1))
    cos_2 = graph("Sub", graph("Mul", cos, cos), graph("Mul", sin, sin))
    sin_2 = graph("Mul", graph("Mul", cos, sin), 2.0)
    return graph("Concat", unit, cos_2, sin_2, axis=2), length


def _length(graph: Graph, vector: str) -> str:
    """Return the lengths (B, N, 1) of vectors (B, N, 2)."""
    square = graph("ReduceSum", graph("Mul", vector, vector), [2])
    return graph("Sqrt", graph("Add", square, raster.EPSILON))


def _ink_by_channel(
    graph: Graph, form: raster.Raster, directions: str, length: str, mask: str
) -> str:
    """Write `raster._ink_by_channel` as nodes, with the constant factors that follow it."""
    flat = graph("Max", graph("Mul", length, raster.FILL * form.size_px), raster.DOT_PX)
    flat = graph("Mul", flat, 1 / form.ink_of_line)
    ink = graph("Where", graph("Unsqueeze", mask, [2]), flat, 0.0)
    inks = graph("Concat", ink, graph("Mul", directions, ink), axis=2)
    return graph("Transpose", inks, perm=[0, 2, 1])


def _turned(graph: Graph, pictures: str) -> str:
    """Write `raster.turned` as nodes."""
    far = np.iinfo(np.int64).min
    flipped = graph("Slice", pictures, [-1, -1], [far, far], [2, 3], [-1, -1])
    return graph("Mul", flipped, np.array(raster.TURN).reshape(-1, 1, 1))


def _trace_logits(graph: Graph, recogniser: Recogniser, upright: str) -> str:
    """Return what the trace network answers to both ways up: `TraceNetwork.forward`."""
    network = recogniser.network.trace
    upside_down = graph("Mul", upright, np.array(trace.TURN).reshape(-1, 1, 1))
    values = graph("Concat", upright, upside_down, axis=0)
    is_segment = graph("Slice", values, [0], [1], [1])  # the feature that is always one
    for layer in network.layers:
        values = layer_nodes(graph, layer, values)
        if isinstance(layer, nn.MaxPool2d):
            is_segment = layer_nodes(graph, layer, is_segment)
        else:
            values = graph("Mul", values, is_segment)
    number = graph("Max", graph("ReduceSum", is_segment, [2, 3], keepdims=0), 1.0)
    mean = graph("Div", graph("ReduceSum", values, [2, 3], keepdims=0), number)
    most = graph("ReduceMax", values, [2, 3], keepdims=0)
    return layer_nodes(graph, network.head, graph("Concat", mean, most, axis=1))


def _traces(graph: Graph, ends: str, directions: str, mask: str) -> str:
    """Write `trace.traces` as nodes."""
    begin, end = (graph("Gather", ends, at, axis=2) for at in (0, 1))
    first, last = graph("Slice", begin, [0], [1], [1]), graph("Slice", end, [0], [-1], [1])
    jump = graph("Sub", begin, graph("Concat", first, last, axis=1))
    jumps = graph("Mul", graph("Concat", jump, _length(graph, jump), axis=2), 2.0)
    is_segment = graph("Unsqueeze", graph("Cast", mask, to=TensorProto.FLOAT), [2])
    columns = graph("Concat", graph("Add", begin, end), directions, jumps, axis=2)
    columns = graph("Concat", is_segment, graph("Mul", columns, is_segment), axis=2)
    return graph("Unsqueeze", graph("Transpose", columns, perm=[0, 2, 1]), [2])


def _write_outputs(graph: Graph, both: str, recogniser: Recogniser) -> None:
    """Write `Recogniser.logits` and `forward` as nodes, from the answers to both ways up."""
    classes = recogniser.classes
    count = graph("Shape", "count")
    upright = graph("Slice", both, [0, 0], graph("Concat", count, [classes], axis=0), [0, 1])
    first = graph("Concat", count, [classes], axis=0)
    turned = graph("Slice", both, first, [np.iinfo(np.int64).max] * 2, [0, 1])
    logits = graph("Mul", graph("Add", upright, turned), 0.25, output="logits")
    cooled = graph("Div", logits, recogniser.temperature.numpy())
    graph("Softmax", cooled, axis=1, output="probabilities")


def scores(graph: Any, segments: Floats, count: Counts) -> tuple[Floats, Floats]:
    """Return the probabilities and logits (B, classes) of drawings."""
    inputs = {"segments": segments, "count": count.astype(np.int32)}
    probabilities, logits = graph.run(OUTPUTS, inputs)
    return probabilities, logits


def parity(
    recogniser: Recogniser, graph: Any, segments: Floats, count: Counts, limit: float = PARITY
) -> float:
    """Return the largest difference in probability between network and graph on drawings.

    Raises: ArtefactRefused (more than `limit`, or no number).
    """
    with torch.no_grad():
        expected = recogniser(torch.from_numpy(segments), torch.from_numpy(count))[0].numpy()
    difference = float(np.abs(expected - scores(graph, segments, count)[0]).max())
    if not difference <= limit:
        raise ArtefactRefused(
            reason=f"onnxruntime and torch differ by {difference:.2g} in probability"
        )
    return difference


def golden(graph: Any, segments: Floats, count: Counts) -> list[Golden]:
    """Return each drawing alone with what the graph answers, for a server to check itself."""
    found = []
    for drawing, number in zip(segments, count, strict=True):
        alone = drawing[:number].round(3)
        probabilities, _ = scores(graph, alone[None], np.array([number]))
        found.append(Golden(input=alone.tolist(), scores=probabilities[0].tolist()))
    return found
