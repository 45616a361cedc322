"""`version.json` of any age is read as the newest form."""

import msgspec
import pytest

from volano.registry import version_file
from volano.schemas.registry import (
    ArtefactRefused,
    ClassesSpec,
    DrawingSpec,
    Golden,
    ImageSpec,
    Signature,
    VersionFile,
)

OLD = {
    "schema": 1,
    "format": "onnx",
    "input_kind": "drawing",
    "classes": ["circle", "square"],
    "temperature": 1.5,
    "max_segments": 64,
    "tolerance": 0.25,
    "parity": 1e-6,
    "golden": [{"input": [[0, 0, 1, 1]], "scores": [0.25, 0.75]}],
    "facts": {"size_px": 32},
}
CONVERTED = VersionFile(
    signature=Signature(
        input=DrawingSpec(max_segments=64, tolerance=0.25),
        output=ClassesSpec(classes=["circle", "square"]),
    ),
    temperature=1.5,
    parity=1e-6,
    golden=[Golden(input=[[0, 0, 1, 1]], scores=[0.25, 0.75])],
    facts={"size_px": 32},
)


@pytest.mark.parametrize("schema", [{"schema": 1}, {}], ids=["numbered", "without a number"])
def test_a_file_of_schema_1_is_converted(schema: dict[str, int]) -> None:
    old = {name: value for name, value in OLD.items() if name != "schema"} | schema
    assert version_file.read(msgspec.json.encode(old)) == CONVERTED
    assert version_file.from_row(old) == CONVERTED


def test_a_file_of_schema_2_says_what_the_model_takes_and_answers() -> None:
    written = b"""{"schema": 2, "runner": "onnx", "signature": {
        "params": [{"name": "width", "type": "int", "default": 8, "ge": 1}],
        "input": {"kind": "image", "height": 28, "width": 20, "channels": 1, "fit": "letterbox"},
        "output": {"kind": "classes", "classes": ["RBC", "traffic light"]}}}"""
    told = version_file.read(written)
    assert told.signature.input == ImageSpec(height=28, width=20, channels=1, fit="letterbox")
    assert told.signature.classes == ["RBC", "traffic light"]
    assert told.signature.params[0].name == "width"
    assert version_file.from_row(msgspec.to_builtins(told)) == told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{}", "classes"),
        (b"not json", "malformed"),
        (b'{"facts": ' + b"[" * 100_000, "recursion"),
        (b'{"schema": 3}', "schema"),
        (b'{"schema": 2, "signature": {"input": {"kind": "smell"}}}', "smell"),
    ],
    ids=["empty", "no JSON", "deep", "newer", "unknown kind"],
)
def test_a_file_that_says_nothing_known_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ArtefactRefused, match=f"(?i)version.json.*{reason}"):
        version_file.read(content)
