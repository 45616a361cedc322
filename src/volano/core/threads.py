"""Work in a thread that is waited for even where nobody wants its result any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(call: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Call in a thread like `asyncio.to_thread`, but wait for the thread when cancelled.

    For calls that use what the caller closes: a thread cannot be stopped, and a file that is closed
    under the hands of native code takes the whole process with it.
    """
    working = asyncio.create_task(asyncio.to_thread(call, *args, **more))
    try:
        return await asyncio.shield(working)
    finally:
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working])
