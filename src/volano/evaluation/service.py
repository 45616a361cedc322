"""The verbs of evaluation: how a version did, where it was wrong, which one is better."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from volano.evaluation import answers
from volano.evaluation.intervals import paired_bootstrap
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.common import CursorRefused, Page
from volano.schemas.evaluation import (
    Answered,
    ClassificationReport,
    Difference,
    NothingShared,
    Report,
)
from volano.schemas.registry import EvaluationUnreadable

if TYPE_CHECKING:
    from volano.core.context import Context

EVALUATION = "evaluation.json"


class _Typed(msgspec.Struct):
    type: str | None = None


async def report(ctx: Context, who: Who, id: str) -> Report:
    """Return how a version did on its test split, as its recipe wrote it down.

    Raises: Missing, EvaluationUnreadable (a recipe may write anything).
    """
    written = await registry.file(ctx, who, id, EVALUATION)
    try:
        if msgspec.json.decode(written, type=_Typed).type is None:
            return msgspec.json.decode(written, type=ClassificationReport)
        found: Report = msgspec.json.decode(written, type=Report)
        return found
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EvaluationUnreadable(id=id, reason=str(error)) from None


async def errors(
    ctx: Context,
    who: Who,
    id: str,
    *,
    drawn: str | None,
    taken_for: str | None,
    after: str,
    limit: int,
) -> Page[Answered]:
    """List the test records on which a version was wrong, the most confident mistakes first.

    Records of one label, of one class that it gave, or of both; where both are the same class,
    those on which it was right.

    Raises: Missing (a version, or its answers), AnswersUnreadable, CursorRefused.
    """
    if after and not (after.isascii() and after.isdigit() and len(after) < 10):
        raise CursorRefused(after=after)
    written = await registry.file(ctx, who, id, answers.FILE)
    found = await asyncio.to_thread(answers.chosen, id, written, drawn, taken_for)
    start = int(after or 0)
    end = start + limit
    return Page(items=found[start:end], next=str(end) if end < len(found) else None)


async def difference(ctx: Context, who: Who, first: str, second: str) -> Difference:
    """Measure how much more accurate the second version is, on the records of both tests.

    Raises: Missing (a version, or its answers), AnswersUnreadable, NothingShared.
    """
    written = [await registry.file(ctx, who, id, answers.FILE) for id in (first, second)]
    return await asyncio.to_thread(_difference, (first, second), written)


def _difference(ids: tuple[str, str], written: Sequence[bytes]) -> Difference:
    tables = [answers.read(id, data) for id, data in zip(ids, written, strict=True)]
    before, after = answers.paired(*tables)
    if not len(before):
        raise NothingShared(first=ids[0], second=ids[1])
    return paired_bootstrap(before, after, np.random.default_rng(0))
