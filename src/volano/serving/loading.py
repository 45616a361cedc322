"""Loading a version: its exported graph becomes warm, and proves to answer as when it trained."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from volano.schemas.registry import ArtefactRefused, VersionFile
from volano.schemas.serving import GoldenMismatch
from volano.serving.adapters import inputs_of
from volano.serving.adapters.outputs import outputs_of
from volano.serving.routing import CallCost, LoadedVersion

if TYPE_CHECKING:
    from volano.core.context import Context

Floats = NDArray[np.float32]
GraphInputs = dict[str, NDArray[Any]]

GOLDEN_TOLERANCE = 1e-3
"""Largest difference in probability between the runtime here and the one that trained."""

_WARM_CALLS = 5

_ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    error
    for error in vars(onnxruntime_pybind11_state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
"""What onnxruntime raises: its errors have no base of their own."""

_UNFIT: tuple[type[Exception], ...] = (*_ORT_ERRORS, ValueError, TypeError, IndexError)
"""What a graph made elsewhere may raise while it is loaded: not ours to foresee, only to refuse."""


async def load(ctx: Context, version: str, graph: bytes, told: VersionFile) -> LoadedVersion:
    """Load a version, warm and check it, in a thread: it takes some 10 to 200 ms.

    Raises: GoldenMismatch (it does not reproduce its own golden answers), ArtefactRefused (it has
    none, or cannot run here).
    """
    if not told.golden:
        raise ArtefactRefused(reason="it has no golden answers to check itself by")
    inputs, outputs = inputs_of(told.signature.input), outputs_of(told.signature.output)
    inputs.check(told.facts)
    golden = [await inputs.golden(ctx, one.input) for one in told.golden]

    def warm() -> LoadedVersion:
        try:
            session = open_session(graph)
            answered = np.concatenate([run(session, one, outputs.name) for one in golden])
            expected = np.array([one.scores for one in told.golden], np.float32)
        except _UNFIT as error:
            raise ArtefactRefused(reason=f"its graph does not run here: {error}"[:500]) from error
        _check(version, answered, expected, outputs.columns)
        cost = CallCost(cost_s(session, golden[0], outputs.name))
        return LoadedVersion(version, told, session, cost, inputs, outputs)

    return await asyncio.to_thread(warm)


def open_session(graph: bytes) -> Any:
    """Open a session of onnxruntime that calls the graph in the thread of its caller."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Spinning threads steal the core that answers requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run(session: Any, inputs: GraphInputs, name: str) -> Floats:
    """Call the graph once and return the output of this name, a row for each input."""
    given: Floats = session.run([name], inputs)[0]
    return given


def _check(version: str, answered: Floats, expected: Floats, columns: int) -> None:
    if not answered.shape == expected.shape == (len(expected), columns):
        raise ArtefactRefused(reason=f"it answers {answered.shape[1:]}, not {columns} numbers")
    error = float(np.abs(answered - expected).max())
    # `not <=` so that NaN is a mismatch too.
    if not error <= GOLDEN_TOLERANCE:
        raise GoldenMismatch(version=version, error=round(error, 6))


def cost_s(session: Any, inputs: GraphInputs, output: str) -> float:
    """Measure what a call takes of the processor, s: the least, for neighbours only add to it."""
    times = []
    for _ in range(_WARM_CALLS):
        start = time.thread_time()
        run(session, inputs, output)
        times.append(time.thread_time() - start)
    return min(times)
