"""Which classes a classifier can learn from a snapshot's splits, and which it is measured on."""

from collections.abc import Collection, Mapping

from volano.schemas.harness import NoRecords, OneClass

Counts = Mapping[str, Mapping[str, int]]
"""Split -> class -> records of the class in the split."""

NAMED = 10
"""Classes that one warning names; any further ones are counted."""


def learnable(counts: Counts, needed: Collection[str] = ("train", "valid", "test")) -> list[str]:
    """Return the classes in the train and valid splits, by name.

    Raises: NoRecords (in a split that is needed), OneClass.
    """
    for split in needed:
        if not counts[split]:
            raise NoRecords(split=split)
    found = sorted({*counts["train"], *counts["valid"]})
    if len(found) == 1:
        records = sum(sum(counts[split].values()) for split in ("train", "valid"))
        raise OneClass(records=records, name=found[0])
    return found


def warnings(counts: Counts) -> list[str]:
    """Say which classes are in some splits only, and what of the figures that spoils."""
    train, valid, test = (set(counts[split]) for split in ("train", "valid", "test"))
    never, late, unmeasured = test - train - valid, valid - train, (train | valid) - test
    found = []
    if never:
        records = sum(counts["test"][name] for name in never)
        found.append(
            f"{_are(never)} only in the test split: the model has never seen such records and"
            f" cannot answer so; {records} of the test count as mistakes."
        )
    if late:
        found.append(
            f"{_are(late)} in the valid split and not in train: the model may not have learnt"
            f" {_it(late)}."
        )
    if test and unmeasured:
        found.append(
            f"{_are(unmeasured)} not in the test split: how well the model knows"
            f" {_it(unmeasured)} is not measured, whatever the accuracy says."
        )
    return found


def _it(classes: Collection[str]) -> str:
    return "it" if len(classes) == 1 else "them"


def _are(classes: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in sorted(classes)[:NAMED])
    more = f" and {len(classes) - NAMED} more" if len(classes) > NAMED else ""
    return f"{shown}{more} {'is' if len(classes) == 1 else 'are'}"
