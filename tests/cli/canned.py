"""One of everything that a server has, and a script that answers with it."""

from datetime import UTC, datetime, timedelta

import msgspec

from tests.sdk.scripted import Answer, Script, page, problem, value
from volano.schemas.accounts import Caller, Invite, Key, Member
from volano.schemas.attributes import Attribute, Changed
from volano.schemas.data import Quality, QualityPart, Record, RecordFilter, Snapshot, SplitRule
from volano.schemas.datasets import Dataset
from volano.schemas.drawings import Canvas, Drawing, Point, Stroke
from volano.schemas.errors import Missing
from volano.schemas.evaluation import (
    Answered,
    Averages,
    ClassFigures,
    ClassificationReport,
    Confusion,
    Difference,
    Interval,
)
from volano.schemas.jobs import JobInfo, Requeued
from volano.schemas.labeling import Shape
from volano.schemas.loop import Explanation, Fact, Link, QuarantinedRow, Retried
from volano.schemas.registry import (
    ClassesSpec,
    Comparison,
    DrawingSpec,
    Failure,
    File,
    Progress,
    Run,
    Series,
    Signature,
    Version,
)
from volano.schemas.serving import ClassesPrediction, Endpoint, Feedback, PredictResponse, Rollout
from volano.schemas.usage import BlobUsage, DatasetUsage, Usage

RECORD_ID = "019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10"
PREDICTION_ID = "019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a11"
RUN_ID, VERSION_ID, SNAPSHOT_ID, JOB_ID = "run_1", "ver_1", "snap_1", "job_1"
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

