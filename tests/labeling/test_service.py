"""Drawings are counted once, from the moment they are acknowledged."""

import asyncio

import msgspec
import pytest
import sqlalchemy as sa

from tests.stages import Hire, ask_for, claimed, drawing, imports
from volano.core.context import Context
from volano.core.segments.tables import inbox
from volano.data import service as data
from volano.data.service import COMPACT
from volano.data.store import records
from volano.labeling import service, store
from volano.schemas.accounts import NameTaken, Who
from volano.schemas.common import uuid7
from volano.schemas.data import Quarantined
from volano.schemas.drawings import Point, Stroke
from volano.schemas.labeling import DrawingIdReused, NewShape, Shape, UnknownShape


@pytest.fixture
async def ada(server: Context, boss: Who, hire: Hire) -> Who:
    """Somebody with an invitation, where squares and circles are asked for."""
    await ask_for(server, boss, "square", "circle")
    return await hire("contributor")


async def _compact(ctx: Context, who: Who) -> int:
    return await service.compact(ctx, await claimed(ctx, who.workspace, COMPACT, {}))


async def _shapes(ctx: Context, who: Who) -> dict[str, int]:
    page = await service.shapes(ctx, who, after="", limit=100)
    return {shape.name: shape.drawings for shape in page.items}


async def test_a_shape_is_asked_for_once(server: Context, boss: Who) -> None:
    new = NewShape(name="square", description="four corners", difficulty="hard")
    made = await service.add_shape(server, boss, new)
    assert made == Shape(name="square", description="four corners", difficulty="hard")
    with pytest.raises(NameTaken):
        await service.add_shape(server, boss, new)


async def test_shapes_come_by_name_in_pages(server: Context, boss: Who) -> None:
    await ask_for(server, boss, "square", "circle", "line")
    first = await service.shapes(server, boss, after="", limit=2)
    rest = await service.shapes(server, boss, after=first.next or "", limit=2)
    names = [[shape.name for shape in page.items] for page in (first, rest)]
    assert names == [["circle", "line"], ["square"]]
    assert rest.next is None


async def test_shapes_of_another_workspace_cannot_be_drawn(
    server: Context, boss: Who, outsider: Who
) -> None:
    await ask_for(server, boss, "square")
    with pytest.raises(UnknownShape):
        await service.submit(server, outsider, drawing("square"))


async def test_a_shape_of_a_moment_ago_can_be_drawn_at_once(
    server: Context, ada: Who, boss: Who
) -> None:
    with pytest.raises(UnknownShape):
        await service.submit(server, ada, drawing("line"))
    await ask_for(server, boss, "line")
    assert (await service.submit(server, ada, drawing("line"))).stored


async def test_stats_know_what_was_acknowledged_a_moment_ago(server: Context, ada: Who) -> None:
    nothing = await service.stats(server, ada)
    assert (nothing.total_drawings, nothing.by_shape, nothing.first_at) == (0, {}, None)
    for shape in ("square", "square", "circle"):
        await service.submit(server, ada, drawing(shape))
    found = await service.stats(server, ada)
    assert found.contributor == ada.contributor
    assert found.total_drawings == 3
    assert found.by_shape == {"circle": 1, "square": 2}
    assert found.first_at is not None
    assert found.first_at <= (found.last_at or found.first_at)


async def test_stats_count_only_what_the_caller_has_drawn(
    server: Context, ada: Who, boss: Who
) -> None:
    """Of two people in one workspace, before and after the drawings have moved."""
    await service.submit(server, ada, drawing("square"))
    assert (await service.stats(server, boss)).total_drawings == 0
    await _compact(server, ada)
    await service.submit(server, ada, drawing("circle"))
    assert (await service.stats(server, boss)).total_drawings == 0
    assert (await service.stats(server, ada)).by_shape == {"circle": 1, "square": 1}


