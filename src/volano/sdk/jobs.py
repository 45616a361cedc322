"""Background work as the client sees it."""

from collections.abc import Iterator, Sequence

from volano.schemas.common import Id
from volano.schemas.jobs import JobInfo, Requeue, Requeued, State
from volano.sdk.transport import Transport, path


class Jobs:
    """Background work: what waits, what runs, what failed for good."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self, *, state: State | None = None, topic: str | None = None) -> Iterator[JobInfo]:
        """List jobs, newest first."""
        return self._transport.pages("/jobs", JobInfo, {"state": state, "topic": topic})

    def show(self, id: Id) -> JobInfo:
        """Return one job. Raises: JobMissing."""
        return self._transport.call("GET", path("jobs", id), JobInfo)

    def requeue(self, ids: Sequence[Id] | None = None, *, signature: str | None = None) -> Requeued:
        """Try dead jobs again: these, those that failed alike, or all. Raises: NotDead."""
        wanted = Requeue(ids=list(ids) if ids else None, signature=signature)
        return self._transport.call("POST", "/jobs/requeue", Requeued, body=wanted)
