"""The client: every operation of a server's API as a typed call."""

from types import TracebackType
from typing import Final, Self

from volano.schemas import images
from volano.schemas.accounts import Caller
from volano.schemas.common import Id, Name
from volano.schemas.errors import Missing
from volano.schemas.labeling import UserStats
from volano.schemas.loop import Explanation, Kind
from volano.schemas.serving import Prediction
from volano.schemas.usage import Usage
from volano.sdk import config
from volano.sdk.accounts import Invites, Keys, Members
from volano.sdk.attributes import Attributes
from volano.sdk.data import Drawings, Quarantine, Records, Shapes, Snapshots
from volano.sdk.datasets import Datasets
from volano.sdk.deletion import Deletions
from volano.sdk.jobs import Jobs
from volano.sdk.registry import Runs, Versions
from volano.sdk.serving import Drawn, Endpoints, ImageFile, Predictions
from volano.sdk.transport import Backoff, Transport, path

ERRORS: Final = (images,)
"""Imported for their errors alone: what a server refuses is raised as its class."""

_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "run": ("run",),
    "ver": ("version",),
    "snap": ("snapshot",),
    "": ("prediction", "record"),
}
"""What an id may be the id of, by its prefix; both kinds without one are UUIDs."""

USAGE_S: Final = 300.0
"""As long as a server lets a look at all that is stored take."""


class Client:
    """Speaks to one server, from any thread.

        client = Client()                                  # the server that `volano login` chose
        run = client.runs.create(client.snapshots.show("letters").id)
        for run in client.runs.watch(run.id):
            print(run.progress)

    Words are the command line's: what `volano runs ls` prints, `client.runs.ls()` gives. Refusals
    are raised as the classes of `volano.schemas`. Writes are sent again when a connection fails.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        profile = config.read(url, key)
        self.url = profile.url
        transport = Transport(profile.url, profile.key, timeout_s=timeout_s, backoff=backoff)
        self._transport = transport
        self.shapes = Shapes(transport)
        self.drawings = Drawings(transport)
        self.records = Records(transport)
        self.attributes = Attributes(transport)
        self.deletions = Deletions(transport)
        self.datasets = Datasets(transport)
        self.quarantine = Quarantine(transport)
        self.jobs = Jobs(transport)
        self.snapshots = Snapshots(transport)
        self.runs = Runs(transport)
        self.versions = Versions(transport)
        self.endpoints = Endpoints(transport)
        self.predictions = Predictions(transport)
        self.keys = Keys(transport)
        self.members = Members(transport)
        self.invites = Invites(transport)

    def whoami(self) -> Caller:
        """Return who this client is to the server."""
        return self._transport.call("GET", "/whoami", Caller)

    def stats(self) -> UserStats:
        """Return what this contributor has drawn."""
        return self._transport.call("GET", "/user/stats", UserStats)

    def predict(
        self,
        endpoint: Name,
        input: Drawn | None = None,
        *,
        image: ImageFile | None = None,
        record: Id | None = None,
    ) -> Prediction:
        """Ask an endpoint about one drawing, image (a path or its bytes) or stored record.

        Raises: NothingActive, Invalid (it is nothing of the kind that the endpoint takes).
        """
        return self.endpoints.predict(endpoint, input, image=image, record=record)

    def usage(self) -> Usage:
        """Return what takes the disk."""
        return self._transport.call("GET", "/usage", Usage, timeout_s=USAGE_S)

    def explain(self, id: Id, kind: Kind | None = None) -> Explanation:
        """Explain what a thing was made from, and what was made from it.

        Without a kind, the id tells it. Raises: Missing.
        """
        *others, last = (kind,) if kind else kinds(id)
        for guess in others:
            try:
                return self._explain(guess, id)
            except Missing:
                continue
        return self._explain(last, id)

    def _explain(self, kind: Kind, id: Id) -> Explanation:
        return self._transport.call("GET", path("explain", kind, id), Explanation)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def kinds(id: Id) -> tuple[Kind, ...]:
    """Return what an id may be the id of."""
    prefix = id.partition("_")[0] if "_" in id else ""
    return _KINDS.get(prefix, _KINDS[""])
