"""What ran the code: interpreter, platform, and the distributions that were really imported."""

import importlib.metadata
import platform
import sys
import sysconfig
from functools import cache
from pathlib import Path

_INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))


def environment() -> dict[str, str]:
    """Return `python`, `platform` and the version of each imported distribution, by name.

    Only what this process has imported so far: call it after the work.
    """
    versions = {
        # One that was half removed has no name any more: it must not cost a run its result.
        (found.metadata["Name"] or name).lower(): found.version
        for name in sorted(_imported())
        if (found := _distribution(name)) is not None
    }
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}".lower(),
        **dict(sorted(versions.items())),
    }


def _imported() -> set[str]:
    """Return top-level names of imported modules that come from an installed distribution."""
    names = {"volano"}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if (
            "." not in name
            and name[0] != "_"
            and file
            and any(Path(file).is_relative_to(f) for f in _INSTALLED)
        ):
            names.add(name)
    return names


@cache
def _distribution(module: str) -> importlib.metadata.Distribution | None:
    # Most are named like their module. The full map reads every RECORD (60 to 70 ms), so only
    # the others (PIL, cv2, yaml) pay for it.
    try:
        return importlib.metadata.distribution(module)
    except importlib.metadata.PackageNotFoundError:
        named = _by_module().get(module)
        return importlib.metadata.distribution(named[0]) if named else None


@cache
def _by_module() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())
