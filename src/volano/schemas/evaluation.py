"""What a measurement says: the figures of a classifier, and how sure they are."""

from volano.schemas.common import Id, Struct
from volano.schemas.errors import Invalid


class Interval(Struct, frozen=True, kw_only=True):
    """Where a figure lies with the stated confidence."""

    low: float
    high: float
    level: float = 0.95


class Averages(Struct, frozen=True, kw_only=True):
    """Precision, recall and F1 of several classes as one figure each."""

    precision: float
    recall: float
    f1: float


class ClassFigures(Struct, frozen=True, kw_only=True):
    """How one class fared; null is undefined: the test set has no record of the class.

    A class that is there but was never predicted has precision 0.
    """

    name: str
    support: int
    """Records of this class in the test set."""
    predicted: int
    """Records that were taken for this class."""
    precision: float | None
    recall: float | None
    f1: float | None


class Confusion(Struct, frozen=True, kw_only=True):
    """One kind of mistake: `count` records of `truth` were taken for `predicted`."""

    truth: str
    predicted: str
    count: int
    share: float
    """Of all records of `truth`."""


class ReliabilityBin(Struct, frozen=True, kw_only=True):
    """The records predicted with a confidence above `low`, up to `high`."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


class BaselineFigures(Struct, frozen=True, kw_only=True):
    """How a simple classifier does on the same test set: what a model must beat."""

    name: str
    """What it is, in words."""
    accuracy: float
    macro_f1: float


class ClassificationReport(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="classification"
):
    """All figures of one classifier on one test set.

    `macro` and `weighted` average over the classes that have support; `micro` counts all records
    alike, so its three figures equal the accuracy.
    """

    classes: list[str]
    support: list[int]
    """Records of each class, in the order of `classes`."""
    n: int
    accuracy: float
    accuracy_interval: Interval
    macro: Averages
    micro: Averages
    weighted: Averages
    per_class: list[ClassFigures]
    confusion: list[list[int]]
    """`confusion[truth][predicted]`, both in the order of `classes`."""
    top_confusions: list[Confusion]
    """The most frequent mistakes, worst first."""
    temperature: float = 1.0
    """What logits were divided by for `ece_after` and `reliability`; fitted on other records."""
    ece_before: float
    """Expected calibration error of the raw probabilities."""
    ece_after: float
    reliability: list[ReliabilityBin]
    log_loss: float | None = None
    """Mean of minus the logarithm of the calibrated probability of the truth; null where that is 0
    for some record, and in reports of versions before it was measured."""
    brier: float | None = None
    """Mean squared distance of the calibrated probabilities from the truth, 0 to 2."""
    baseline: BaselineFigures | None = None
    warnings: list[str] = []
    """What the figures do not show, such as classes that the test set has no record of."""


class RegressionReport(Struct, frozen=True, kw_only=True, tag_field="type", tag="regression"):
    """All figures of one model that predicts a number, on one test set."""

    n: int
    mean_absolute_error: float
    root_mean_squared_error: float
    bias: float
    """Mean of what was predicted minus the truth."""
    explained: float | None
    """Share of the variance of the truth that is explained (R2); null where that has none."""
    warnings: list[str] = []


Report = ClassificationReport | RegressionReport
"""`evaluation.json`, by its `type`; one without is of a classifier."""


class Answered(Struct, frozen=True, kw_only=True):
    """What a version answered for one record of its test split."""

    record: Id
    drawn: str
    """The record's label."""
    taken_for: str
    """The class that the version gave it."""
    confidence: float | None = None
    """Null where the recipe did not write scores down."""


class Difference(Struct, frozen=True, kw_only=True):
    """How much better the second of two is on the same records; 0 inside means not known."""

    n: int
    """Records that both were measured on."""
    difference: float
    interval: Interval
    share_better: float
    """Of the resampled test sets, how many had the second ahead; ties count half."""


class NothingToEvaluate(Invalid):
    """There are no records to measure on."""

    remedy = "Give the test split at least one record."


class BadClassList(Invalid):
    """{count} class names do not name {columns} columns of scores, each once."""

    remedy = "Name every column once, in the order of the scores."


class BadTruth(Invalid):
    """The class of record {row} is {value}, not one of 0 to {last}."""

    remedy = "Number the classes by their position in the list of classes."


class BadScores(Invalid):
    """The scores of record {row} are not {expected}."""

    remedy = "Check the model for overflow; scores must be finite, probabilities must sum to 1."


class AnswersUnreadable(Invalid):
    """What version {id} answered for each record cannot be read: {reason}."""

    remedy = "Have the recipe write test_outputs.parquet: record_id, label, predicted, all texts."


class NothingShared(Invalid):
    """The versions {first} and {second} were not tested on a single record in common."""

    remedy = "Train both on one snapshot, or on snapshots with the same test_contributors."


class UnequalLengths(Invalid):
    """{first} and {second} values cannot be paired."""

    remedy = "Give both for the same records, in the same order."
