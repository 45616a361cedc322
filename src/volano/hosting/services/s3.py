"""S3 as a child process: SeaweedFS with all its roles in one, on loopback only."""

import contextlib
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import obstore
from obstore.store import S3Store

from volano.hosting.services.binaries import weed_program
from volano.hosting.services.server import LocalServer

LISTENERS = (
    "s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port",
    "volume.port.grpc", "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip
# The roles also meet at sockets with these fixed names, which a killed server leaves behind.
LEFT_BEHIND = "/tmp/seaweedfs-*-{port}.sock"  # noqa: S108 - the name is SeaweedFS's, not ours


class S3Server(LocalServer):
    """An S3 server with one bucket whose data lives in `folder`.

    The ports are new at every start and the keys in every process. For a laptop or a test: the
    other roles answer on loopback without keys, and what was put survives kill -9 but perhaps
    not a power cut, as SeaweedFS does not sync (0 fsyncs in 300 puts).
    """

    name: ClassVar[str] = "S3 (SeaweedFS)"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, *, bucket: str = "volano") -> None:
        super().__init__(folder)
        self.bucket = bucket
        self.data = self.folder / "data"
        self.access_key = "volano"
        self.secret_key = secrets.token_hex(32)
        self._ports: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._ports.get('s3.port', 0)}"

    @property
    def url(self) -> str:
        """`s3://<bucket>?endpoint=<endpoint>`; the keys go beside it."""
        return f"s3://{self.bucket}?endpoint={self.endpoint}"

    def stop(self, timeout_s: float = 30.0) -> None:
        """Stop it cleanly, which takes about 2 s, or by force after `timeout_s`."""
        super().stop(timeout_s)
        self._remove_sockets()

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        super().kill()
        self._remove_sockets()

    def _prepare(self) -> None:
        self.data.mkdir(exist_ok=True)
        self._ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))

    def _command(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        argv: list[str | Path] = [weed_program(), f"-logdir={self.folder}", "mini"]
        # Below the working folder: of a whole path, a comma would make two.
        argv += [f"-dir={self.data.name}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        argv += [f"-{listener}={port}" for listener, port in self._ports.items()]
        argv += ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        argv += ["-master.telemetry=false", f"-bucket={self.bucket}"]
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        # The limit halves its memory after large uploads: 489 MB instead of 1.15 GB at the peak.
        return argv, {"HOME": str(self.folder), "GOMEMLIMIT": "300MiB", **keys}

    async def _probe(self) -> bool:
        """Put an object: listing works seconds before the first put does."""
        store = S3Store(
            self.bucket,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region="us-east-1",
            client_options={"allow_http": True, "timeout": "5s"},
            retry_config={"max_retries": 0},
        )
        try:
            await obstore.put_async(store, ".ready", b"1")
            await obstore.delete_async(store, ".ready")
        except (obstore.exceptions.BaseError, FileNotFoundError, PermissionError):
            return False
        return True

    def _remove_sockets(self) -> None:
        for port in self._ports.values():
            pattern = Path(LEFT_BEHIND.format(port=port))
            for left in pattern.parent.glob(pattern.name):
                left.unlink(missing_ok=True)


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that nothing listens on at this moment."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]
