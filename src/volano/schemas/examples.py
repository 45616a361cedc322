"""A body of each kind, as somebody would send it: for the API's description, and its tests."""

from volano.schemas.accounts import MemberChange, NewInvite, NewKey, NewMember, NewSession
from volano.schemas.common import Json
from volano.schemas.data import NewSnapshot
from volano.schemas.drawings import DrawingImport, NewDrawing
from volano.schemas.jobs import Requeue
from volano.schemas.labeling import NewShape
from volano.schemas.loop import QuarantineRetry
from volano.schemas.registry import NewRun
from volano.schemas.serving import Activation, PredictRequest, Rollback

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
