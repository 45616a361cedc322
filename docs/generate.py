"""Write the generated pages, and the signatures of recipes: `./dev docs`; `--check` compares."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from volano import app, schemas
from volano.accounts import roles
from volano.core.settings import table as settings_table
from volano.harness import source
from volano.schemas import errors
from volano.training import signatures

HERE = Path(__file__).parent


def settings() -> str:
    """Every setting of a server."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {doc} |"
        for name, default, doc in settings_table()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Each is an environment variable of the server. The difference between a laptop and a",
            "cluster are four of them, `VOLANO_DB`, `VOLANO_BLOBS`, `VOLANO_BUS` and",
            "`VOLANO_COMPUTE`, and `VOLANO_SECRET`, which all machines of one database share.",
            "`volano settings` prints the same table. What Kubernetes sets for a Service named",
            "`volano` (`VOLANO_SERVICE_HOST`, `VOLANO_PORT=tcp://…`) is ignored with a warning.",
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def problems() -> str:
    """Every error that a caller can see, by status."""
    assert app.ROUTES  # every stage is loaded, so every error of the server is known
    for module in pkgutil.iter_modules(schemas.__path__, "volano.schemas."):
        importlib.import_module(module.name)
    every = _below(errors.VolanoError)
    found = {cls.code: cls for cls in every if cls.__module__ != errors.__name__}
    order = sorted(found.values(), key=lambda cls: (cls.status, cls.code))
    rows = [
        f"| {cls.status} | `{cls.code}` | {_line(cls.__doc__)} | {_line(cls.remedy)} |"
        for cls in order
    ]
    return "\n".join(
        [
            "# Errors",
            "",
            "The server answers `application/problem+json` (RFC 9457) with a stable `code`, the",
            "refused values as `facts`, and a `remedy`. The client raises the class of the same",
            "name (`drawing-id-reused` is `DrawingIdReused`). Words in braces are facts.",
            "",
            "| status | code | what happened | what to do |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def signature_of(recipe: str) -> str:
    """Return what a recipe is set up with, for servers, which do not import its code."""
    command = [sys.executable, "-m", "volano.harness.describe", recipe]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


PAGES: dict[Path, Callable[[], str]] = {
    HERE / "settings.md": settings,
    HERE / "errors.md": problems,
    HERE / "roles.md": roles.page,
    **{signatures.path(name): partial(signature_of, name) for name in source.recipes()},
}


def stale() -> list[Path]:
    """Return the pages that are not as the code says."""
    return [page for page, make in PAGES.items() if _read(page) != make()]


def main() -> int:
    """Write the pages, or with --check say which are stale; the exit code."""
    if "--check" in sys.argv:
        found = stale()
        for page in found:
            sys.stderr.write(f"{page.relative_to(HERE.parent)} is stale; next: ./dev docs\n")
        return int(bool(found))
    for page, make in PAGES.items():
        page.write_text(make(), "utf-8")
    return 0


def _below(cls: type[errors.VolanoError]) -> set[type[errors.VolanoError]]:
    direct = set(cls.__subclasses__())
    return direct.union(*(_below(sub) for sub in direct))


def _line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("|", "\\|")


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