WHO = Caller(workspace="ws_1", workspace_name="acme", role="admin", member="mem_1", key="key_1")
SHAPE = Shape(name="circle", description="round", drawings=12)
RECORD = Record(
    id=RECORD_ID,
    content="ab" * 32,
    label="circle",
    contributor="greek-07",
    origin="omniglot",
    quality=0.875,
    flags=["time-normalised"],
    facts={"strokes": 2, "points": 4},
    captured_at=THEN,
    received_at=THEN,
)
DRAWING = Drawing(
    id=RECORD_ID,
    shape="circle",
    canvas=Canvas(width=105, height=105),
    strokes=[
        Stroke(points=[Point(x=0, y=0, timestamp=0), Point(x=100, y=100, timestamp=900)]),
        Stroke(points=[Point(x=100, y=0, timestamp=1500), Point(x=0, y=100, timestamp=2500)]),
    ],
    duration_ms=2500,
    device="import",
    origin="omniglot",
    contributor="greek-07",
    quality=Quality(
        score=0.875,
        parts=[QualityPart(name="pace", value=0.875, reason="speed varies by 31%")],
        scorer_version="1",
    ),
    captured_at=THEN,
    received_at=THEN,
)
DATASET = Dataset(
    name="photos",
    fields={"image": "image"},
    licence="CC0-1.0",
    labels=["cat", "traffic light"],
    records=1234,
    created_at=THEN,
)
PHOTO = Record(
    id="019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a12",
    content="cd" * 32,
    dataset="photos",
    kind="image",
    label="traffic light",
    facts={"media_type": "image/png", "width": 640, "height": 480, "name": "a.png"},
    bytes=4567,
    captured_at=THEN,
    received_at=THEN,
)
QUARANTINED = QuarantinedRow(
    id=RECORD_ID,
    stream="records",
    subject="greek-07",
    reason="unknown-codec-version: Stroke payloads of version 9 are not known here.",
    bytes=1234,
    received_at=THEN,
)
SNAPSHOT = Snapshot(
    id=SNAPSHOT_ID,
    hash="b3_aa",
    name="letters",
    filter=RecordFilter(origins=["omniglot"]),
    split=SplitRule(test_contributors=["*-20"]),
    labels=["circle", "spiral"],
    records=2720,
    by_split={"train": 2000, "valid": 176, "test": 544},
    contributors=100,
    created_at=THEN,
    created_by="mem_1",
)
QUEUED = Run(
    id=RUN_ID,
    kind="training",
    state="queued",
    model="drawing",
    recipe="drawing",
    snapshot=SNAPSHOT_ID,
    params={"learning_rate": 0.001},
    seed=7,
    seconds=60.0,
    created_at=THEN,
    created_by="mem_1",
)
RUNNING = msgspec.structs.replace(
    QUEUED,
    state="running",
    started_at=THEN,
    attempt=1,
    progress=Progress(done=3, total=12, note="epoch 3"),
    metrics={"loss": 0.5},
)
FINISHED = msgspec.structs.replace(
    RUNNING,
    state="finished",
    progress=Progress(done=12, total=12),
    finished_at=THEN + timedelta(seconds=200),
    metrics={"loss": 0.1, "accuracy": 0.9412},
    version=VERSION_ID,
)
FAILED = msgspec.structs.replace(
    FINISHED,
    state="failed",
    version=None,
    failure=Failure(
        class_="user.data", message="label 'x' has one record", frame="drawing.py:12 train"
    ),
)
LOST = msgspec.structs.replace(
    FAILED, failure=Failure(class_="system.worker_lost", message="the worker went away")
)
SERIES = [
    Series(metric="loss", steps=[1, 2, 3], values=[2.0, 1.0, 0.5], at_s=[1, 2, 3]),
    Series(metric="accuracy", steps=[1, 2, 3], values=[0.2, 0.5, 0.8], at_s=[1, 2, 3]),
]
VERSION = Version(
    id=VERSION_ID,
    model="drawing",
    number=3,
    run=RUN_ID,
    snapshot=SNAPSHOT_ID,
    source="b3_source",
    digest="b3_digest",
    params={"learning_rate": 0.001},
    metrics={"accuracy": 0.9412, "macro_f1": 0.94},
    environment={"python": "3.11"},
    files=[File(name="model.onnx", blob="b3_model", bytes=912_345)],
    runner="onnx",
    signature=Signature(input=DrawingSpec(), output=ClassesSpec(classes=["circle", "spiral"])),
    temperature=1.2,
    parity=0.0,
    facts={},
    created_at=THEN,
    created_by="mem_1",
)
OTHER = msgspec.structs.replace(VERSION, id="ver_2", number=4, metrics={"accuracy": 0.95})
COMPARISON = Comparison(
    versions=[VERSION, OTHER],
    metrics={"accuracy": [0.9412, 0.95], "macro_f1": [0.94, None]},
    params={"learning_rate": [0.001, 0.01]},
)
DIFFERENCE = Difference(
    n=520, difference=0.012, interval=Interval(low=0.004, high=0.02), share_better=0.99
)
_EVEN = Averages(precision=0.75, recall=0.75, f1=0.75)
REPORT = ClassificationReport(
    classes=["circle", "spiral"],
    support=[4, 4],
    n=8,
    accuracy=0.75,
    accuracy_interval=Interval(low=0.4, high=0.9),
    macro=_EVEN,
    micro=_EVEN,
    weighted=_EVEN,
    per_class=[
        ClassFigures(name="circle", support=4, predicted=2, precision=1.0, recall=0.5, f1=0.667),
        ClassFigures(name="spiral", support=4, predicted=6, precision=0.667, recall=1.0, f1=0.8),
    ],
    confusion=[[2, 2], [0, 4]],
    top_confusions=[Confusion(truth="circle", predicted="spiral", count=2, share=0.5)],
    ece_before=0.1,
    ece_after=0.1,
    reliability=[],
)
ENDPOINT = Endpoint(
    name="drawing",
    model="drawing",
    version=VERSION_ID,
    sequence=2,
    history=[
        Rollout(sequence=1, version="ver_0", at=THEN, by="mem_1", reason="activated"),
        Rollout(sequence=2, version=VERSION_ID, at=THEN, by="mem_1", reason="activated"),
    ],
)
ANSWER = PredictResponse(
    endpoint="drawing",
    version=VERSION_ID,
    predictions=[
        ClassesPrediction(
            id=PREDICTION_ID,
            label="circle",
            confidence=0.9,
            scores={"spiral": 0.1, "circle": 0.9},
        )
    ],
)
EXPLANATION = Explanation(
    about=Fact(kind="prediction", id=PREDICTION_ID, title="circle", facts={"confidence": 0.9}),
    up=[
        Fact(kind="version", id=VERSION_ID, title="drawing 3", facts={"accuracy": 0.9412}),
        Fact(kind="run", id=RUN_ID, title="drawing", facts={}),
        Fact(kind="snapshot", id=SNAPSHOT_ID, title="letters", facts={"records": 2720}),
        Fact(kind="record", id=RECORD_ID, title="circle", facts={}),
    ],
    down=[],
    links=[
        Link(source=PREDICTION_ID, target=VERSION_ID, relation="answered by"),
        Link(source=VERSION_ID, target=RUN_ID, relation="made by"),
        Link(source=RUN_ID, target=SNAPSHOT_ID, relation="learnt from"),
        Link(source=SNAPSHOT_ID, target=RECORD_ID, relation="one of 2720"),
    ],
    omitted={"record": 2719},
)
JOB = JobInfo(
    id=JOB_ID,
    topic="records.compact",
    queue="default",
    state="dead",
    payload={},
    attempt=5,
    user_failures=0,
    system_failures=5,
    progress=None,
    failure={"class": "system", "message": "the disk was away", "at": ["compact.py:compact:96"]},
    signature="e706a5d03fd62a8e",
    run_at=THEN,
    created_at=THEN,
    started_at=THEN,
    finished_at=THEN,
)
KEY = Key(id="key_2", name="ci", member="mem_1", role="developer", created_at=THEN, expires_at=THEN)
MEMBER = Member(id="mem_2", name="Ada", role="developer", created_at=THEN)
INVITE = Invite(id="inv_1", created_at=THEN, expires_at=THEN)
STATED = [
    Attribute(sequence=1, name="label", value="cirkle", at=THEN),
    Attribute(sequence=2, name="label", value="circle", by="mem_1", at=THEN),
]


