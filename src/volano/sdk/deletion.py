"""The client's part of deletion."""

from collections.abc import Sequence

from volano.schemas.common import Id, Uuid
from volano.schemas.data import RecordFilter
from volano.schemas.deletion import Deleted, Deletion
from volano.sdk.transport import Transport, path

DELETING_S = 300.0
"""As long as a server lets the deletion of many records take."""


class Deletions:
    """Deletes records, for good."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def delete(self, id: Id) -> None:
        """Delete one record; when this returns it is out of everything but old snapshots' lists."""
        self._transport.fetch("DELETE", path("records", id))

    def delete_all(
        self,
        *,
        confirm: int,
        ids: Sequence[Uuid] | None = None,
        filter: RecordFilter | None = None,
    ) -> Deleted:
        """Delete the records with these ids, or that fit a filter, if they are `confirm` many.

        Raises: CountDiffers (with how many they are).
        """
        given = list(ids) if ids is not None else None
        wanted = Deletion(ids=given, filter=filter, confirm=confirm)
        at = "/records/delete"
        return self._transport.call("POST", at, Deleted, body=wanted, timeout_s=DELETING_S)
