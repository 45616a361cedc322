"""Runs on this machine: one process in a session of its own per run."""

import asyncio
import os
from pathlib import Path
from typing import Self

import msgspec

from volano.core.compute import folders
from volano.core.compute.handle import LocalHandle
from volano.core.compute.pipes import Pipes
from volano.core.compute.port import FolderInUse, ProcessSpec, StartFailed

# -P: the working directory is not on sys.path; -s: no user site-packages.
_COMMAND = ("-P", "-s", "-m", "volano.harness.child")


class LocalCompute:
    """A process per run, with an environment made from nothing, watched until it is gone."""

    def __init__(self) -> None:
        self._handles: set[LocalHandle] = set()

    async def start(self, spec: ProcessSpec) -> LocalHandle:
        """Start one run; call it in the thread of the event loop.

        Raises: FolderInUse, StartFailed.
        """
        self._handles = {handle for handle in self._handles if not handle.ended}
        _prepare(spec)
        pipes = Pipes.opened()
        try:
            process = await _spawn(spec, pipes)
        except OSError as error:
            pipes.close()
            folders.thaw(Path(spec.order.data))
            raise StartFailed(reason=str(error)) from error
        finally:
            pipes.close_child_ends()
        handle = LocalHandle(spec, process, pipes)
        self._handles.add(handle)
        return handle

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        for handle in self._handles:
            handle.cancel()
        await asyncio.gather(*(handle.wait() for handle in self._handles))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def environment(spec: ProcessSpec) -> dict[str, str]:
    """Return the whole environment of a run's process: nothing is taken over from this one."""
    threads = str(spec.order.limits.threads)
    libraries = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
    return {
        "PATH": os.pathsep.join((str(Path(spec.python).parent), os.defpath)),
        "HOME": str(spec.folder),
        "TMPDIR": str(spec.folder / "tmp"),
        "LANG": "C.UTF-8",
        # Sets of strings iterate in one order, so that equal runs stay equal.
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "VOLANO_DATA": spec.order.data,
        "VOLANO_ARTEFACT": spec.order.artefact,
        **{f"{library}_NUM_THREADS": threads for library in libraries},
        # Threads that spin while they wait cost a training 3 x the time where cores are shared,
        # threads that never spin cost it 1.5 x where cores are free: these spin a little.
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "1000",
        **spec.env,
    }


def _prepare(spec: ProcessSpec) -> None:
    spec.folder.mkdir(parents=True, exist_ok=True)
    try:
        with (spec.folder / "run.json").open("xb") as file:
            file.write(msgspec.json.encode(spec.order))
    except FileExistsError:
        raise FolderInUse(folder=spec.folder.name) from None
    (spec.folder / "tmp").mkdir(exist_ok=True)
    Path(spec.order.artefact).mkdir(parents=True, exist_ok=True)
    folders.freeze(Path(spec.order.data))


async def _spawn(spec: ProcessSpec, pipes: Pipes) -> asyncio.subprocess.Process:
    events, parent = pipes.events.write, pipes.parent.read
    return await asyncio.create_subprocess_exec(
        spec.python,
        *_COMMAND,
        *(str(spec.folder), str(events), str(parent)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipes.stdout.write,
        stderr=pipes.stderr.write,
        env=environment(spec),
        cwd=spec.folder,
        pass_fds=(events, parent),
        start_new_session=True,
    )
