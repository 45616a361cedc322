"""What a training warned of is told wherever its run, its version or its endpoint is shown."""

import json

import msgspec

from tests.cli import canned
from tests.sdk.scripted import value

WARNING = "'star' is only in the test split."
RUN = msgspec.structs.replace(canned.FINISHED, warnings=[WARNING])
VERSION = msgspec.structs.replace(canned.VERSION, warnings=[WARNING])
REPORT = msgspec.structs.replace(canned.REPORT, warnings=[WARNING])
ENDPOINT = msgspec.structs.replace(canned.ENDPOINT, warnings=[WARNING])


def test_a_run_shows_what_it_warned_of(ask, script):
    script.on("GET", f"/runs/{canned.RUN_ID}", value(RUN))

    assert f"warning: {WARNING}" in ask("runs", "show", canned.RUN_ID).out
    assert json.loads(ask("runs", "show", canned.RUN_ID, "--json").out)["warnings"] == [WARNING]


def test_a_version_shows_what_its_training_warned_of(ask, script):
    script.on("GET", f"/versions/{canned.VERSION_ID}", value(VERSION))
    script.on("GET", f"/versions/{canned.VERSION_ID}/evaluation", value(REPORT))

    assert f"warning: {WARNING}" in ask("versions", "show", canned.VERSION_ID).out
    assert f"warning: {WARNING}" in ask("versions", "show", canned.VERSION_ID, "--classes").out


def test_activating_a_version_tells_what_its_training_warned_of(ask, script):
    script.on("POST", "/endpoints/drawing/activate", value(ENDPOINT))

    done = ask("versions", "activate", canned.VERSION_ID, "--endpoint", "drawing")

    assert done.code == 0
    assert f"warning: {WARNING}" in done.err


def test_nothing_is_warned_of_where_there_are_no_warnings(ask):
    assert "warning" not in ask("versions", "show", canned.VERSION_ID).out
    assert "warning" not in ask("versions", "activate", canned.VERSION_ID).err


def test_a_training_here_tells_its_warnings(volano, folder):
    (folder / "staged").mkdir()
    (folder / "staged" / "snapshot.json").write_bytes(msgspec.json.encode(canned.SNAPSHOT))
    (folder / "model.py").write_text(
        "from volano import Model\n\n\nclass Warning(Model):\n"
        "    def train(self, run):\n"
        "        run.warn('few records')\n"
        "        (run.artefact / 'mean.txt').write_text('1')\n\n"
        "    def evaluate(self, run):\n        return {}\n"
    )

    done = volano("train", "--local", "--data", "staged", "--recipe", "model.py")

    assert done.code == 0
    assert "warning: few records" in done.err
