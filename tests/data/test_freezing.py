"""A snapshot in the making, in files: what comes out is what came in, divided and sorted."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from volano.data.freezing import PART, Draft
from volano.schemas.data import SplitRule

PEOPLE = ["ada", "bob", "Zoë", "eve", "kim", "max", "o'neil", "李", "p-10", "p-9"]
LABELS = ["square", "circle", "star", "あ"]


def _id(group: int, number: int) -> bytes:
    return bytes.fromhex(f"0190b6b2{group:04x}70008000{number:012x}")


def known(count: int) -> list[tuple[Any, ...]]:
    """Rows of a snapshot by id, as the database gives them."""
    rows = (
        (
            *(_id(n % 7, n), bytes([n % 256]) * 32, LABELS[n % 4], PEOPLE[n % 10], f"seg_{n % 3}"),
            *(n, ("train", "val", "test", "")[n % 4], f"scene {n % 5}"),
        )
        for n in range(count)
    )
    return sorted(rows)


def drafted(
    folder: Path, rule: SplitRule, rows: list[tuple[Any, ...]], page: int = 1000
) -> dict[str, Any]:
    """Make a snapshot of rows that come `page` at a time; return its facts."""
    with Draft(folder, rule) as draft:
        for at in range(0, len(rows), page):
            draft.add(rows[at : at + page])
        draft.divide()
        for number in range(draft.parts):
            draft.write_part(number)
        return draft.facts()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (SplitRule(), "760392714c1b7c5effa0d575fbea967c78c829af3a931bbb74826fcdee162bef"),
        (
            SplitRule(seed=7, valid=0.3, test=0.5),
            "0b70d2b27c3588a1ff994162e11aba1cc73cdda05e5e59b3f3117c1d27b99d7a",
        ),
        (
            SplitRule(test_contributors=["p-*", "?da"]),
            "eb52739430206d3f537afca2d29bd1b8425f25edc61de9f9a79f9c5270c3be58",
        ),
        (
            SplitRule(by="record"),
            "4116025a3d61bc0f970890bee3af636951bacf1d79d1c4d4e9507582839683b4",
        ),
        (
            SplitRule(by="record", seed=7, valid=0.3, test=0.5),
            "9a29022cdd58ca65262e903b8a5b9c5232bf192cf4b17fa13b3a94daee8980d1",
        ),
        (
            SplitRule(by="record", test_contributors=["p-*", "?da"]),
            "22c772e987afbd1f81874d3f60deb4be1fbb8eedd419e44545886974f7af59cb",
        ),
    ],
)
def test_known_lists_are_divided_and_hashed_as_ever(
    rule: SplitRule, expected: str, tmp_path: Path
) -> None:
    """Hashes are names that people keep: changing how they are made makes all of them strangers."""
    facts = drafted(tmp_path, rule, known(120))
    assert facts["hash"] == expected
    assert facts["id"] == f"snap_{expected[:32]}"


def test_the_manifest_has_every_line_in_order_however_the_rows_came(tmp_path: Path) -> None:
    rows = known(2 * PART + 10)
    facts = []
    for page in (977, PART, len(rows)):
        folder = tmp_path / str(page)
        folder.mkdir()
        facts.append(drafted(folder, SplitRule(), rows, page))
        file = pq.ParquetFile(folder / "manifest.parquet")
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        assert sizes == [PART, PART, 10]
        lines = file.read().to_pylist()
        assert [bytes.fromhex(one["record"].replace("-", "")) for one in lines] == [
            row[0] for row in rows
        ]
        told = [
            (one["content"], one["label"], one["contributor"], one["segment"], one["row"])
            for one in lines
        ]
        assert told == [row[1:6] for row in rows]
        assert len({(one["contributor"], one["split"]) for one in lines}) == len(PEOPLE)
    assert facts[0] == facts[1] == facts[2]


def test_the_facts_count_what_is_there_by_split_and_name_what_is_not(tmp_path: Path) -> None:
    rows = [
        (_id(0, 0), b"0", "circle", "ada", "s", 0, "", ""),
        (_id(0, 1), b"1", "circle", "ada", "s", 1, "", ""),
        (_id(0, 2), b"2", "circle", "bob", "s", 2, "", ""),
        (_id(0, 3), b"3", "star", "bob", "s", 3, "", ""),
    ]
    facts = drafted(tmp_path, SplitRule(test_contributors=["bob"]), rows)
    assert facts["records"] == 4
    assert facts["contributors"] == 2
    assert facts["labels"] == ["circle", "star"]
    assert facts["by_split"] == {"train": 2, "valid": 0, "test": 2}
    assert facts["missing"] == {"train": ["star"], "valid": ["circle", "star"], "test": []}
    assert facts["manifest_size"] == (tmp_path / "manifest.parquet").stat().st_size


def test_contents_that_came_in_several_splits_are_listed_with_their_records(tmp_path: Path) -> None:
    rows = [
        (_id(0, 0), b"same", "circle", "ada", "s", 0, "train", ""),
        (_id(0, 1), b"else", "circle", "ada", "s", 1, "train", ""),
        (_id(0, 2), b"same", "circle", "ada", "s", 2, "test", ""),
    ]
    facts = drafted(tmp_path, SplitRule(by="given"), rows)
    ids = ["0190b6b2-0000-7000-8000-000000000000", "0190b6b2-0000-7000-8000-000000000002"]
    assert facts["overlap"] == {"contents": 1, "records": [ids]}
    assert facts["by_split"] == {"train": 2, "valid": 0, "test": 1}


def test_of_many_contents_in_several_splits_twenty_are_listed(tmp_path: Path) -> None:
    rows = [
        (_id(0, n), bytes([n // 2]), "circle", "ada", "s", n, ("train", "test")[n % 2], "")
        for n in range(100)
    ]
    overlap = drafted(tmp_path, SplitRule(by="given"), rows)["overlap"]
    assert overlap["contents"] == 50
    assert len(overlap["records"]) == 20
    assert {len(ids) for ids in overlap["records"]} == {2}


def test_a_draft_of_nothing_counts_nothing(tmp_path: Path) -> None:
    facts = drafted(tmp_path, SplitRule(), [])
    assert facts["records"] == 0
    assert facts["by_split"] == {"train": 0, "valid": 0, "test": 0}
