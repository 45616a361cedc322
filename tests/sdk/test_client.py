"""Tests of volano.sdk.client: what an id means, and that the client is light."""

import json
import subprocess
import sys

import pytest

from tests.sdk.scripted import problem, value
from volano.schemas.errors import Missing
from volano.schemas.loop import Explanation, Fact
from volano.sdk.client import kinds

UUID = "019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10"


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("run_0198c5e07d317c4e9a503f1b6f7f2a10", ("run",)),
        ("ver_0198c5e07d317c4e9a503f1b6f7f2a10", ("version",)),
        ("snap_0198c5e07d317c4e9a503f1b6f7f2a10", ("snapshot",)),
        (UUID, ("prediction", "record")),
        ("odd_thing", ("prediction", "record")),
    ],
)
def test_an_id_tells_its_kind(id, expected):
    assert kinds(id) == expected


def test_an_id_of_two_kinds_is_looked_for_as_both(script, client):
    about = Fact(kind="record", id=UUID, title="circle")
    script.on("GET", f"/explain/prediction/{UUID}", problem(Missing(noun="prediction", id=UUID)))
    script.on(
        "GET",
        f"/explain/record/{UUID}",
        value(Explanation(about=about, up=[], down=[], links=[])),
    )

    assert about == client.explain(UUID).about


def test_an_id_of_a_known_kind_is_looked_for_once(script, client):
    script.on("GET", "/explain/run/run_1", problem(Missing(noun="run", id="run_1")))

    with pytest.raises(Missing):
        client.explain("run_1")
    assert len(script.seen) == 1


def test_the_client_loads_nothing_heavy_and_its_http_library_on_first_use():
    code = "import json, sys, volano; volano.Client; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    loaded = {name.partition(".")[0] for name in json.loads(out)}

    heavy = {"httpx", "numpy", "sqlalchemy", "starlette", "torch", "rich", "cyclopts", "pyarrow"}
    assert heavy & loaded == set()
    assert {m for m in json.loads(out) if m.startswith(("volano.core", "volano.app"))} == set()
