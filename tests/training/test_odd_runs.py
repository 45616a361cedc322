"""Whatever a user's code says, its run ends, and how it ended is the user's doing."""

import pytest

from tests.stages import work_until
from tests.training import test_service as runs
from volano.core.context import Context
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.registry import Run

snapshot, start = runs.snapshot, runs.start


@pytest.fixture
def db_url(postgres_url: str) -> str:
    """The database that refuses most: SQLite keeps whatever it is given."""
    return postgres_url


GRAPH = "(run.artefact / 'model.onnx').write_bytes(b'graph')\n"
SAYS = GRAPH + "(run.artefact / 'version.json').write_bytes("

FINISHED = {
    "a figure beyond 64 bits": "self.figures = {'a': 2**80}",
    "a note with a zero": "run.progress(1, 2, 'a\\0b')",
    "a note with half a letter": "run.progress(1, 2, 'a\\ud800b')",
    "progress that is no number": "run.progress(float('nan'), float('inf'))",
    "a print with a zero": "print('a\\0b')",
    "a figure with a zero": "self.figures = {'a\\0b': 1.0, 'b': {'c\\0': 2.0}}",
    "a class with a zero": SAYS + """b'{"classes": ["a\\\\u0000b", "c"]}')""",
    "a zero and a backslash": SAYS + """b'{"classes": ["a\\\\\\\\u0000b", "c"]}')""",
}

FAILED = {
    "a metric with a zero": "run.log(1, **{'a\\0b': 1.0})",
    "a metric without a name": "run.log(1, **{'': 1.0})",
    "a step beyond 64 bits": "run.log(2**70, loss=1.0)",
    "a failure with a zero": "raise ValueError('a\\0b')",
    "a failure with half a letter": "raise ValueError('\\ud800')",
    "a failure of endless words": "raise ValueError('x' * 5_000_000)",
    "a failure that fails to be told": (
        "class Sly(Exception):\n    def __str__(self): raise KeyError('no')\nraise Sly"
    ),
    "an exit": "raise SystemExit(0)",
    "an exit with words": "raise SystemExit('a\\0b')",
    "a version in no encoding": SAYS + "b'\\xff\\xfe')",
    "a version without a bottom": SAYS + "b'[' * 100_000)",
    "a version within a version": SAYS + """b'{"classes": [], "facts": ' + b'[' * 99_999)""",
}


@pytest.mark.parametrize(
    ("bodies", "state"), [(FINISHED, "finished"), (FAILED, "failed")], ids=["told", "refused"]
)
async def test_an_odd_run_ends_at_once_as_its_own_doing(
    server: Context, boss: Who, start: runs.Start, bodies: dict[str, str], state: str
) -> None:
    figures = "getattr(self, 'figures', {'accuracy': 0.5})"
    queued = {}
    for name, body in bodies.items():
        left = [body] if SAYS in body else [body, runs.GOOD]
        queued[name] = (await start(*left, figures=figures)).id

    async def all_over() -> dict[str, Run]:
        found = {name: await registry.run(server, boss, id) for name, id in queued.items()}
        return found if all(run.finished_at for run in found.values()) else {}

    ended: dict[str, Run] = await work_until(server, all_over)

    whose = {name: run.failure.class_ if run.failure else "" for name, run in ended.items()}
    assert dict.fromkeys(queued, state) == {name: run.state for name, run in ended.items()}, whose
    assert dict.fromkeys(queued, 1) == {name: run.attempt for name, run in ended.items()}
    assert {name for name, class_ in whose.items() if class_.startswith("system")} == set()
    for id in queued.values():
        await registry.run_series(server, boss, id)
        await registry.run_log(server, boss, id)
