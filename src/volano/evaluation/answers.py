"""What a model took each record of its test split for, as recipes write it down."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volano.schemas.evaluation import AnswersUnreadable

FILE = "test_outputs.parquet"
COLUMNS = ("record_id", "label", "predicted")
LARGEST = 512 * 2**20
"""Bytes of these columns in memory."""


def read(id: str, data: bytes) -> pa.Table:
    """Return, from the FILE of version `id`, each `record_id` once and whether it was `right`.

    Raises: AnswersUnreadable (a user's code wrote the file: it may be anything).
    """
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        _check_size(id, file.metadata)
        table = file.read(columns=list(COLUMNS)).select(COLUMNS)
        texts = pa.table([table[name].cast(pa.string()) for name in COLUMNS], names=COLUMNS)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise AnswersUnreadable(id=id, reason=str(error)) from None
    if any(texts[name].null_count for name in COLUMNS):
        raise AnswersUnreadable(id=id, reason="a value is missing")
    if pc.count_distinct(texts["record_id"]).as_py() != texts.num_rows:
        raise AnswersUnreadable(id=id, reason="a record is there twice")
    right = pc.equal(texts["label"], texts["predicted"])
    return pa.table({"record_id": texts["record_id"], "right": right})


def paired(first: pa.Table, second: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for each of two versions, 1 where it was right and 0 elsewhere: (n,) each.

    Both are in the order of the ids of the records that both versions have answered.
    """
    both = first.join(second, "record_id", join_type="inner", right_suffix=" by the second")
    both = both.sort_by("record_id")
    columns = (both["right"], both["right by the second"])
    one, other = (np.asarray(column.to_numpy(), np.float64) for column in columns)
    return one, other


def _check_size(id: str, metadata: pq.FileMetaData) -> None:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    size = sum(one.total_uncompressed_size for one in columns if one.path_in_schema in COLUMNS)
    if size > LARGEST:
        raise AnswersUnreadable(id=id, reason=f"{size} bytes are more than {LARGEST}")
