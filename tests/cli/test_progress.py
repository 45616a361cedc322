"""Tests of volano.cli.progress: redrawn in place on a terminal, lines in a pipe."""

import io

from volano.cli.progress import Live


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_pipe_gets_the_first_line_every_few_seconds_and_at_the_end():
    stream, clock = io.StringIO(), Clock()
    with Live(stream, in_place=False, clock=clock) as live:
        for n in range(100):
            clock.now = n / 10
            live.draw(lambda n=n: [f"line {n}", "detail"])
        live.draw(lambda: ["end", "detail"], last=True)

    assert stream.getvalue() == "line 0\nline 50\nend\n"


def test_a_pipe_is_not_told_the_same_twice():
    stream, clock = io.StringIO(), Clock()
    with Live(stream, in_place=False, clock=clock) as live:
        for _ in range(3):
            clock.now += 60
            live.draw(lambda: ["same"])

    assert stream.getvalue() == "same\n"


def test_a_terminal_is_redrawn_over_what_was_there_and_gets_its_cursor_back():
    stream, clock = io.StringIO(), Clock()
    with Live(stream, in_place=True, clock=clock) as live:
        live.draw(lambda: ["a", "b"])
        clock.now = 1
        live.draw(lambda: ["c", "d"])

    assert "\r\x1b[Ja\nb\n\x1b[2A\r\x1b[Jc\nd\n" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h")


def test_lines_are_not_made_when_nothing_would_be_drawn():
    live = Live(io.StringIO(), in_place=True, clock=Clock())
    live.draw(lambda: ["a"])
    live.draw(lambda: 1 / 0)
