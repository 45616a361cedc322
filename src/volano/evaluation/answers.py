"""What a model took each record of its test split for, as recipes write it down."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from volano.schemas.evaluation import Answered, AnswersUnreadable

FILE = "test_outputs.parquet"
COLUMNS = ("record_id", "label", "predicted")
LARGEST = 512 * 2**20
"""Bytes of these columns in memory."""

_BATCH = 4096


def read(id: str, data: bytes) -> pa.Table:
    """Return, from the FILE of version `id`, each `record_id` once and whether it was `right`.

    Raises: AnswersUnreadable (a user's code wrote the file: it may be anything).
    """
    texts = _texts(id, data)
    if pc.count_distinct(texts["record_id"]).as_py() != texts.num_rows:
        raise AnswersUnreadable(id=id, reason="a record is there twice")
    right = pc.equal(texts["label"], texts["predicted"])
    return pa.table({"record_id": texts["record_id"], "right": right})


def chosen(id: str, data: bytes, drawn: str | None, taken_for: str | None) -> list[Answered]:
    """Return the answers of version `id` that were wrong, the most confident first.

    Those of one label, of one class that was given, or both; where both are the same, the answers
    that were right.

    Raises: AnswersUnreadable.
    """
    texts = _texts(id, data)
    label, predicted = texts["label"], texts["predicted"]
    wanted = pc.not_equal(label, predicted)
    if drawn is not None and drawn == taken_for:
        wanted = pc.equal(label, predicted)
    if drawn is not None:
        wanted = pc.and_(wanted, pc.equal(label, drawn))
    if taken_for is not None:
        wanted = pc.and_(wanted, pc.equal(predicted, taken_for))
    rows = np.flatnonzero(np.asarray(wanted))
    confidences = _confidences(id, data, rows)
    found = [
        Answered(record=record, drawn=truth, taken_for=given, confidence=confidence)
        for record, truth, given, confidence in zip(
            *(texts[name].take(rows).to_pylist() for name in COLUMNS), confidences, strict=True
        )
    ]
    return sorted(found, key=lambda one: (-(one.confidence or 0.0), one.record))


def _confidences(id: str, data: bytes, rows: NDArray[np.intp]) -> list[float | None]:
    """Return the largest score of each row; None where there are none."""
    file = pq.ParquetFile(io.BytesIO(data))
    kind = file.schema_arrow.field("scores").type if "scores" in file.schema_arrow.names else None
    if kind is None or not (pa.types.is_list(kind) and pa.types.is_floating(kind.value_type)):
        return [None] * len(rows)
    found: list[float | None] = []
    start = 0
    try:
        # Some at a time: with 1,000 classes the scores of a large test fill the memory.
        for batch in file.iter_batches(_BATCH, columns=["scores"]):
            here = rows[(rows >= start) & (rows < start + len(batch))] - start
            scores = batch["scores"].take(pa.array(here)).to_pylist()
            found += [max(one) if one else None for one in scores]
            start += len(batch)
    except (pa.ArrowException, OSError, TypeError) as error:
        raise AnswersUnreadable(id=id, reason=str(error)) from None
    return found


def _texts(id: str, data: bytes) -> pa.Table:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        _check_size(id, file.metadata)
        table = file.read(columns=list(COLUMNS)).select(COLUMNS)
        texts = pa.table([table[name].cast(pa.string()) for name in COLUMNS], names=COLUMNS)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise AnswersUnreadable(id=id, reason=str(error)) from None
    if any(texts[name].null_count for name in COLUMNS):
        raise AnswersUnreadable(id=id, reason="a value is missing")
    return texts


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
