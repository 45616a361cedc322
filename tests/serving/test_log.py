"""The prediction log keeps what was said, up to its bounds, whatever befalls other workspaces."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.serving.graphs import answer, asked
from volano.core.context import Context
from volano.core.segments.inbox import Inbox, of_subject
from volano.schemas.accounts import Who
from volano.schemas.common import uuid7
from volano.schemas.serving import ClassesPrediction
from volano.serving import log
from volano.serving.adapters import drawing as drawings
from volano.serving.adapters.drawing import Drawing
from volano.serving.log import PredictionLog
from volano.serving.state import State

DRAWING = drawings.read(asked(), 1000)


@pytest.fixture
def db_url(sqlite_url: str) -> str:
    """What is tested here lies before the database."""
    return sqlite_url


def opened(ctx: Context, *, queue: int = 100_000) -> PredictionLog:
    """A log that commits nothing by itself."""
    inbox = Inbox(ctx.db, log.STREAM, None, queue=queue)
    decoders = ctx.part(State).decoders
    return PredictionLog(inbox, ctx.blobs, decoders, ctx.metrics, interval_s=3600.0)


async def kept(ctx: Context, who: Who) -> set[str]:
    """The ids of the predictions of a workspace that are in its inbox."""
    async with ctx.db.read(who.workspace) as tx:
        return {row.key for row in await of_subject(tx, log.STREAM, "ver_1")}


async def test_what_one_workspace_cannot_store_drops_nobody_elses_predictions(
    server: Context, boss: Who, outsider: Who
) -> None:
    """Whichever comes first: the one has more rows than the inbox takes at once."""
    predictions = opened(server, queue=5)
    for first in (boss, outsider):
        few, many = [answer() for _ in range(2)], [answer() for _ in range(6)]
        order = [(outsider, few), (boss, many)]
        for who, answers in order if first is outsider else order[::-1]:
            for one in answers:
                predictions.add(who.workspace, [one])
        await predictions.flush()
        assert {one.prediction.id for one in few} <= await kept(server, outsider)
    assert await kept(server, boss) == set()
    assert "volano_predictions_unlogged_total 12" in server.metrics.exposition()
    await predictions.close()


async def test_predictions_beyond_the_bound_are_counted_not_kept(
    server: Context, boss: Who
) -> None:
    predictions, one = opened(server), answer()
    for _ in range(log.MOST_WAITING + 3):
        made = ClassesPrediction(id=str(uuid7()), label="square", confidence=1.0, scores={})
        predictions.add(boss.workspace, [one._replace(prediction=made)])
    assert "volano_predictions_unlogged_total 3" in server.metrics.exposition()
    await predictions.close()
    assert len(await kept(server, boss)) == log.MOST_WAITING


async def test_large_drawings_that_wait_are_bounded_by_their_bytes(
    server: Context, boss: Who
) -> None:
    steps = np.zeros((3, 60_000), np.int64)
    large = Drawing(steps, DRAWING.frame)
    predictions = opened(server)
    for _ in range(100):
        predictions.add(boss.workspace, [answer(large)])
    # The one that reaches the bound is the last that is kept.
    most = -(-log.MOST_WAITING_BYTES // steps.nbytes)
    assert f"volano_predictions_unlogged_total {100 - most}" in server.metrics.exposition()


async def test_a_prediction_is_logged_with_the_time_at_which_it_was_made(
    server: Context, boss: Who
) -> None:
    predictions = opened(server)
    predictions.add(boss.workspace, [answer()])
    await predictions.flush()
    async with server.db.read(boss.workspace) as tx:
        (row,) = await of_subject(tx, log.STREAM, "ver_1")
    assert row.received_ms == datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000
    await predictions.close()


async def test_after_a_flush_there_is_room_again(server: Context, boss: Who) -> None:
    predictions = opened(server)
    one = answer()
    predictions.add(boss.workspace, [one])
    await predictions.flush()
    assert await kept(server, boss) == {one.prediction.id}
    assert predictions._count == 0
    assert predictions._bytes == 0
    await predictions.close()
