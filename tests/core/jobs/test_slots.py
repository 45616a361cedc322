"""How many jobs a worker claims: what fits into its slots, and of short ones some more."""

from volano.core.jobs.slots import AHEAD, Slots


async def held(slots: Slots, seconds: float, count: int = 30) -> Slots:
    """Let so many jobs come, hold a slot for so long, and end."""
    for _ in range(count):
        slots.join()
        await slots.enter()
        slots.leave(seconds)
        slots.end()
    return slots


async def test_at_first_there_is_room_for_as_many_jobs_as_slots() -> None:
    slots = Slots(3)
    assert slots.room() == 3
    slots.join()
    assert slots.room() == 2


async def test_jobs_that_last_have_no_others_claimed_behind_them() -> None:
    assert (await held(Slots(2), 3600.0)).room() == 2
    assert (await held(Slots(2), 0.2)).room() == 2


async def test_as_many_are_claimed_ahead_as_have_a_slot_within_50_ms() -> None:
    assert (await held(Slots(4), 0.0098, count=100)).room() == 4 + 20


async def test_never_more_than_the_most_are_claimed_ahead() -> None:
    assert (await held(Slots(4), 0.0, count=200)).room() == 4 + AHEAD


async def test_no_more_are_claimed_while_some_wait_for_a_slot() -> None:
    slots = await held(Slots(2), 0.0, count=200)
    for _ in range(3):
        slots.join()
    assert slots.room() == 0
    await slots.enter()
    slots.leave(0.0)
    assert slots.room() == AHEAD


async def test_jobs_that_wait_for_their_commit_bound_what_is_claimed() -> None:
    slots = await held(Slots(2), 0.0, count=200)
    for _ in range(2 * AHEAD):
        slots.join()
        await slots.enter()
        slots.leave(0.0)
    assert slots.room() == 2
    for _ in range(2):
        slots.join()
        slots.leave(None)
    assert slots.room() == 0


async def test_jobs_that_wait_in_vain_stop_the_claiming_ahead() -> None:
    slots = await held(Slots(2), 0.0, count=200)
    slots.slow_down(5.0)
    assert slots.room() == 2
