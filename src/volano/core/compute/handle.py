"""One running process: its events, its logs, its limits, its end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Literal

from volano.core.compute import folders, session
from volano.core.compute.failure import Stop, failure_of
from volano.core.compute.logs import BoundedLog
from volano.core.compute.pipes import Pipe, Pipes, chunks
from volano.core.compute.port import Exit, ProcessSpec
from volano.harness.events import LINE_LIMIT, Lines, TokenBucket, decode
from volano.schemas.harness import AnyEvent, EventUnreadable, Failed, Finished, Line

WATCH_S = 0.1
"""Between two looks at a process: one costs 0.5 ms among 150 others."""

DRAIN_S = 2.0
"""For what is still in the pipes once the process is gone."""

WAITING_EVENTS = 4096
"""Events kept for a reader who is behind."""

TEXT_LIMIT = 2000
"""Bytes of a printed line in an event; the log file has all of it."""


class LocalHandle:
    """Supervises one process until nothing of it is left; made by LocalCompute only."""

    def __init__(
        self, spec: ProcessSpec, process: asyncio.subprocess.Process, pipes: Pipes
    ) -> None:
        self._spec, self._process, self._pipes = spec, process, pipes
        self._limits = spec.order.limits
        self._began = time.monotonic()
        self._events: asyncio.Queue[AnyEvent | None] = asyncio.Queue(WAITING_EVENTS)
        self._told = False
        self._end: Finished | Failed | None = None
        self._stop: Stop | None = None
        self._kill_at: float | None = None
        self._peak_rss = 0
        self._supervisor = asyncio.create_task(self._supervise())

    @property
    def pid(self) -> int:
        """Id of the process, which is also that of its session and group."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """True once `wait` answers at once."""
        return self._supervisor.done()

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Yield what the run tells, in order, until it has ended; for one reader."""
        while (event := await self._events.get()) is not None:
            yield event

    def cancel(self) -> None:
        """Ask the run to stop, and kill it after the grace time; may be repeated."""
        self._ask(Stop("cancelled", "The run was cancelled."))

    async def wait(self) -> Exit:
        """Return how the run ended, once no process of it is left."""
        return await asyncio.shield(self._supervisor)

    async def _supervise(self) -> Exit:
        readers = [
            asyncio.create_task(self._read_events(self._pipes.events)),
            asyncio.create_task(self._read_log(self._pipes.stdout, "stdout")),
            asyncio.create_task(self._read_log(self._pipes.stderr, "stderr")),
        ]
        code = await self._watch()
        seconds = time.monotonic() - self._began
        # Whatever the run left behind holds the pipes open, so it goes before the rest is read.
        session.end(self.pid, SIGKILL)
        _, late = await asyncio.wait(readers, timeout=DRAIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=bool(late))
        self._pipes.close()
        folders.thaw(self._spec.folder, Path(self._spec.order.data))
        self._put(None)
        return self._exit(code, seconds)

    async def _watch(self) -> int:
        """Enforce the limits until the process is gone; return its exit code."""
        gone = asyncio.create_task(self._process.wait())
        while not (await asyncio.wait({gone}, timeout=WATCH_S))[0]:
            self._check_memory()
            self._check_time(time.monotonic())
        return gone.result()

    def _check_memory(self) -> None:
        used = session.memory(self.pid, self._limits.memory)
        self._peak_rss = max(self._peak_rss, used)
        if used > self._limits.memory:
            self._end_now(
                Stop("user.resource", f"It used {used} of {self._limits.memory} bytes of memory.")
            )

    def _check_time(self, now: float) -> None:
        seconds, grace = self._spec.order.seconds, self._spec.grace_s
        # The child stops itself in time where it can: it knows the line. This is for the rest.
        if now > self._began + seconds + grace and self._kill_at is None:
            self._ask(Stop("user.timeout", f"The {seconds:g} s allowed for the run are used up."))
        if self._end and self._kill_at is None:
            self._kill_at = now + grace
        if self._kill_at is not None and now > self._kill_at:
            session.end(self.pid, SIGKILL)

    def _ask(self, stop: Stop) -> None:
        if self._stop or self._end:
            return
        self._stop = stop
        self._kill_at = time.monotonic() + self._spec.grace_s
        # Not its helpers: a data loader that vanishes would look like an error of the user.
        with suppress(ProcessLookupError):
            self._process.send_signal(SIGTERM)

    def _end_now(self, stop: Stop) -> None:
        self._stop = self._stop or stop
        session.end(self.pid, SIGKILL)

    async def _read_events(self, pipe: Pipe) -> None:
        lines = Lines(LINE_LIMIT)
        async with aclosing(chunks(pipe)) as received:
            async for chunk in received:
                for line in lines.feed(chunk):
                    # Torn by a signal, or written by the user's code.
                    with suppress(EventUnreadable):
                        self._tell(decode(line))

    async def _read_log(self, pipe: Pipe, stream: Literal["stdout", "stderr"]) -> None:
        log = BoundedLog(self._spec.folder / f"{stream}.log", self._limits.log)
        lines, bucket = Lines(TEXT_LIMIT), TokenBucket(20.0, time.monotonic)
        try:
            async with aclosing(chunks(pipe)) as received:
                async for chunk in received:
                    self._keep(log, chunk)
                    for line in lines.feed(chunk):
                        if bucket.allows():
                            self._put(self._line(line, stream))
        finally:
            log.close()

    def _keep(self, log: BoundedLog, chunk: bytes) -> None:
        try:
            log.write(chunk)
        except OSError as error:
            self._end_now(Stop("system.storage", f"The log cannot be written: {error}."))

    def _line(self, line: bytes, stream: Literal["stdout", "stderr"]) -> Line:
        at_s = round(time.monotonic() - self._began, 3)
        return Line(at_s=at_s, text=line.decode(errors="replace"), stream=stream)

    def _tell(self, event: AnyEvent) -> None:
        self._told = True
        if isinstance(event, Finished | Failed):
            self._end = event
        self._put(event)

    def _put(self, event: AnyEvent | None) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    def _exit(self, code: int, seconds: float) -> Exit:
        end = self._end
        return Exit(
            code=code,
            failure=failure_of(code=code, end=end, stop=self._stop, began=self._told),
            finished=end if isinstance(end, Finished) else None,
            peak_rss_bytes=max(self._peak_rss, end.peak_rss if end else 0),
            seconds=seconds,
            stdout=self._spec.folder / "stdout.log",
            stderr=self._spec.folder / "stderr.log",
        )
