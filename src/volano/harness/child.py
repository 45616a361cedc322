"""The child process that runs a user's class: `python -m volano.harness.child FOLDER EVENTS LEASH`.

FOLDER holds `run.json`; EVENTS and LEASH are descriptors of pipes from the parent. Exit codes:
0 finished, 1 the user's failure, 3 ours, 130 cancelled.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import msgspec

from volano.harness import confine
from volano.harness.events import PipeEvents
from volano.harness.phases import Work, exit_code, perform
from volano.harness.run import LocalRun
from volano.harness.source import locate
from volano.schemas.errors import VolanoError
from volano.schemas.harness import Failed, RunOrder
from volano.schemas.registry import Failure

ORDER_FILE = "run.json"


def main(folder: str, events_fd: str, parent_fd: str) -> int:
    """Carry out the order in `folder` and return the exit code."""
    os.set_inheritable(int(events_fd), False)
    confine.die_with_parent(int(parent_fd))
    events = PipeEvents(int(events_fd))
    try:
        order = msgspec.json.decode(Path(folder, ORDER_FILE).read_bytes(), type=RunOrder)
        confine.limit(order.limits)
        return _carry_out(order, events)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        failure = Failure(class_="system.storage", message=f"The child could not start: {error}")
    except VolanoError as error:
        failure = Failure(class_="user.contract", message=error.message, remedy=error.advice)
    events(Failed(at_s=0.0, failure=failure))
    return exit_code(failure)


def _carry_out(order: RunOrder, events: PipeEvents) -> int:
    run = LocalRun(
        data=Path(order.data),
        artefact=Path(order.artefact),
        seed=order.seed,
        seconds=order.seconds,
        events=events,
    )
    _cancel_on_term(run)
    place = locate(order.source)
    end = perform(Work(place=place, params=order.params), run, events)
    return exit_code(end.failure if isinstance(end, Failed) else None)


def _cancel_on_term(run: LocalRun) -> None:
    """Cancel at the next call to the run on the first SIGTERM; let the second end the process."""

    def cancel(_number: int, _frame: FrameType | None) -> None:
        run.cancel()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, cancel)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
