"""The exported graph answers as the network does, for any number of drawings and segments."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.drawings import SHAPES, drawn, omniglot_drawings
from volano.data.formats.line_segments import MAX_SEGMENTS, segments
from volano.schemas.registry import ArtefactRefused


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with random weights and its graph."""
    import torch

    from volano.training.recipes.drawing import export
    from volano.training.recipes.drawing.network import Recogniser

    torch.manual_seed(3)
    recogniser = Recogniser(5, size_px=32, width=8, dropout=0.3).eval()
    recogniser.temperature.fill_(0.05)  # sharp, so that differences would show
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export.write(recogniser, path)
    return recogniser, path


def batch(drawings: list, rows: int = MAX_SEGMENTS) -> tuple[np.ndarray, np.ndarray]:
    cut = [segments(d) for d in drawings]
    whole = np.zeros((len(cut), rows, 4), np.float32)
    for row, drawing in zip(whole, cut, strict=True):
        row[: len(drawing)] = drawing
    return whole, np.array([len(c) for c in cut], np.int32)


def some_drawings() -> list:
    rng = np.random.default_rng(0)
    return [drawn(shape, rng) for shape in SHAPES]


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("rows", [MAX_SEGMENTS, 300])
def test_the_graph_answers_as_the_network_for_any_batch(exported, copies: int, rows: int) -> None:
    from volano.training.networks import onnx_graph
    from volano.training.recipes.drawing import export

    recogniser, path = exported
    whole, count = batch(some_drawings() * copies, rows)
    assert export.parity(recogniser, onnx_graph.session(path), whole, count) <= 1e-5


def test_the_graph_answers_as_the_network_on_real_drawings(exported, shared_data) -> None:
    from volano.training.networks import onnx_graph
    from volano.training.recipes.drawing import export

    recogniser, path = exported
    whole, count = batch(omniglot_drawings(shared_data("strokes-omniglot-small1"), each=30))
    assert export.parity(recogniser, onnx_graph.session(path), whole, count) <= 1e-5


def test_a_drawing_gets_the_same_answer_alone_and_in_a_batch(exported) -> None:
    from volano.training.networks import onnx_graph
    from volano.training.recipes.drawing import export

    graph = onnx_graph.session(exported[1])
    whole, count = batch(some_drawings())
    together, _ = export.scores(graph, whole, count)
    pairs = zip(whole, count, strict=True)
    alone = [export.scores(graph, w[None, :n], np.array([n]))[0][0] for w, n in pairs]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_file_is_complete_in_itself(exported) -> None:
    path: Path = exported[1]
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]


def test_a_graph_that_answers_otherwise_is_refused(exported) -> None:
    import torch

    from volano.training.networks import onnx_graph
    from volano.training.recipes.drawing import export

    recogniser, path = exported
    graph = onnx_graph.session(path)
    recogniser.temperature.mul_(3)
    try:
        with pytest.raises(ArtefactRefused, match="differ by"):
            export.parity(recogniser, graph, *batch(some_drawings()))
        with torch.no_grad():
            recogniser.temperature.fill_(torch.nan)
        with pytest.raises(ArtefactRefused, match="differ by nan"):
            export.parity(recogniser, graph, *batch(some_drawings()))
    finally:
        recogniser.temperature.fill_(0.05)


def test_golden_drawings_get_the_answers_stored_with_them(exported) -> None:
    from volano.training.networks import onnx_graph
    from volano.training.recipes.drawing import export

    graph = onnx_graph.session(exported[1])
    for one in export.golden(graph, *batch(some_drawings())):
        drawing = np.array(one.input, np.float32)
        found, _ = export.scores(graph, drawing[None], np.array([len(drawing)]))
        np.testing.assert_allclose(found[0], one.scores, atol=1e-5)