async def test_stats_stay_the_same_while_drawings_move(server: Context, ada: Who) -> None:
    for _ in range(3):
        await service.submit(server, ada, drawing("square"))
    before = await service.stats(server, ada)
    assert await _compact(server, ada) == 3
    assert await service.stats(server, ada) == before
    await service.submit(server, ada, drawing("square"))
    assert (await service.stats(server, ada)).total_drawings == 4
    await _compact(server, ada)
    assert (await service.stats(server, ada)).total_drawings == 4


async def test_stats_span_from_the_first_drawing_to_the_last_in_whatever_order_they_move(
    server: Context, ada: Who
) -> None:
    new, (stroke,) = drawing("square"), drawing("square").strokes
    for ms in (1_500_000_000_000, 1_600_000_000_000, 1_400_000_000_000):
        points = [
            msgspec.structs.replace(point, timestamp=ms + point.timestamp)
            for point in stroke.points
        ]
        moment = msgspec.structs.replace(new, id=str(uuid7()), strokes=[Stroke(points=points)])
        await service.submit(server, ada, moment)
        await _compact(server, ada)
    found = await service.stats(server, ada)
    assert found.first_at is not None
    assert found.last_at is not None
    assert found.first_at.timestamp() == pytest.approx(1_400_000_000, abs=1)
    assert found.last_at.timestamp() == pytest.approx(1_600_000_000, abs=1)


async def test_a_drawing_sent_twice_counts_once_before_and_after_it_moved(
    server: Context, ada: Who
) -> None:
    new = drawing("square")
    outcomes = [await service.submit(server, ada, new) for _ in range(2)]
    await _compact(server, ada)
    outcomes.append(await service.submit(server, ada, new))
    await _compact(server, ada)
    assert [one.duplicate for one in outcomes] == [False, True, True]
    assert (await service.stats(server, ada)).total_drawings == 1
    assert await _shapes(server, ada) == {"circle": 0, "square": 1}


async def test_an_id_in_upper_case_is_the_id_in_lower_case(server: Context, ada: Who) -> None:
    new = drawing("square")
    first = await service.submit(server, ada, msgspec.structs.replace(new, id=new.id.upper()))
    again = await service.submit(server, ada, new)
    assert first.id == new.id
    assert not first.duplicate
    assert again.duplicate


@pytest.mark.parametrize("moved", [False, True], ids=["in the inbox", "on the shelf"])
async def test_an_id_stands_for_its_first_strokes(server: Context, ada: Who, moved: bool) -> None:
    new = drawing("square", seed=1)
    await service.submit(server, ada, new)
    if moved:
        await _compact(server, ada)
    with pytest.raises(DrawingIdReused):
        await service.submit(server, ada, drawing("square", seed=2, id=new.id))


async def test_of_a_batch_each_drawing_is_stored_or_refused_by_itself(
    server: Context, ada: Who
) -> None:
    good = [drawing("square"), drawing("circle")]
    reused = drawing("square", seed=9, id=good[0].id)
    far = drawing(strokes=[Stroke(points=[Point(x=9e9, y=0, timestamp=0)])])
    batch = [good[0], drawing("unheard-of"), far, reused, good[1], good[1]]
    outcomes = await service.submit_many(server, ada, batch)
    assert [one.id for one in outcomes] == [one.id for one in batch]
    codes = ["", "unknown-shape", "point-off-canvas", "drawing-id-reused", "", ""]
    assert [one.code for one in outcomes] == codes
    refused = outcomes[2]
    assert refused.detail.startswith("Point 0 of stroke 0 at (9000000000.0, 0.0) is far off")
    assert refused.remedy == "Send coordinates in px from the canvas's top left corner."
    assert [one.stored for one in outcomes] == [True, False, False, False, True, True]
    assert [one.duplicate for one in outcomes[4:]] == [False, True]
    assert (await service.stats(server, ada)).total_drawings == 2


async def test_a_batch_of_nothing_good_is_no_error(server: Context, ada: Who) -> None:
    outcomes = await service.submit_many(server, ada, [drawing("none"), drawing("none")])
    assert [one.code for one in outcomes] == ["unknown-shape"] * 2


