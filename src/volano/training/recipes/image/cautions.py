"""What to know before trusting a classifier of pictures, said in the words of its data."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from volano.evaluation import coverage
from volano.evaluation.coverage import Counts
from volano.schemas.evaluation import ClassificationReport
from volano.schemas.registry import ImageSpec
from volano.training.recipes.image.form import Seen

FEW = 5
"""Pictures of a class with fewer than this are too few to learn it from."""
ONE_SIDED = 0.9
"""Share of one class from which on an accuracy says little."""
NAMED = 5
"""Classes or records that one warning names; any further ones are counted."""


def of_labels(counts: Counts, unlabelled: int) -> list[str]:
    """Say which classes and splits are missing or too small to trust."""
    train = counts["train"]
    found = [*coverage.warnings(counts), *_of_splits(counts)]
    if few := sorted(name for name, number in train.items() if number < FEW):
        found.append(
            f"{named(few)}: fewer than {FEW} pictures to learn from; add some, or leave it out."
        )
    most = max(train, key=lambda name: train[name])
    share = train[most] / sum(train.values())
    if share > ONE_SIDED:
        found.append(
            f"{share:.0%} of the pictures to learn from are {most!r}: always saying so would be as"
            " accurate; look at recall and F1 of the other classes."
        )
    if unlabelled:
        many = "picture without a label is" if unlabelled == 1 else "pictures without a label are"
        found.append(f"{unlabelled} {many} left out.")
    return found


def _of_splits(counts: Counts) -> list[str]:
    """Say which splits are missing and what is done without them."""
    found = []
    if not counts["valid"]:
        found.append(
            "There are no pictures to validate on: a tenth of those to learn from is held out to"
            " say when to stop and how sure to be."
        )
    if not counts["test"]:
        found.append(
            "There are no pictures to test on: the figures are those of the validation pictures,"
            " which said when to stop, so they flatter."
        )
    return found


def of_pictures(seen: Sequence[Seen], spec: ImageSpec) -> list[str]:
    """Say what of the pictures' sizes the network cannot see, or should not."""
    smallest = min(max(one.height, one.width) for one in seen)
    shown = max(spec.height, spec.width)
    if smallest * 2 >= shown:
        return []
    return [
        f"Some pictures are only {smallest} px large and are blown up to {shown}: a network may"
        " tell classes apart by that; `--size_px` sets another size."
    ]


def of_unreadable(records: Sequence[str]) -> list[str]:
    """Say which records are left out because they cannot be read."""
    if not records:
        return []
    return [f"Left out, since they cannot be read as pictures: {named(records)}."]


def of_figures(report: ClassificationReport) -> list[str]:
    """Say where the network is not worth its trouble."""
    simple = report.baseline
    if simple is None or report.accuracy > simple.accuracy or report.accuracy == 1:
        return []
    return [
        f"The baseline ({simple.name}) is right as often ({simple.accuracy:.1%}) as the network"
        f" ({report.accuracy:.1%}): more pictures, or more seconds, may help."
    ]


def named(names: Collection[str]) -> str:
    """Return some of the names, and how many there are besides."""
    shown = ", ".join(repr(name) for name in list(names)[:NAMED])
    more = len(names) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown
