"""Records on the shelf and snapshots of them, and why one is refused."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta
from msgspec.structs import force_setattr, replace

from volano.schemas.common import Id, Input, Name, Struct, Words, composed
from volano.schemas.datasets import Facts
from volano.schemas.errors import Conflict, Invalid, TooMuch


class QualityPart(Struct, frozen=True, kw_only=True):
    """One reason for a score: 1 is nothing to object to, 0 the worst."""

    name: str
    value: Annotated[float, Meta(ge=0, le=1)]
    reason: str


class Quality(Struct, frozen=True, kw_only=True):
    """How good a drawing is: the product of its parts, by one version of the scorer."""

    score: Annotated[float, Meta(ge=0, le=1)]
    parts: list[QualityPart]
    scorer_version: str


class RecordField(Struct, frozen=True, kw_only=True):
    """One field of a record that has several."""

    kind: str
    bytes: int
    facts: Facts = {}


class Record(Struct, frozen=True, kw_only=True):
    """One item on the shelf, as a listing shows it."""

    id: Id
    content: str
    """blake3 of the canonical payload, hex."""
    sha256: str = ""
    """SHA-256 of the bytes as they were sent, hex; nothing of drawings."""
    dataset: str = "drawings"
    kind: str = "drawing"
    """Of its first field."""
    label: str
    """What it shows, or what its contributor was asked for; empty: nobody has said."""
    split: str = ""
    """The split that it came with, such as the folder `train`; empty: none."""
    group: str = ""
    """What must not be divided between splits; empty: nothing."""
    synthetic: bool = False
    """Whether a program made it up."""
    contributor: str = ""
    origin: str = ""
    device: str = ""
    quality: float | None = None
    flags: list[str] = []
    facts: Facts = {}
    """What its kind says of it: width and height of an image, strokes of a drawing."""
    fields: dict[str, RecordField] = {}
    """Of a record with several fields, each."""
    bytes: int = 0
    """Of its payload; 0 of what was stored before sizes were kept."""
    captured_at: datetime
    received_at: datetime


class ExportedValue(Struct, frozen=True, kw_only=True):
    """One field of an exported record: text, or bytes in base64."""

    text: str | None = None
    data: str | None = None


class ExportedRecord(Record, frozen=True, kw_only=True):
    """A record as an export says it, with its payload as text or in base64."""

    quality_parts: Quality | None = None
    attributes: dict[str, Any] = {}
    """What was stated of it beside all this, such as its boxes."""
    values: dict[str, ExportedValue] = {}
    """Of a record with several fields, each."""
    text: str | None = None
    data: str | None = None


class UnknownRecordKind(Invalid):
    """Records of the kind {kind!r} cannot be read here."""

    remedy = "Run the version of Volano that stored them, then retry them from the quarantine."


class Quarantined(Conflict):
    """The {noun} {id} was received and is kept, but it cannot be read: {reason}."""

    remedy = "`volano data quarantine ls` lists what is kept so; `retry` or `rm` ends it."


Pattern = Annotated[str, Meta(max_length=200)]
"""A name, or a pattern: `*` stands for any characters, `?` for one, all else for itself."""


class RecordFilter(Input, frozen=True, kw_only=True):
    """Which records: every condition given must hold, an empty one holds for all."""

    datasets: Annotated[list[Name], Meta(max_length=200)] = []
    kinds: Annotated[list[Name], Meta(max_length=20)] = []
    labels: Annotated[list[Words], Meta(max_length=5000)] = []
    splits: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=20)] = []
    """As given with the records; the empty text is those without one."""
    synthetic: bool | None = None
    """True: only what a program made up; false: nothing of that."""
    origins: Annotated[list[str], Meta(max_length=200)] = []
    contributors: Annotated[list[Pattern], Meta(max_length=200)] = []
    min_quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    without_flags: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)] = []
    received_before: Annotated[datetime, Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        """Find labels however their accents were typed."""
        force_setattr(self, "labels", [composed(label) for label in self.labels])


class RecordCount(Struct, frozen=True, kw_only=True):
    """How many records fit a filter.

    Exact for datasets, kinds, labels, splits, origins, flags and what is synthetic in any
    combination, and for contributors, quality or time of receipt alone. Of other combinations some
    10,000 records are looked at.
    """

    records: int
    exact: bool = True
    """False: there are at least so many, and it would take long to find out how many more."""


Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


SplitBy = Literal["contributor", "group", "content", "given", "record", "none"]


class SplitRule(Input, frozen=True, kw_only=True):
    """Who goes where, by what must not be divided.

    - `contributor`: every contributor is in exactly one split, with all of their records.
    - `group`: so is every group that records were said to belong to; others go by content.
    - `content`: records of equal content are in one split, the shares are of contents.
    - `given`: as the records came, in folders or a column train, val(id), test; those that came
      without go by content, and with an equal one that came with a split. Given wins.
    - `record`: as by content, but who is in `test_contributors` tests alone.
    - `none`: all records train.

    `test_contributors` (names or patterns) are the test split; without any, `test` of the groups
    are, chosen by a hash of seed and name. Of the others `valid` validate. With too few groups for
    that, a split is empty. Stratified, the shares hold for each label.
    """

    by: SplitBy = "contributor"
    stratified: bool = False
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    valid: Annotated[float, Meta(gt=0, le=0.5)] = 0.1
    test: Annotated[float, Meta(gt=0, le=0.5)] = 0.2
    test_contributors: Annotated[list[Pattern], Meta(max_length=200)] = []


class NewSnapshot(Input, frozen=True, kw_only=True):
    """Records to freeze."""

    name: Name
    dataset: Name | None = None
    """Only of this dataset; `filter` may name several."""
    filter: RecordFilter = RecordFilter()
    split: SplitRule = SplitRule()

    @property
    def wanted(self) -> RecordFilter:
        """The filter with the dataset."""
        return replace(self.filter, datasets=[self.dataset]) if self.dataset else self.filter


class Overlap(Struct, frozen=True, kw_only=True):
    """Contents of which records are in several splits, because they came so."""

    contents: int = 0
    records: list[list[Id]] = []
    """Of the first of these contents, the ids of some records each."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """A frozen, hashed list of records with their splits: a dataset version."""

    id: Id
    hash: str
    """blake3 over the sorted (record, content, label, split): equal lists have equal hashes."""
    name: Name
    filter: RecordFilter
    split: SplitRule
    labels: list[str]
    records: int
    by_split: dict[str, int]
    missing: dict[Split, list[str]] = {}
    """The labels of which a split has no record; nothing of older snapshots."""
    overlap: Overlap = Overlap()
    warnings: list[str] = []
    """What a model that is trained on it cannot learn, or nothing can measure."""
    contributors: int
    created_at: datetime
    created_by: str


class SnapshotRecord(Struct, frozen=True, kw_only=True):
    """One line of a snapshot."""

    id: Id
    content: str
    label: str
    contributor: str
    split: Split
    deleted: bool = False
    """Its content is gone; the hash of the snapshot still has it."""


class NothingMatches(Invalid):
    """No record matches the filter, so there is nothing to freeze."""

    remedy = "`volano data ls` shows what is there; leave conditions out, or widen them."


class SeveralKinds(Invalid):
    """The records are of several kinds, {kinds}, which nothing can be trained on together."""

    remedy = "Freeze those of one dataset: `volano snapshots create NAME --dataset DATASET`."


class EmptySplit(Invalid):
    """The split {split!r} has no records, of {contributors} contributors in all."""

    remedy = (
        "Freeze again with `--split-by content` (at least three different records), name fewer "
        "test_contributors, or collect from more people."
    )


class NotStratified(Invalid):
    """Divided by {by}, records stay together whatever their labels: no share holds for a label."""

    remedy = "Stratify by content: `--split-by content --stratified`, or leave `--stratified` out."


class NobodyTests(Invalid):
    """No contributor of these records matches {patterns}, so nobody would test."""

    remedy = (
        "`volano data ls` shows contributors; in a pattern `*` and `?` stand for what differs, all "
        "else for itself."
    )


class StagedTooLarge(TooMuch):
    """The snapshot takes more than {limit} bytes as files, which is all that one run may read."""

    status = 413
    remedy = "Freeze a smaller snapshot, or raise VOLANO_RUN_MAX_DATA."
