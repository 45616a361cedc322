"""Where user code runs: one port, opened by URL.

`async with open_compute("local:") as compute`, then `handle = await compute.start(spec)`,
`async for event in handle.events()`, `exit = await handle.wait()`.
"""

from volano.core.compute.local import LocalCompute
from volano.core.compute.port import (
    Compute,
    Exit,
    FolderInUse,
    Handle,
    ProcessSpec,
    StartFailed,
    UnknownCompute,
)  # fmt: skip
from volano.core.compute.workers import WorkerPool

__all__ = [
    "Compute", "Exit", "FolderInUse", "Handle", "LocalCompute", "ProcessSpec", "StartFailed",
    "UnknownCompute", "WorkerPool", "open_compute",
]  # fmt: skip


def open_compute(url: str) -> Compute:
    """Return the adapter that `url` names; `local:` is this machine.

    Raises: UnknownCompute.
    """
    match url.partition(":")[0]:
        case "local":
            return LocalCompute()
        case scheme:
            raise UnknownCompute(scheme=scheme)