async def test_imported_drawings_are_counted_for_those_who_drew_them(
    server: Context, boss: Who
) -> None:
    await ask_for(server, boss, "square")
    await service.import_drawings(server, boss, imports(["square"], ["ada", "bob"], each=2))
    await _compact(server, boss)
    assert (await service.stats(server, boss)).total_drawings == 0
    assert await _given(server, boss, "bob") == 2


async def _given(ctx: Context, boss: Who, contributor: str) -> int:
    async with ctx.db.read(boss.workspace) as tx:
        return sum(gift.drawings for gift in await store.given(tx, contributor))


async def test_counters_are_what_counting_gives_however_many_send_and_move_at_once(
    server: Context, other_process: Context, boss: Who
) -> None:
    await ask_for(server, boss, "square", "circle")
    people = ["ada", "bob", "eve"]

    async def send(ctx: Context) -> None:
        for _ in range(5):
            given = imports(["square", "circle"], people)
            await service.import_drawings(ctx, boss, given)
            await service.import_drawings(ctx, boss, given)  # a retry

    turn = asyncio.Lock()

    async def move(ctx: Context, worker: str) -> None:
        for _ in range(8):
            async with turn:  # so that each worker gets the job that it sent
                job = await claimed(ctx, boss.workspace, COMPACT, {}, worker)
            await asyncio.gather(service.compact(ctx, job), return_exceptions=True)

    contexts = (server, other_process)
    await asyncio.gather(
        *map(send, contexts), *(move(c, f"wrk_{n}") for n, c in enumerate(contexts))
    )
    await _compact(server, boss)
    # Both processes sent 5 imports of 6 drawings.
    assert await _shapes(server, boss) == {"circle": 30, "square": 30}
    assert [await _given(server, boss, name) for name in people] == [20] * 3
    async with server.db.read(boss.workspace) as tx:
        assert await tx.scalar(tx.select(sa.func.count()).select_from(records)) == 60


async def test_moved_drawings_have_a_score_between_0_and_1(server: Context, ada: Who) -> None:
    drawn = [drawing("circle", seed=seed) for seed in range(5)]
    for one in drawn:
        await service.submit(server, ada, one)
    await _compact(server, ada)
    for one in drawn:
        assert 0 <= ((await data.record(server, ada, one.id)).quality or -1) <= 1


async def test_a_drawing_whose_flags_say_what_was_odd_is_stored(server: Context, ada: Who) -> None:
    points = [Point(x=10, y=10, timestamp=t) for t in (0, 50, 20, 90)]
    odd = drawing(strokes=[Stroke(points=points)])
    first = await service.submit(server, ada, odd)
    assert first.flags == ["time-normalised"]
    again = await service.submit(server, ada, odd)
    assert again == msgspec.structs.replace(first, duplicate=True)


async def test_an_id_stands_for_one_shape_too(server: Context, boss: Who) -> None:
    await ask_for(server, boss, "square", "circle")
    sent = drawing("square")
    await service.submit(server, boss, sent)
    other = msgspec.structs.replace(sent, shape="circle")
    with pytest.raises(DrawingIdReused):
        await service.submit(server, boss, other)
    (outcome,) = await service.submit_many(server, boss, [other])
    assert (outcome.stored, outcome.code) == (False, "drawing-id-reused")


async def test_a_drawing_that_cannot_be_scored_is_set_aside_and_the_others_are_counted(
    server: Context, ada: Who
) -> None:
    drawn = [drawing("square", seed=seed) for seed in range(5)]
    for one in drawn:
        await service.submit(server, ada, one)
    async with server.db.begin(ada.workspace) as tx:
        odd = tx.update(inbox).where(inbox.c.key == drawn[2].id)
        await tx.run(odd.values(payload=b"no strokes are that odd"))
    job = await claimed(server, ada.workspace, COMPACT, {})
    assert await service.compact(server, job) == 5
    assert await _shapes(server, ada) == {"circle": 0, "square": 4}
    assert (await service.stats(server, ada)).total_drawings == 5
    with pytest.raises(Quarantined, match="codec"):
        await data.record(server, ada, drawn[2].id)
