"""The client's part of attributes: correct labels, flag and tag records, see what was stated."""

from collections.abc import Sequence
from typing import Any

from volano.schemas.attributes import Attribute, AttributeChange, Changed, NewAttribute
from volano.schemas.common import Id, Uuid
from volano.schemas.data import RecordFilter
from volano.sdk.transport import Transport, path

STATING_S = 300.0
"""As long as a server lets a statement about many records take."""


class Attributes:
    """What is stated of records after they came; nothing that was stated goes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def state(self, id: Id, name: str, value: Any) -> list[Attribute]:
        """State an attribute of a record, such as its `label`; return all that was stated."""
        at, new = path("records", id, "attributes"), NewAttribute(name=name, value=value)
        return self._transport.call("POST", at, list[Attribute], body=new)

    def state_all(
        self,
        name: str,
        value: Any,
        *,
        ids: Sequence[Uuid] | None = None,
        filter: RecordFilter | None = None,
        dry_run: bool = False,
    ) -> Changed:
        """State an attribute of the records with these ids, or of those that fit a filter."""
        given = list(ids) if ids is not None else None
        change = AttributeChange(name=name, value=value, ids=given, filter=filter, dry_run=dry_run)
        at = "/records/attributes"
        return self._transport.call("POST", at, Changed, body=change, timeout_s=STATING_S)

    def history(self, id: Id) -> list[Attribute]:
        """Return all that was stated of a record, in order."""
        return self._transport.call("GET", path("records", id, "attributes"), list[Attribute])
