"""What was done and how long each step took, as `volano up` tells it."""

import time

from volano.cli.terminal import Terminal


class Steps:
    """Says what was done and how long each step took."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.started = self.last = time.monotonic()

    def title(self, text: str) -> None:
        """Say the first line."""
        self.terminal.say(self.terminal.ink("bold", text))

    def done(self, text: str) -> None:
        """Say that one more step is done."""
        now = time.monotonic()
        mark, took = self.terminal.ink("green", "✓"), f"{now - self.last:5.1f} s"
        self.terminal.say(f"  {mark} {self.terminal.ink('dim', took)}  {text}")
        self.last = now

    def line(self, text: str) -> None:
        """Say a line on its own, to be copied."""
        self.terminal.say(f"             {text}")

    def end(self) -> None:
        """Say the last line."""
        self.terminal.say(f"  ready after {time.monotonic() - self.started:.1f} s")
