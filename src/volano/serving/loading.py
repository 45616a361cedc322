"""Loading a version: its exported graph becomes warm, and proves to answer as when it trained."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state

from volano.schemas.registry import ArtefactRefused, DrawingSpec, VersionFile
from volano.schemas.serving import GoldenMismatch
from volano.serving import drawings
from volano.serving.runtime import CallCost, Floats, GraphInputs, LoadedVersion, run

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


def load(version: str, graph: bytes, told: VersionFile) -> LoadedVersion:
    """Load a version, warm and check it; call it in a thread, for it takes some 10 to 200 ms.

    Raises: GoldenMismatch (it does not reproduce its own golden answers), ArtefactRefused (it has
    none, or cannot run here).
    """
    if not told.golden:
        raise ArtefactRefused(reason="it has no golden answers to check itself by")
    takes = told.signature.input
    if not isinstance(takes, DrawingSpec):
        raise ArtefactRefused(reason="only drawings are answered here")
    if takes.tolerance <= 0 or takes.max_segments < 1:
        raise ArtefactRefused(reason="it does not say how to cut a drawing into segments")
    try:
        session = open_session(graph)
        golden = [drawings.padded([np.array(g.input, np.float32)]) for g in told.golden]
        answered = np.concatenate([run(session, inputs) for inputs in golden])
        expected = np.array([g.scores for g in told.golden], np.float32)
    except _UNFIT as error:
        raise ArtefactRefused(reason=f"its graph does not run here: {error}"[:500]) from error
    _check(version, answered, expected, len(told.signature.classes))
    return LoadedVersion(version, told, session, CallCost(_cost_s(session, golden[0])))


def open_session(graph: bytes) -> Any:
    """Open a session of onnxruntime that calls the graph in the thread of its caller."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Spinning threads steal the core that answers requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _check(version: str, answered: Floats, expected: Floats, classes: int) -> None:
    if not answered.shape == expected.shape == (len(expected), classes):
        raise ArtefactRefused(reason=f"it answers {answered.shape[1:]} for {classes} classes")
    error = float(np.abs(answered - expected).max())
    # `not <=` so that NaN is a mismatch too.
    if not error <= GOLDEN_TOLERANCE:
        raise GoldenMismatch(version=version, error=round(error, 6))


def _cost_s(session: Any, inputs: GraphInputs) -> float:
    """Measure what a call takes of the processor, s: the least, for neighbours only add to it."""
    times = []
    for _ in range(_WARM_CALLS):
        start = time.thread_time()
        run(session, inputs)
        times.append(time.thread_time() - start)
    return min(times)
