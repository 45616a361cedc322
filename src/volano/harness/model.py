"""The classes that users write: a `Model` with `Param` fields, and the `Run` that it is handed."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, overload

from volano.schemas.harness import BadParam
from volano.schemas.registry import ParamSpec

P = TypeVar("P", int, float, str, bool)


class RunCancelled(BaseException):
    """Raised inside the user's code, from the next call to `run`, once the run is cancelled.

    Like asyncio.CancelledError no Exception, so that `except Exception` in a loop lets it through.
    """


class RunOutOfTime(RunCancelled):
    """Raised inside the user's code when the time allowed for the run is used up."""


class Param(Generic[P]):
    """One setting of a model: a class attribute that becomes a flag, a field and a tuning axis.

    `ge` and `le` bound a number (inclusive), `choices` a closed set; `doc` is one line of help.
    Read on an instance it gives the value, overridden or default.
    """

    def __init__(
        self,
        default: P,
        *,
        ge: float | None = None,
        le: float | None = None,
        choices: tuple[P, ...] = (),
        doc: str = "",
    ) -> None:
        self.default: P = default
        self.choices: tuple[P, ...] = choices
        self.ge, self.le, self.doc = ge, le, doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, model: None, owner: type) -> "Param[P]": ...
    @overload
    def __get__(self, model: "Model", owner: type) -> P: ...
    def __get__(self, model: "Model | None", owner: type) -> "Param[P] | P":
        if model is None:
            return self
        value: P = model.params.get(self.name, self.default)
        return value

    def check(self, value: object) -> P:
        """Return `value` (maybe text from a flag) as this parameter's type.

        Raises: BadParam (not of the type, not finite, out of range, not a choice).
        """
        kind = type(self.default)
        try:
            typed: P = _CONVERTERS[kind](value)
        except (TypeError, ValueError, OverflowError):
            raise BadParam(name=self.name, value=value, reason=_NOT_A[kind]) from None
        if self.choices and typed not in self.choices:
            known = ", ".join(map(str, self.choices))
            raise BadParam(name=self.name, value=typed, reason=f"it is none of {known}")
        if self.ge is not None and typed < self.ge:  # type: ignore[operator] # bounds are of numbers
            raise BadParam(name=self.name, value=typed, reason=f"below {self.ge}")
        if self.le is not None and typed > self.le:  # type: ignore[operator] # bounds are of numbers
            raise BadParam(name=self.name, value=typed, reason=f"above {self.le}")
        return typed


def _truth(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError(value)
    return words[word]


def _whole(value: Any) -> int:
    """Return an int that loses nothing: of 3, "3" and 3.0, but neither of 2.5 nor of True."""
    whole = int(value)
    if isinstance(value, bool) or (not isinstance(value, str) and whole != value):
        raise ValueError(value)
    return whole


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


_CONVERTERS: dict[type, Callable[[Any], Any]] = {
    bool: _truth,
    int: _whole,
    float: _finite,
    str: str,
}
_NOT_A = {
    bool: "it is neither true nor false",
    int: "it is not a whole number",
    float: "it is not a number",
    str: "it is not a text",
}


def check_params(known: Mapping[str, Param[Any]], given: Mapping[str, object]) -> dict[str, Any]:
    """Return the value of every parameter, given or default.

    Raises: BadParam (unknown name, or a value that the Param refuses).
    """
    for name in given:
        if name not in known:
            reason = f"there is none of that name; there are {', '.join(sorted(known)) or 'none'}"
            raise BadParam(name=name, value=given[name], reason=reason)
    return {name: param.check(given.get(name, param.default)) for name, param in known.items()}


class Run(Protocol):
    """What a model is handed while it works: its data, where to put results, how to report.

    Any call raises RunCancelled once the run is cancelled, so a loop that reports also stops.
    """

    data: Path
    """Read-only folder with the staged snapshot (`snapshot.json`, `<split>.parquet`)."""
    artefact: Path
    """Folder for what the version is made of; what lies here at the end is registered."""
    seed: int
    seconds: float
    """Time allowed for the whole run."""

    def log(self, step: int, **metrics: float) -> None:
        """Record points of metric series at one step; seen live by whoever watches."""

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say how far the work is."""

    def warn(self, text: str) -> None:
        """Tell whoever reads the results what they should know before trusting them."""

    def seconds_left(self) -> float:
        """Return the time until the run is stopped; never negative."""


class Model:
    """Subclass this: `train` makes the artefact, `evaluate` measures it.

    Parameters are `Param` class attributes; `Model(learning_rate=0.1)` overrides them.

    Raises: BadParam (unknown name, or a value that the Param refuses).
    """

    params: Mapping[str, Any]
    input_kind: ClassVar[str] = "json"
    """What its endpoint takes: `drawing`, `image` or `json`."""
    output_kind: ClassVar[str] = "json"
    """What its endpoint answers: `classes`, `boxes`, `value` or `json`."""

    def __init__(self, /, **overrides: object) -> None:
        self.params = check_params(self.declared(), overrides)

    @classmethod
    def declared(cls) -> dict[str, Param[Any]]:
        """Return the parameters of this class and its bases, by name, in the order of writing."""
        found: dict[str, Param[Any]] = {}
        for base in reversed(cls.__mro__):
            found |= {n: p for n, p in vars(base).items() if isinstance(p, Param)}
        return found

    @classmethod
    def specs(cls) -> list[ParamSpec]:
        """Return the parameters as data, in the order of writing."""
        return [
            ParamSpec(
                name=name,
                type=type(param.default).__name__,  # type: ignore[arg-type] # one of P
                default=param.default,
                ge=param.ge,
                le=param.le,
                choices=list(param.choices),
                doc=param.doc,
            )
            for name, param in cls.declared().items()
        ]

    def train(self, run: Run) -> None:
        """Learn from `run.data` and write the artefact into `run.artefact`."""
        raise TypeError(f"{type(self).__name__} does not define train(self, run)")

    def evaluate(self, run: Run) -> Mapping[str, Any]:
        """Return figures of the trained artefact on the test split, as JSON values."""
        raise TypeError(f"{type(self).__name__} does not define evaluate(self, run)")
