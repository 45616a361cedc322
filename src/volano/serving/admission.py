"""Whether one more request can be answered in time: arithmetic alone, clocks are the caller's."""

WITHIN = 0.8
"""Share of a deadline that waiting and computing may take; the rest is for the way."""

_WEIGHT = 0.1
_GAIN_PER_S = 2.0
_LEAST, _MOST = 0.05, 1.5
_WORST = -2.0


class Cost:
    """What one input takes, s: measured when the version was loaded, then a moving average."""

    __slots__ = ("at_start_s", "now_s")

    def __init__(self, seconds: float) -> None:
        self.at_start_s = self.now_s = seconds

    def seen(self, seconds: float) -> None:
        """Take in one more measurement; never one of a call that failed."""
        self.now_s += _WEIGHT * (seconds - self.now_s)


def eta_s(work_s: float, cost_s: float, sessions: int) -> float:
    """When the answer would be there: `cost_s` of work behind `work_s` that waits or runs."""
    return (work_s + cost_s) / sessions


class Pace:
    """The share of requests that an event loop lets in while it runs behind.

    An integral controller that holds the lateness of a timer near `target_s`. The share may rise
    above one, so that a hiccup of some 100 ms refuses nobody.
    """

    __slots__ = ("_credit", "share", "target_s")

    def __init__(self, target_s: float) -> None:
        self.target_s = target_s
        self.share = _MOST
        self._credit = 0.0

    def seen(self, late_s: float, elapsed_s: float) -> None:
        """A timer came `late_s` after it was due, `elapsed_s` after the one before."""
        error = max(_WORST, 1.0 - late_s / self.target_s)
        share = self.share + _GAIN_PER_S * elapsed_s * error
        self.share = min(_MOST, max(_LEAST, share))

    def lets_in(self) -> bool:
        """Whether the next request is among those that are let in; evenly spread."""
        self._credit += min(1.0, self.share)
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True
