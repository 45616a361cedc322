"""Two models are compared on the records that both have answered, each once."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volano.evaluation import answers
from volano.schemas.evaluation import AnswersUnreadable


def written(rows: dict[str, tuple[str, str]], **more: Any) -> bytes:
    """A file of answers: label and predicted class by record."""
    columns = {
        "record_id": list(rows),
        "label": [label for label, _ in rows.values()],
        "predicted": [predicted for _, predicted in rows.values()],
        "scores": [[0.5, 0.5]] * len(rows),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns | more), sink)
    return sink.getvalue()


def test_only_records_of_both_are_paired_by_their_ids() -> None:
    first = answers.read("a", written({"3": ("x", "x"), "1": ("x", "y"), "9": ("x", "x")}))
    second = answers.read("b", written({"1": ("x", "x"), "2": ("y", "y"), "3": ("x", "y")}))
    before, after = answers.paired(first, second)
    assert np.array_equal(before, [0.0, 1.0])
    assert np.array_equal(after, [1.0, 0.0])


def test_models_with_no_record_in_common_pair_nothing() -> None:
    first, second = (answers.read("a", written({id: ("x", "x")})) for id in "12")
    assert [len(values) for values in answers.paired(first, second)] == [0, 0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (b"PAR1 is not enough PAR1", ""),
        (written({"1": ("x", "x")}, label=[None]), "a value is missing"),
        (written({"1": ("x", "x"), "2": ("x", "x")}, record_id=["1", "1"]), "twice"),
        (written({"1": ("x", "x")}, label=[[1, 2]]), "cast"),
    ],
)
def test_what_is_no_file_of_answers_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(AnswersUnreadable) as refused:
        answers.read("ver_1", data)
    assert refused.value.facts["id"] == "ver_1"
    assert reason in refused.value.facts["reason"]


def test_a_column_that_is_not_there_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"record_id": ["1"]}), sink)
    with pytest.raises(AnswersUnreadable):
        answers.read("ver_1", sink.getvalue())
