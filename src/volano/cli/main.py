"""`volano`: its commands by name. Each is imported when it is typed, none before."""

import difflib
import sys
from collections.abc import Sequence
from typing import Any, Final

from cyclopts import App, CycloptsError

import volano
from volano.cli import errors, global_options, help_pages, misuse, recipe_params, streams
from volano.cli.global_options import split
from volano.cli.terminal import Terminal
from volano.schemas.errors import VolanoError

ABOUT: Final = "Volano: one data engine that closes the machine-learning loop."

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Host": {
        "up": ("host:up", "Start a server here: API, workers, a first model."),
        "migrate": ("host:migrate", "Bring the database to this version."),
        "doctor": ("host:doctor", "Look for damage in what a server stores."),
        "jobs": ("jobs:app", "Background work: list, look into, try again."),
        "settings": ("host:settings", "List every setting of a server."),
        "status": ("status:status", "What the server is, and what it is doing."),
    },
    "Data": {
        "data": ("data:app", "Records: import, list, look at, export."),
        "datasets": ("datasets:app", "Records that belong together: list, make, describe."),
        "shapes": ("shapes:app", "What contributors are asked to draw."),
        "snapshots": ("snapshots:app", "Frozen lists of records to train on."),
    },
    "Models": {
        "turn": ("turn:turn", "Everything at once: import a file, freeze, train, activate."),
        "train": ("train:train", "Train a model on a snapshot."),
        "runs": ("runs:app", "Trainings: list, watch, cancel."),
        "versions": ("versions:app", "Trained models: list, compare, activate."),
        "endpoints": ("endpoints:app", "Where versions answer: list, look at, say what is logged."),
        "predict": ("predict:predict", "Ask an endpoint about an image or a drawing."),
        "feedback": ("feedback:feedback", "Say what was true of something predicted."),
        "explain": ("explain:explain", "What anything was made from, and what was made from it."),
    },
    "Access": {
        "login": ("accounts:login", "Choose a server and keep its key."),
        "whoami": ("accounts:whoami", "Who you are to the server."),
        "keys": ("accounts:keys", "API keys: create, list, revoke."),
        "members": ("accounts:members", "Who belongs to the workspace."),
        "invites": ("accounts:invites", "Codes with which anyone may draw here."),
    },
}
"""Section -> command -> where it is in volano.cli, and its line in `volano --help`."""

LOCAL: Final = ("up", "migrate", "doctor", "settings")
"""The commands that ask no server."""

app = App(name="volano", help=ABOUT, help_flags=(), version_flags=())
for section in COMMANDS.values():
    for name, (place, _) in section.items():
        app.command(f"volano.cli.{place}", name=name)


def run(argv: Sequence[str]) -> int:
    """Run one command line; return its exit code, one of those in `volano --help`."""
    terminal = Terminal()
    try:
        given, words = split(argv)
        terminal = Terminal(format=given.format, url=given.url, key=given.key)
        code = 0
        if given.version:
            terminal.print(f"volano {volano.__version__}")
        elif given.help or not _is_command(words):
            terminal.print(page(words, terminal))
        else:
            code = _call(words, terminal)
        terminal.flush()
        return code
    except VolanoError as error:
        return _refuse(error, terminal)
    except BrokenPipeError:  # whoever read the output has seen enough
        return 0
    except OSError as error:
        return _refuse(errors.unusable(error), terminal)
    except CycloptsError as error:
        return _misused(misuse.said(error), argv)
    except misuse.Misuse as error:
        return _misused(str(error), argv)
    except ImportError as error:
        return _incomplete(error)
    except KeyboardInterrupt:
        return errors.INTERRUPTED
    finally:
        terminal.close()


def page(words: Sequence[str], terminal: Terminal) -> str:
    """Return the help of the command that `words` name."""
    chain, apps, _ = app.parse_commands(words)
    layout = help_pages.Layout.of(terminal)
    if not chain:
        return help_pages.overview(ABOUT, _sections(), layout)
    if apps[-1].default_command is None:
        return help_pages.group(apps[-1], chain, layout)
    sections: dict[str, help_pages.Lines] = {}
    if chain == ("train",):
        recipe = recipe_params.chosen(words, default="drawing")
        sections[f"Parameters of {recipe}"] = recipe_params.lines(recipe)
    is_local = chain[0] in LOCAL
    sections["Global options"] = [
        line for line in global_options.HELP if not is_local or line not in global_options.REMOTE
    ]
    return help_pages.command(apps[-1], chain, layout, sections)


def main() -> None:
    """Run the program `volano`."""
    streams.prepare()
    code = run(sys.argv[1:])
    streams.finish()
    sys.exit(code)


def _is_command(words: Sequence[str]) -> bool:
    """Return whether the words name something to run; leave a misspelt verb to the parser.

    Raises: Misuse (the first word is no command; the parser would import them all to tell).
    """
    if words and words[0] not in app:
        known = [name for section in COMMANDS.values() for name in section]
        close = difflib.get_close_matches(words[0], known, n=1)
        raise misuse.Misuse(
            f"Unknown command {words[0]!r}." + "".join(f" Did you mean {c!r}?" for c in close)
        )
    _, apps, rest = app.parse_commands(words)
    return bool(rest) or apps[-1].default_command is not None


def _call(words: Sequence[str], terminal: Terminal) -> int:
    command, bound, injected = app.parse_args(words, print_error=False, exit_on_error=False)
    extra: dict[str, Any] = {"terminal": terminal} if "terminal" in injected else {}
    code: int | None = command(*bound.args, **bound.kwargs, **extra)
    return code or 0


def _sections() -> dict[str, help_pages.Lines]:
    return {
        title: [(name, line) for name, (_, line) in commands.items()]
        for title, commands in COMMANDS.items()
    }


def _refuse(error: VolanoError, terminal: Terminal) -> int:
    if terminal.format == "table":
        terminal.say(errors.block(error, terminal.ink))
    else:
        terminal.say(errors.document(error))
    return errors.exit_code(error)


def _incomplete(error: ImportError) -> int:
    """Say which part of the package a command needs, where that is why it cannot be loaded."""
    chain = [error, error.__cause__]
    lacking = [c.name or "" for c in chain if isinstance(c, ModuleNotFoundError)]
    if not lacking or lacking[0].startswith("volano"):
        raise error
    terminal = Terminal()
    terminal.say(terminal.ink("red", "error: ") + f"This command needs {lacking[0]}.")
    terminal.then("pip install 'volano[server]'")
    return errors.SYSTEM


def _misused(said: str, argv: Sequence[str]) -> int:
    words = [word for word in argv if not word.startswith("-")]
    chain = app.parse_commands(words)[0] if words and words[0] in app else ()
    terminal = Terminal()
    terminal.say(terminal.ink("red", "error: ") + errors.shown(said))
    terminal.then(" ".join(["volano", *chain, "--help"]))
    return errors.USAGE
