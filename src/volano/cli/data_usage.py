"""`volano data usage`: what takes the disk."""

from typing import TYPE_CHECKING

from volano.cli import render
from volano.cli.render import Columns, Look
from volano.cli.terminal import Here

if TYPE_CHECKING:
    from volano.schemas.usage import BlobUsage, DatasetUsage, Usage

DATASETS: "Columns[DatasetUsage]" = {
    "DATASET": lambda one: one.name,
    "RECORDS": lambda one: one.records,
    "CONTENT": lambda one: render.size(one.bytes),
}
BLOBS: "Columns[BlobUsage]" = {
    "STORED FOR": lambda one: one.of,
    "BLOBS": lambda one: one.blobs,
    "SIZE": lambda one: render.size(one.bytes),
}


def usage(*, terminal: Here) -> None:
    """Show what takes the disk: records by dataset, and what is stored for what.

    The content of a dataset is as it came; on the disk it is packed, in segments.

    Example:
        volano data usage
    """
    terminal.show(terminal.client.usage(), _view)


def _view(found: "Usage", look: Look) -> str:
    shown = [render.table(found.datasets, DATASETS, look)] if found.datasets else []
    shown += [render.table(found.blobs, BLOBS, look)] if found.blobs else []
    return "\n\n".join([*shown, f"{render.size(found.bytes)} in all, besides the database"])
