"""Why a run failed, from what it told, how its process ended, and what we did to it."""

import signal
from dataclasses import dataclass
from typing import Literal

from volano.harness import failures
from volano.schemas.harness import Failed, Finished
from volano.schemas.registry import Failure


@dataclass(frozen=True, slots=True)
class Stop:
    """Why we ended a run."""

    class_: Literal["cancelled", "user.timeout", "user.resource", "system.storage"]
    message: str


def failure_of(
    *, code: int, end: Finished | Failed | None, stop: Stop | None, began: bool
) -> Failure | None:
    """Return the failure, or None if the run finished.

    A result that was told stands, whatever happened to the process later: interpreters of large
    libraries like to crash on their way out. Our own reason to stop outranks what the user's code
    made of being stopped, but keeps its frame. `began` says that the child told anything at all.
    """
    if isinstance(end, Finished):
        return None
    if stop:
        frame = end.failure.frame if end else ""
        signature = failures.signature(stop.class_, frame)
        return Failure(class_=stop.class_, message=stop.message, frame=frame, signature=signature)
    return end.failure if end else _silent(code, began)


def _silent(code: int, began: bool) -> Failure:
    if code == -signal.SIGKILL:
        message = "The process was killed from outside, most likely for using too much memory."
        return Failure(class_="user.resource", message=message, signature=_of("SIGKILL"))
    if code < 0:
        name = signal.Signals(-code).name
        message = f"The process died of {name}; the end of its stderr says where."
        return Failure(class_="user.code", message=message, signature=_of(name))
    if not began:
        message = f"The process ended with code {code} before it began; see its stderr."
        return Failure(class_="system.env", message=message, signature=_of("start"))
    message = f"The process ended with code {code} without a result."
    return Failure(class_="user.code", message=message, signature=_of(f"exit {code}"))


def _of(how: str) -> str:
    return failures.signature("process", how)
