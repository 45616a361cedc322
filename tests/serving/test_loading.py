"""A version that is loaded runs, or is refused before anybody asks it."""

import pytest

from tests.serving import graphs
from volano.core.context import Context
from volano.schemas.registry import ArtefactRefused, Golden
from volano.serving import loading


@pytest.mark.parametrize(
    "changes",
    [
        {"golden": []},
        {"golden": [Golden(input=[[0.0, 1.0]], scores=[0.2, 0.3, 0.5])]},
        {"golden": [Golden(input="a text", scores=[0.2, 0.3, 0.5])]},
        {"signature": graphs.signature(classes=["one", "two"])},
        {"signature": graphs.signature(tolerance=0.0)},
        {"signature": graphs.signature(max_segments=0)},
    ],
)
async def test_an_artefact_that_does_not_fit_its_graph_is_refused(
    server: Context, changes: dict[str, object]
) -> None:
    data = graphs.graph()
    with pytest.raises(ArtefactRefused):
        await loading.load(server, "ver_1", data, graphs.told(data, **changes))


async def test_bytes_that_are_no_graph_are_refused(server: Context) -> None:
    facts = graphs.told(graphs.graph())
    with pytest.raises(ArtefactRefused, match="does not run here"):
        await loading.load(server, "ver_1", b"not a graph", facts)
