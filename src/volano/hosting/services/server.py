"""A server that runs as our child: started, waited for, stopped, killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from volano.hosting.services.binaries import Account
from volano.schemas.services import ServiceFailed

T = TypeVar("T")

PATIENCE_S = 60.0
ATTEMPTS = 3
LAUNCH = Path(__file__).with_name("launch.py")

# The kernel signals a child when the *thread* that forked it ends, so all children come from this
# thread, which ends with the interpreter. It also is where our coroutines run beside the caller's.
_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="volano-services")


class LocalServer(ABC):
    """One server and its data folder, which outlives it.

    `start` returns when the real operation works; the port alone proves nothing. The server dies
    with this process, also when this process is killed (Linux; elsewhere it must be stopped).
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.log = self.folder / "server.log"
        self.account = Account.ours()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address, as a setting takes it."""

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Tell whether the process is alive, ready or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server and wait until it works.

        Raises: ServiceNotInstalled, ServiceFolderClosed, ServiceFailed with the end of the log.
        """
        if self.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with contextlib.ExitStack() as undo:
            undo.callback(self.kill)
            self._start()
            undo.pop_all()
        return self

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop it cleanly, or by force after `timeout_s`; do nothing where it does not run."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log_end(self, lines: int = 5) -> str:
        """Return the last lines that the server wrote."""
        return "\n".join(self.log.read_text(errors="replace").strip().splitlines()[-lines:])

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data folder and choose the address."""

    @abstractmethod
    def _command(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Return the command line and what is added to a bare environment."""

    @abstractmethod
    async def _probe(self) -> bool:
        """Try what the server is for, once; return whether it worked."""

    def _start(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            # A port can be taken between our look and its bind, and the memory of a killed
            # PostgreSQL is held until its last child noticed: both pass.
            self._prepare()
            self._launch()
            if in_launcher(self._ready(attempt)):
                return
        raise self._failure("it ended at once")

    def _launch(self) -> None:
        argv, env = self._command()
        with self.log.open("ab") as log:
            self._process = self._spawn(argv, env, log.fileno())

    def _spawn(
        self, argv: Sequence[str | Path], env: Mapping[str, str], log: int
    ) -> subprocess.Popen[bytes]:
        account = (self.account.user, self.account.group, int(self.stop_signal), os.getpid())
        words = [sys.executable, "-I", "-S", LAUNCH, *map(str, account), *argv]

        def launch() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                words,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

        return _LAUNCHER.submit(launch).result()

    async def _ready(self, attempt: int) -> bool:
        """Wait for the probe; return False where the process ended and another attempt is due."""
        for _ in range(round(PATIENCE_S / 0.02)):
            if not self.running:
                await asyncio.sleep(0.2 * attempt)
                return False
            if await self._probe():
                return True
            await asyncio.sleep(0.02)
        raise self._failure(f"it did not answer within {PATIENCE_S:.0f} s")

    def _failure(self, reason: str) -> ServiceFailed:
        return ServiceFailed(
            service=self.name, reason=f"{reason}\n{self.log_end()}", log=str(self.log)
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def in_launcher(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end outside the caller's event loop and return what it returns."""
    return _LAUNCHER.submit(asyncio.run, work).result()
