"""The client's part of datasets: make one, look at them, put files into one."""

from collections.abc import Iterable, Iterator

from volano.schemas.accounts import NameTaken
from volano.schemas.common import Name
from volano.schemas.datasets import Dataset, DatasetChange, NewDataset, Outcome
from volano.schemas.errors import Missing
from volano.schemas.imports import DatasetOfOtherKind
from volano.sdk import uploads
from volano.sdk.transport import Transport, path
from volano.sdk.uploads import Upload


class Datasets:
    """Records that belong together: every record is in one dataset."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def ls(self) -> Iterator[Dataset]:
        """Yield every dataset."""
        return self._transport.pages("/datasets", Dataset)

    def show(self, name: Name) -> Dataset:
        """Return one dataset with the labels of its records."""
        return self._transport.call("GET", path("datasets", name), Dataset)

    def create(
        self,
        name: Name,
        fields: dict[str, str],
        *,
        licence: str = "",
        source: str = "",
        description: str = "",
    ) -> Dataset:
        """Make a dataset: `fields` tells the kind of each, such as {"image": "image"}."""
        said = {"licence": licence, "source": source, "description": description}
        new = NewDataset(name=name, fields=fields, **said)
        return self._transport.call("POST", "/datasets", Dataset, body=new)

    def edit(
        self,
        name: Name,
        *,
        licence: str | None = None,
        source: str | None = None,
        description: str | None = None,
        archived: bool | None = None,
    ) -> Dataset:
        """Change what a dataset says of itself; what is not given stays."""
        change = DatasetChange(
            licence=licence, source=source, description=description, archived=archived
        )
        return self._transport.call("PATCH", path("datasets", name), Dataset, body=change)

    def rm(self, name: Name) -> None:
        """Remove a dataset that has no records."""
        self._transport.fetch("DELETE", path("datasets", name))

    def ensure(self, name: Name, fields: dict[str, str]) -> Dataset:
        """Return the dataset of this name, made with these fields if it is not there.

        A single field may be called otherwise in it.

        Raises: DatasetOfOtherKind, DatasetReserved.
        """
        try:
            found = self.show(name)
        except Missing:
            try:
                found = self.create(name, fields)
            except NameTaken:  # somebody else has just made it
                found = self.show(name)
        kinds, held = list(fields.values()), list(found.fields.values())
        if held != kinds or (len(kinds) > 1 and list(found.fields) != list(fields)):
            raise DatasetOfOtherKind(name=name, held=", ".join(held), kind=", ".join(kinds))
        return found

    def upload(self, name: Name, files: Iterable[Upload]) -> Iterator[list[Outcome]]:
        """Put files into a dataset; yield what became of each batch, in the order of the files.

        Each is stored or refused by itself. What the server has already is not sent again.
        """
        return uploads.upload(self._transport, name, files)
