"""`volano`: its commands by name. Each is imported when it is typed, none before."""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Parameter

import volano
from volano.cli import manual, problems
from volano.cli.terminal import Format, Terminal, note
from volano.spec.errors import VolanoError

ABOUT: Final = "Volano: one data engine that closes the machine-learning loop."

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Host": {
        "up": ("host:up", "Start a server here: API, workers, a first model."),
        "migrate": ("host:migrate", "Bring the database to this version."),
        "settings": ("host:settings", "Every setting of a server with its meaning."),
        "status": ("status:status", "What the server is, and what it is doing."),
    },
    "Data": {
        "data": ("data:app", "Records: import, list, look at, export."),
        "shapes": ("shapes:app", "What contributors are asked to draw."),
        "snapshots": ("snapshots:app", "Frozen lists of records to train on."),
    },
    "Models": {
        "train": ("train:train", "Train a model on a snapshot."),
        "runs": ("runs:app", "Trainings: list, watch, cancel."),
        "versions": ("versions:app", "Trained models: list, compare, activate."),
        "endpoints": ("endpoints:app", "What answers, and since when."),
        "predict": ("predict:predict", "Ask an endpoint."),
        "explain": ("explain:explain", "What a thing was made from, and what from it."),
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

app = App(name="volano", help=ABOUT, help_flags=(), version_flags=())
for section in COMMANDS.values():
    for name, (place, _) in section.items():
        app.command(f"volano.cli.{place}", name=name)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    output: Annotated[Format, note("How results are written.", "-o", "--output")] = "table",
    json: Annotated[bool, note("The same as -o json.")] = False,
    url: Annotated[str | None, note("The server; else VOLANO_URL, else the last login.")] = None,
    key: Annotated[str | None, note("The API key; else VOLANO_KEY, else the login's.")] = None,
    help: Annotated[bool, note("Show this.", "-h", "--help")] = False,
    version: Annotated[bool, note("Show the version.")] = False,
) -> int:
    """Run the command in `tokens`; its exit code."""
    terminal = Terminal(format="json" if json else output, url=url, key=key)
    if version:
        terminal.print(f"volano {volano.__version__}")
        return 0
    if help or not _is_command(tokens):
        terminal.print(page(tokens, terminal))
        return 0
    command, bound, injected = app.parse_args(tokens, print_error=False, exit_on_error=False)
    extra: dict[str, Any] = {"terminal": terminal} if "terminal" in injected else {}
    try:
        return command(*bound.args, **bound.kwargs, **extra) or 0
    except VolanoError as error:
        return _refuse(error, terminal)
    finally:
        terminal.close()


def page(tokens: Sequence[str], terminal: Terminal) -> str:
    """The help of the command that `tokens` name."""
    chain, apps, _ = app.parse_commands(tokens)
    layout = manual.Layout(terminal.look.ink, min(100, shutil.get_terminal_size().columns))
    shared = app.meta.assemble_argument_collection()
    if not chain:
        return manual.overview(ABOUT, _sections(), shared, layout)
    if apps[-1].default_command is None:
        return manual.group(apps[-1], chain, layout)
    return manual.command(apps[-1], chain, shared, layout)


def run(argv: Sequence[str]) -> int:
    """The exit code of one command line: 0, 1 what the user can change, 2 usage, 3 the system."""
    try:
        code: int = app.meta(
            argv, print_error=False, exit_on_error=False, result_action="return_value"
        )
        sys.stdout.flush()
    except CycloptsError as error:
        return _misused(error, argv)
    except KeyboardInterrupt:
        return problems.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def main() -> None:
    """The program `volano`."""
    sys.exit(run(sys.argv[1:]))


def _is_command(tokens: Sequence[str]) -> bool:
    """Whether the tokens name something to run; a misspelt name is left to the parser."""
    _, apps, rest = app.parse_commands(tokens)
    return bool(rest) or apps[-1].default_command is not None


def _sections() -> dict[str, manual.Lines]:
    return {
        title: [(name, line) for name, (_, line) in commands.items()]
        for title, commands in COMMANDS.items()
    }


def _refuse(error: VolanoError, terminal: Terminal) -> int:
    if terminal.format == "table":
        terminal.say(problems.block(error, terminal.ink))
    else:
        terminal.say(problems.document(error))
    return problems.exit_code(error)


def _misused(error: CycloptsError, argv: Sequence[str]) -> int:
    chain, _, _ = app.parse_commands(argv)
    terminal = Terminal()
    terminal.say(terminal.ink("red", "error: ") + str(error))
    terminal.then(" ".join(["volano", *chain, "--help"]))
    return problems.USAGE
