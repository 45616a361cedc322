"""The trained classifier as an ONNX file that is known to answer as the network does."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from volano.data.formats import pixels
from volano.schemas.registry import ArtefactRefused, Golden, ImageSpec
from volano.training.networks.onnx_graph import Graph, layer_nodes
from volano.training.recipes.image.network import Classifier
from volano.training.recipes.image.staged import Pixels

OUTPUTS = ("probabilities", "logits")
PARITY = 1e-4
"""Largest difference in probability between network and graph that is put down to rounding."""

Floats = NDArray[np.float32]


def write(classifier: Classifier, path: Path) -> None:
    """Export to `path`: `pixels` uint8 (batch, height, width, channels) in, normalised inside."""
    graph, spec = Graph(), classifier.spec
    values = graph("Cast", "pixels", to=TensorProto.FLOAT)
    values = graph("Transpose", values, perm=[0, 3, 1, 2])
    values = graph("Sub", values, classifier.mean.numpy())
    values = graph("Div", values, classifier.deviation.numpy())
    for layer in classifier.network:
        values = layer_nodes(graph, layer, values)
    logits = graph("Identity", values, output="logits")
    cooled = graph("Div", logits, classifier.temperature.numpy())
    graph("Softmax", cooled, axis=1, output="probabilities")
    shape = ["batch", spec.height, spec.width, spec.channels]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", classifier.classes])
        for name in OUTPUTS
    ]
    graph.save(path, "classifier", inputs, outputs)


def scores(graph: Any, pictures: Pixels) -> tuple[Floats, Floats]:
    """Return the probabilities and logits (B, classes) of pictures."""
    probabilities, logits = graph.run(OUTPUTS, {"pixels": np.ascontiguousarray(pictures)})
    return probabilities, logits


def parity(classifier: Classifier, graph: Any, pictures: Pixels, limit: float = PARITY) -> float:
    """Return the largest difference in probability between network and graph on pictures.

    Raises: ArtefactRefused (more than `limit`, or no number).
    """
    with torch.no_grad():
        expected = classifier(torch.from_numpy(np.array(pictures)))[0].numpy()
    difference = float(np.abs(expected - scores(graph, pictures)[0]).max())
    if not difference <= limit:
        raise ArtefactRefused(
            reason=f"onnxruntime and torch differ by {difference:.2g} in probability"
        )
    return difference


def golden(graph: Any, spec: ImageSpec, number: int) -> list[Golden]:
    """Return pictures with what the graph answers, for a server to check itself by.

    They are patches of random colours. Nobody's picture may lie in a version: it would stay there
    after its record is deleted.
    """
    rng = np.random.default_rng(0)
    found = []
    for side in range(2, 2 + number):
        patches = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
        large = patches.resize((spec.width, spec.height), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        large.save(file, "PNG")
        payload = file.getvalue()
        seen = pixels.load(payload, spec.height, spec.width, spec.channels, spec.fit)
        probabilities, _ = scores(graph, seen[None])
        found.append(
            Golden(input=base64.b64encode(payload).decode(), scores=probabilities[0].tolist())
        )
    return found