FEEDBACK = Feedback(prediction=PREDICTION_ID, truth="spiral", by="mem_1", at=THEN)
MISTAKE = Answered(record=RECORD_ID, drawn="circle", taken_for="spiral", confidence=0.75)
USAGE = Usage(
    datasets=[DatasetUsage(name="photos", records=1234, bytes=5_000_000)],
    blobs=[BlobUsage(of="records in segments", blobs=7, bytes=4_000_000)],
    bytes=4_000_000,
)


def furnish(script: Script) -> None:
    """Let the script answer every operation that the commands use."""
    get = {
        "/whoami": value(WHO),
        "/shapes": page(SHAPE),
        "/datasets": page(DATASET),
        "/datasets/photos": value(DATASET),
        "/records": page(RECORD, PHOTO),
        f"/records/{PHOTO.id}": value(PHOTO),
        f"/records/{PHOTO.id}/drawing": problem(Missing(noun="drawing", id=PHOTO.id)),
        f"/records/{PHOTO.id}/content": Answer(body=b"pixels", media_type="image/png"),
        f"/records/{PHOTO.id}/attributes": value([]),
        f"/records/{RECORD_ID}/attributes": value(STATED),
        "/quarantine": page(QUARANTINED),
        f"/records/{RECORD_ID}/drawing": value(DRAWING),
        "/records/export": Answer(body=msgspec.json.encode(DRAWING) + b"\n"),
        "/usage": value(USAGE),
        "/jobs": page(JOB),
        f"/jobs/{JOB_ID}": value(JOB),
        "/snapshots": page(SNAPSHOT),
        "/snapshots/letters": value(SNAPSHOT),
        "/runs": page(FINISHED, FAILED),
        f"/runs/{RUN_ID}": value(FINISHED),
        f"/runs/{RUN_ID}/series": value(SERIES),
        f"/runs/{RUN_ID}/log": Answer(body=b"epoch 1\nepoch 2\n", media_type="text/plain"),
        "/versions": page(VERSION),
        f"/versions/{VERSION_ID}": value(VERSION),
        f"/versions/{VERSION_ID}/evaluation": value(REPORT),
        f"/versions/{VERSION_ID}/errors": page(MISTAKE),
        f"/explain/version/{VERSION_ID}": value(EXPLANATION),
        f"/explain/snapshot/{SNAPSHOT_ID}": value(EXPLANATION),
        "/versions/compare": value(COMPARISON),
        f"/versions/ver_2/against/{VERSION_ID}": value(DIFFERENCE),
        "/endpoints": page(ENDPOINT),
        "/endpoints/drawing": value(ENDPOINT),
        f"/explain/prediction/{PREDICTION_ID}": value(EXPLANATION),
        "/keys": page(KEY),
        "/members": page(MEMBER),
        "/invites": page(INVITE),
    }
    post = {
        "/datasets": value(DATASET, 201),
        "/shapes": value(SHAPE, 201),
        f"/records/{RECORD_ID}/attributes": value(STATED, 201),
        "/records/attributes": value(Changed(records=3, unchanged=1)),
        "/quarantine/retry": value(Retried(rows=3)),
        "/jobs/requeue": value(Requeued(jobs=2)),
        "/snapshots": value(SNAPSHOT, 201),
        "/runs": value(QUEUED, 201),
        f"/runs/{RUN_ID}/cancel": value(msgspec.structs.replace(RUNNING, state="cancelled")),
        "/endpoints/drawing/activate": value(ENDPOINT),
        "/endpoints/drawing/rollback": value(ENDPOINT),
        "/endpoints/drawing/predict": value(ANSWER),
        f"/predictions/{PREDICTION_ID}/feedback": value(FEEDBACK, 201),
        "/keys": value(msgspec.structs.replace(KEY, secret="vk_secret"), 201),
        "/members": value(MEMBER, 201),
        "/invites": value(msgspec.structs.replace(INVITE, code="vi_code"), 201),
    }
    for path, answer in get.items():
        script.on("GET", path, answer)
    for path, answer in post.items():
        script.on("POST", path, answer)
    script.on("DELETE", "/datasets/photos", Answer(status=204))
    script.on("PATCH", "/datasets/photos", value(DATASET))
    script.on("PATCH", "/endpoints/drawing", value(ENDPOINT))
    script.on("DELETE", "/keys/key_2", Answer(status=204))
    script.on("DELETE", "/invites/inv_1", Answer(status=204))
    script.on("DELETE", f"/quarantine/{RECORD_ID}", Answer(status=204))
    script.on("PATCH", "/members/mem_2", value(MEMBER))
