"""A body of each kind, as somebody would send it: for the API's description, and its tests."""

from volano.schemas.accounts import MemberChange, NewInvite, NewKey, NewMember, NewSession
from volano.schemas.attributes import AttributeChange, NewAttribute
from volano.schemas.common import Json
from volano.schemas.data import NewSnapshot
from volano.schemas.datasets import DatasetChange, Lookup, NewDataset
from volano.schemas.deletion import Deletion
from volano.schemas.drawings import DrawingImport, NewDrawing
from volano.schemas.jobs import Requeue
from volano.schemas.labeling import NewShape
from volano.schemas.loop import QuarantineRetry
from volano.schemas.registry import NewRun
from volano.schemas.serving import (
    Activation,
    EndpointChange,
    NewFeedback,
    PredictRequest,
    Rollback,
)

OTHER_ID = "01980e5c-83b2-7d1f-8a47-5c9e1d7b3f20"
CANVAS = {"width": 400, "height": 400}
STROKE = {
    "points": [
        {"x": 120, "y": 80, "timestamp": 0},
        {"x": 280, "y": 80, "timestamp": 120},
        {"x": 200, "y": 240, "timestamp": 260},
        {"x": 120, "y": 80, "timestamp": 420},
    ]
}
DRAWING = {
    "id": "01980e5c-7f3a-7c61-9d5e-2b6f0a4c8e11",
    "shape": "triangle",
    "canvas": CANVAS,
    "strokes": [STROKE],
    "device": "mouse",
}

EXAMPLES: dict[type, Json] = {
    Activation: {"version": "ver_01980e5c7f3a7c619d5e2b6f0a4c8e11"},
    AttributeChange: {"name": "label", "value": "cat", "filter": {"labels": ["Cat"]}},
    DatasetChange: {"licence": "CC-BY-4.0", "source": "the museum's archive"},
    Deletion: {"ids": [OTHER_ID], "confirm": 1},
    EndpointChange: {"log": 0.1, "inputs": "none"},
    Lookup: {"sha256": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
    NewAttribute: {"name": "label", "value": "cat"},
    NewDataset: {"name": "photos", "fields": {"image": "image"}, "licence": "CC-BY-4.0"},
    NewFeedback: {"truth": "cat"},
    Rollback: {"from": "ver_01980e5c7f3a7c619d5e2b6f0a4c8e11"},
    DrawingImport: {
        "origin": "classroom",
        "drawings": [{"contributor": "pupil-7", "drawing": DRAWING | {"id": OTHER_ID}}],
    },
    MemberChange: {"role": "developer"},
    NewDrawing: DRAWING,
    NewInvite: {"days": 30},
    NewKey: {"name": "laptop", "days": 90},
    NewMember: {"name": "Ada", "role": "annotator"},
    NewRun: {"snapshot": "shapes-1", "model": "shapes", "params": {"epochs": 10}, "seconds": 120},
    NewSession: {"invite": "the code of POST /invites"},
    NewShape: {"name": "triangle", "description": "Three corners", "difficulty": "easy"},
    NewSnapshot: {"name": "shapes-1", "filter": {"labels": ["triangle"], "min_quality": 0.2}},
    PredictRequest: {"input": {"canvas": CANVAS, "strokes": [STROKE]}},
    QuarantineRetry: {"ids": [OTHER_ID]},
    Requeue: {"signature": "e706a5d03fd62a8e"},
}
"""What stands in them for other things (a snapshot, a version) is their name elsewhere in here."""
