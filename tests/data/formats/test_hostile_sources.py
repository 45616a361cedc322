"""Sources of every format, damaged at random: read in part, or refused by a code; never a crash."""

import shutil
from contextlib import suppress

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.formats.test_detect import FOLDERS
from tests.data.formats.trees import folder, found, picture
from volano.schemas.errors import VolanoError

BOXES = "<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax>"
RECORD = (
    '{"id":"01980e5c-7f3a-7c61-9d5e-2b6f0a4c8e11","content":"aa","dataset":"pets","kind":"image",'
    '"label":"x","facts":{"name":"a"},"data":"aGk=","captured_at":"2026-01-01T00:00:00Z",'
    '"received_at":"2026-01-01T00:00:00Z"}\n'
)
SOUND = FOLDERS | {
    "manifest": {"l.csv": "filename,class,xmin,ymin,xmax,ymax\n1.png,a,1,1,5,5\n", "1.png": b""},
    "coco": {
        "c.json": '{"images":[{"id":1,"file_name":"1.png"}],"annotations":[{"image_id":1,'
        '"category_id":1,"bbox":[1,1,2,2]}],"categories":[{"id":1,"name":"a"}]}',
        "1.png": b"",
    },
    "voc": {"1.xml": f"<annotation>{BOXES}</bndbox></object></annotation>", "1.png": b""},
    "yolo": {"1.png": b"", "1.txt": "0 0.5 0.5 0.1 0.1\n1 0.1 0.2 0.3 0.2 0.3 0.6\n",
             "data.yaml": "names: [a, 'b']\nnc: 2\n"},
    "export": {"e.jsonl": RECORD * 2},
}  # fmt: skip
"""Format -> files; an empty picture stands for a sound one."""

TOKENS = ["null", "NaN", "-1", "1e400", '"', "{", "[]", "9" * 30, "true", "\n", ",", "<a>", "'",
          ":", "\0", "\ufeff", "&x;", "<!DOCTYPE a>"]  # fmt: skip

CUTS = st.tuples(
    st.integers(0, 10**6), st.integers(0, 8), st.sampled_from(TOKENS) | st.binary(max_size=3)
)
"""Where, how many bytes go, and what comes in their place."""


@pytest.mark.parametrize("name", SOUND)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_damaged_source_is_read_in_part_or_refused_by_a_code(tmp_path, name, data):
    members = {path: picture(20, 10) if content == b"" else content
               for path, content in SOUND[name].items()}  # fmt: skip
    which = data.draw(st.sampled_from(sorted(members)))
    content = members[which]
    damaged = bytearray(content if isinstance(content, bytes) else content.encode())
    for at, gone, new in data.draw(st.lists(CUTS, min_size=1, max_size=4)):
        start = at % (len(damaged) + 1)
        damaged[start : start + gone] = new if isinstance(new, bytes) else new.encode()
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
    root = folder(tmp_path / "x", members | {which: bytes(damaged)})
    with suppress(VolanoError):
        items, skipped = found(root, format=name)
        for one in skipped:
            assert msgspec.json.encode([one.locator, one.error.problem()])
        for item in items:
            assert msgspec.json.encode([item.locator, item.label, item.attributes, item.drawing])
