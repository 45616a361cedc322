"""The inbox acknowledges what is durable, each key once, however it is sent."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
import sqlalchemy as sa
from msgspec import structs

from tests.core.segments.streams import HOME, STREAM, open_inbox, row, rows, shelve, waiting
from volano.core.context import Context
from volano.core.db import Database, Uuid16
from volano.core.segments.inbox import Inbox, Row, Stored, drop, find, row_counts, take
from volano.schemas.common import Overloaded


async def _batches(db: Database, of: Sequence[Row]) -> set[int]:
    async with db.read(HOME) as tx:
        found = await find(tx, STREAM, [row.key for row in of])
    return {row.batch for row in found.values()}


async def test_an_acknowledged_row_is_there_with_all_that_was_given(server: Context) -> None:
    inbox, sent = open_inbox(server), row(1, subject="ada")
    answer = await inbox.append(HOME, [sent], now_ms=77)
    async with server.db.read(HOME) as tx:
        there = (await find(tx, STREAM, [sent.key]))[sent.key]
    assert answer == [Stored(False, sent.content)]
    assert there.head == sent.head
    assert there.payload == sent.payload
    assert there.subject == "ada"
    assert there.received_ms == 77


async def test_a_row_without_a_time_has_that_of_the_process_that_took_it(server: Context) -> None:
    before = time.time_ns() // 1_000_000
    await open_inbox(server).append(HOME, rows(1))
    async with server.db.read(HOME) as tx:
        (there,) = (await find(tx, STREAM, [row(1).key])).values()
    assert before <= there.received_ms <= time.time_ns() // 1_000_000


async def test_appending_nothing_commits_nothing(server: Context) -> None:
    inbox = open_inbox(server)
    assert await inbox.append(HOME, []) == []
    assert inbox.rows_waiting == 0


async def test_many_callers_at_once_share_one_commit(server: Context) -> None:
    inbox, sent = open_inbox(server), rows(*range(100))
    await asyncio.gather(*(inbox.append(HOME, [one], now_ms=1) for one in sent))
    assert len(await _batches(server.db, sent)) == 1


async def test_a_group_is_as_large_as_it_may_be_and_no_larger(server: Context) -> None:
    inbox, sent = open_inbox(server, group=10), rows(*range(30))
    await asyncio.gather(*(inbox.append(HOME, [one], now_ms=1) for one in sent))
    assert len(await _batches(server.db, sent)) == 3


async def test_one_caller_with_more_than_a_group_is_one_commit(server: Context) -> None:
    inbox, sent = open_inbox(server, group=2), rows(*range(9))
    await inbox.append(HOME, sent, now_ms=1)
    assert len(await _batches(server.db, sent)) == 1


async def test_a_row_sent_again_later_is_a_duplicate(server: Context) -> None:
    inbox = open_inbox(server)
    await inbox.append(HOME, [row(1)], now_ms=1)
    again = await inbox.append(HOME, rows(1, 2), now_ms=2)
    assert [one.duplicate for one in again] == [True, False]


async def test_of_a_row_sent_twice_in_one_group_the_second_is_a_duplicate(server: Context) -> None:
    inbox = open_inbox(server)
    first = asyncio.create_task(inbox.append(HOME, [row(9)], now_ms=1))
    twins = [asyncio.create_task(inbox.append(HOME, [row(1)], now_ms=1)) for _ in range(2)]
    await first
    assert [(await twin)[0].duplicate for twin in twins] == [False, True]


async def test_of_a_row_twice_in_one_list_the_second_is_a_duplicate(server: Context) -> None:
    answer = await open_inbox(server).append(HOME, rows(1, 1), now_ms=1)
    assert [one.duplicate for one in answer] == [False, True]


async def test_a_key_used_again_keeps_its_first_content(server: Context) -> None:
    inbox, first, other = open_inbox(server), row(1), row(1, b"something else")
    within_a_list = await inbox.append(HOME, [first, other], now_ms=1)
    later = await inbox.append(HOME, [other], now_ms=2)
    assert [first.content] * 3 == [one.content for one in within_a_list + later]


async def test_a_row_that_has_left_the_inbox_is_known_and_not_stored_again(
    server: Context,
) -> None:
    gone, other = row(1), row(1, b"something else")
    async with server.db.begin(HOME) as tx:
        await shelve(tx, gone)
    answer = await open_inbox(server).append(HOME, [gone, row(2), other], now_ms=1)
    assert [one.duplicate for one in answer] == [True, False, True]
    assert [one.content for one in answer] == [gone.content, row(2).content, gone.content]
    assert await waiting(server, gone, row(2)) == {row(2).key}


async def test_another_workspace_s_shelf_is_of_no_account(server: Context) -> None:
    async with server.db.begin("ws_b") as tx:
        await shelve(tx, row(1))
    answer = await open_inbox(server).append(HOME, [row(1)], now_ms=1)
    assert [one.duplicate for one in answer] == [False]


async def test_a_stream_without_a_shelf_takes_a_key_again_that_has_left(server: Context) -> None:
    inbox = Inbox(server.db, STREAM, None)
    for _ in range(2):
        assert await inbox.append(HOME, [row(1)], now_ms=1) == [Stored(False, row(1).content)]
        async with server.db.begin(HOME) as tx:
            await drop(tx, STREAM, [row(1).key])


async def test_a_row_that_is_being_moved_meanwhile_is_known(server: Context) -> None:
    """The mover has not committed when the row is sent again."""
    inbox, moving = open_inbox(server), row(1)
    await inbox.append(HOME, [moving], now_ms=1)
    async with server.db.begin(HOME) as tx:
        await drop(tx, STREAM, [moving.key])
        again = asyncio.create_task(inbox.append(HOME, [moving], now_ms=2))
        await asyncio.sleep(0)
        await shelve(tx, moving)
    assert await again == [Stored(True, moving.content)]
    assert await waiting(server, moving) == set()


async def test_other_workspaces_may_use_the_same_key(server: Context) -> None:
    inbox = open_inbox(server)
    await inbox.append(HOME, [row(1)], now_ms=1)
    assert [one.duplicate for one in await inbox.append("ws_b", [row(1)], now_ms=1)] == [False]


async def test_two_processes_with_the_same_rows_store_each_once(
    server: Context, other_process: Context
) -> None:
    sent = rows(*range(50))
    here, there = await asyncio.gather(
        open_inbox(server).append(HOME, sent, now_ms=1),
        open_inbox(other_process).append(HOME, sent[::-1], now_ms=1),
    )
    news = [one.duplicate for one in here].count(False) + [o.duplicate for o in there].count(False)
    assert news == 50


async def test_more_rows_than_may_wait_are_refused_at_once(server: Context) -> None:
    inbox = open_inbox(server, queue=3)
    accepted = asyncio.create_task(inbox.append(HOME, rows(1, 2), now_ms=1))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await inbox.append(HOME, rows(3, 4), now_ms=1)
    assert len(await accepted) == 2
    assert len(await inbox.append(HOME, rows(3, 4), now_ms=1)) == 2


async def test_as_many_rows_as_may_wait_are_accepted_and_not_one_more(server: Context) -> None:
    inbox = open_inbox(server, queue=3)
    accepted = [
        asyncio.create_task(inbox.append(HOME, some, now_ms=1)) for some in (rows(1, 2), rows(3))
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await inbox.append(HOME, rows(4), now_ms=1)
    assert [len(await one) for one in accepted] == [2, 1]


async def test_a_commit_that_fails_is_told_to_every_caller_of_its_group(server: Context) -> None:
    """As it does where the look at the shelf fails: here there is no such table."""
    nowhere = sa.Table("nowhere", sa.MetaData(), sa.Column("id", Uuid16), sa.Column("content"))
    inbox = Inbox(server.db, STREAM, nowhere)
    callers = (inbox.append(HOME, [one], now_ms=1) for one in rows(*range(5)))
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers[0], sa.exc.DBAPIError)
    assert answers == [answers[0]] * 5
    assert await waiting(server, *rows(*range(5))) == set()
    assert inbox.rows_waiting == 0


async def test_a_row_that_cannot_be_written_fails_its_group_and_not_the_next(
    server: Context,
) -> None:
    inbox = open_inbox(server)
    sent = [row(1), structs.replace(row(2), key="no-uuid")]
    callers = (inbox.append(HOME, [one], now_ms=1) for one in sent)
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert all(isinstance(one, ValueError) for one in answers)
    assert await inbox.append(HOME, [row(1)], now_ms=1) == [Stored(False, row(1).content)]
    assert inbox.rows_waiting == 0


async def test_a_caller_that_gives_up_does_not_take_its_group_along(server: Context) -> None:
    inbox = open_inbox(server)
    calls: list[Callable[[], asyncio.Task[list[Stored]]]] = [
        lambda n=n: asyncio.create_task(inbox.append(HOME, [row(n)], now_ms=1))  # type: ignore[misc] # a default binds n
        for n in range(3)
    ]
    first, given_up, other = (call() for call in calls)
    await asyncio.sleep(0)
    given_up.cancel()
    assert [(await first)[0].duplicate, (await other)[0].duplicate] == [False, False]
    assert {row(n).key for n in range(3)} == await waiting(server, *rows(0, 1, 2))
    assert inbox.rows_waiting == 0


async def test_closing_waits_for_what_was_accepted(server: Context) -> None:
    inbox = open_inbox(server)
    tasks = [asyncio.create_task(inbox.append(HOME, [one], now_ms=1)) for one in rows(*range(20))]
    await asyncio.sleep(0)
    await inbox.close()
    assert len(await waiting(server, *rows(*range(20)))) == 20
    await asyncio.gather(*tasks)


async def test_the_oldest_rows_are_taken_first(server: Context) -> None:
    inbox = open_inbox(server)
    for number, at_ms in ((3, 10), (1, 30), (2, 20)):
        await inbox.append(HOME, [row(number)], now_ms=at_ms)
    async with server.db.read(HOME) as tx:
        assert rows(3, 2) == [_as_sent(one) for one in await take(tx, STREAM, rows=2, size=10**6)]


def _as_sent(there: Row) -> Row:
    return Row(there.key, there.content, there.head, there.payload, there.subject)


async def test_more_keys_are_dropped_than_one_statement_can_name(server: Context) -> None:
    many = [row(number) for number in range(33_000)]
    inbox = open_inbox(server, queue=50_000)
    for first in range(0, len(many), 10_000):
        await inbox.append(HOME, many[first : first + 10_000], now_ms=1)
    async with server.db.begin(HOME) as tx:
        assert await drop(tx, STREAM, [one.key for one in many]) == 33_000
        assert await row_counts(tx) == {}
