"""Why a run failed: an exception as a Failure, with the line of the user's own code."""

import errno
import hashlib
import site
import sysconfig
import traceback
from pathlib import Path

from volano.harness.model import RunCancelled, RunOutOfTime
from volano.schemas.errors import VolanoError
from volano.schemas.harness import (
    BadData,
    BadParam,
    ContractBroken,
    EventTooLarge,
    ModelUnclear,
    SourceMissing,
)
from volano.schemas.registry import Failure, FailureClass, UnknownRecipe

MESSAGE_LIMIT = 2000
"""Characters of a failure's message."""

# First match wins; what is in no row is the user's code.
_CLASSES: tuple[tuple[tuple[type[BaseException], ...], FailureClass], ...] = (
    ((RunOutOfTime,), "user.timeout"),
    ((RunCancelled, KeyboardInterrupt), "cancelled"),
    ((BadData,), "user.data"),
    (
        (ContractBroken, BadParam, ModelUnclear, SourceMissing, UnknownRecipe, EventTooLarge),
        "user.contract",
    ),
    ((ImportError,), "user.dependency"),
    ((MemoryError,), "user.resource"),
)

_OUT_OF_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE}

_LIBRARIES = tuple(
    Path(folder)
    for folder in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
    }
)


def explain(error: BaseException, project: Path) -> Failure:
    """Return what `error` means for whoever started the run.

    `frame` is the innermost line whose file lies in `project` and is not an installed library.
    `signature` is equal for equal failures: it leaves out messages (they carry values) and line
    numbers (an edit elsewhere moves them).
    """
    class_ = classify(error)
    frames = _frames(error)
    own = [frame for frame in frames if _is_own(frame, project)]
    place = ""
    if own:
        name = Path(own[-1].filename).relative_to(project).as_posix()
        place = writable(f"{name}:{own[-1].lineno} {own[-1].name}")
    return Failure(
        class_=class_,
        message=_message(error),
        frame=place,
        signature=_signature(class_, error, own or frames),
        remedy=_remedy(error),
    )


def _remedy(error: BaseException) -> str:
    if isinstance(error, RunOutOfTime):
        return "Allow it more seconds, or give it less to do."
    return writable(error.advice) if isinstance(error, VolanoError) else ""


def classify(error: BaseException) -> FailureClass:
    """Return the class of the failure that `error` is."""
    if isinstance(error, OSError) and error.errno in _OUT_OF_DISK:
        return "user.resource"
    for types, class_ in _CLASSES:
        if isinstance(error, types):
            return class_
    return "user.code"


def signature(*parts: str) -> str:
    """Return 16 hex digits that are equal for equal parts."""
    text = "\n".join(parts).encode(errors="replace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _message(error: BaseException) -> str:
    if isinstance(error, VolanoError | RunCancelled):
        text = str(error)
    else:
        # traceback also survives a __str__ that raises.
        text = "".join(traceback.format_exception_only(error)).strip()
    return writable(text if len(text) <= MESSAGE_LIMIT else text[:MESSAGE_LIMIT] + " …")


def writable(text: str) -> str:
    """Return the text with `?` for halves of characters, which can be neither sent nor stored."""
    return text.encode(errors="replace").decode()


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames from outermost to innermost; a syntax error's place comes last."""
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(
            traceback.FrameSummary(error.filename, error.lineno, "<module>", line=error.text or "")
        )
    return frames


def _is_own(frame: traceback.FrameSummary, project: Path) -> bool:
    file = Path(frame.filename)
    # A virtual environment may lie inside the project, or the project inside an installation.
    return file.is_relative_to(project) and not any(
        file.is_relative_to(folder) and not project.is_relative_to(folder) for folder in _LIBRARIES
    )


def _signature(class_: str, error: BaseException, frames: list[traceback.FrameSummary]) -> str:
    kind = type(error)
    parts = [class_, f"{kind.__module__}.{kind.__qualname__}"]
    parts += [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    parts += [(frames[-1].line or "").strip()] if frames else []
    return signature(*parts)
