"""The standard streams as a shell may hand them over: closed, full, or of another encoding."""

import io
import json
import os
import sys

from volano.cli import errors


def prepare() -> None:
    """Make the standard streams of this process fit for use.

    The next file that is opened would get the number of a closed stream, and what a library prints
    would be written into it. Characters that a stream's encoding lacks are replaced.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    # Not to be written: a result that nobody can get is a failure.
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def finish() -> None:
    """Write out what is left; drop what cannot be, or Python would complain of it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def read_input() -> str:
    """Return the text that comes by standard input.

    Raises: FileUnusable.
    """
    try:
        return decoded(sys.stdin.buffer.read())
    except OSError as error:  # it may be open for writing only
        raise errors.unusable(error, "standard input") from None


def decoded(content: bytes) -> str:
    """Return a text file's content, whether its editor wrote UTF-8, with a mark, or UTF-16."""
    return content.decode(json.detect_encoding(content), "replace")
