"""ONNX graphs, node by node, and the forms there of the layers that networks are made of.

`torch.onnx.export` would give the same graphs, after 8 to 15 s of importing and tracing; this takes
0.1 s and folds the norms into the convolutions. What keeps the two forms together is the parity
that every run measures on its own records.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from volano.training.networks.layers import Convolution

OPSET, IR_VERSION = 18, 9

Floats = NDArray[np.float32]


class Graph:
    """ONNX nodes in the order in which they are called for; values are known by name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, op: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Apply `op` to values, named or given as numbers and arrays; the result's name."""
        output = output or f"{op.lower()}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        self.nodes.append(helper.make_node(op, names, [output], **attributes))
        return output

    def constant(self, value: Any) -> str:
        """Name a number or an array; floating point becomes 32 bits, the rest int64."""
        array = np.asarray(value)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def save(self, path: Path, name: str, inputs: list[Any], outputs: list[Any]) -> None:
        """Check the graph and write it to one file, constants and all."""
        whole = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(whole, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def layer_nodes(graph: Graph, layer: nn.Module, values: str) -> str:
    """Write one layer of the network as nodes."""
    match layer:
        case Convolution():
            weight, bias, attributes = _folded(layer)
            return graph("Relu", graph("Conv", values, weight, bias, **attributes))
        case nn.MaxPool2d():
            return graph("MaxPool", values, **_pooling(layer))
        case nn.AdaptiveAvgPool2d():
            return graph("GlobalAveragePool", values)
        case nn.Flatten():
            return graph("Flatten", values)
        case nn.Linear():
            weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
            return graph("Gemm", values, weight, bias, transB=1)
        case nn.Dropout():
            return values
    raise TypeError(f"no ONNX form of {layer} is written here")


def _folded(layer: Convolution) -> tuple[Floats, Floats, dict[str, Any]]:
    """Return weight, bias and attributes of the convolution that does the norm's work too."""
    convolution, norm = layer[0], layer[1]
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * factor[:, None, None, None]
    bias = norm.bias - norm.running_mean * factor
    attributes = {"pads": convolution.padding * 2, "strides": convolution.stride}
    return weight.detach().numpy(), bias.detach().numpy(), attributes


def _pooling(layer: nn.MaxPool2d) -> dict[str, Any]:
    """Return the attributes of a pooling; its strides are its kernel."""
    kernel = layer.kernel_size
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return {"kernel_shape": size, "strides": size, "ceil_mode": int(layer.ceil_mode)}


def session(path: Path) -> Any:
    """Load the graph on one thread, as a server runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
