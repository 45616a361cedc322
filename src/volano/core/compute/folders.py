"""Folders of a run: closed for writing while it runs, open for removal when it has ended."""

import os
from pathlib import Path


def freeze(folder: Path) -> None:
    """Make a folder and all in it read-only, against accidents: its owner could change it back."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)


def thaw(*folders: Path) -> None:
    """Make folders removable by their owner, whatever modes we or the user's code have set."""
    for folder in folders:
        if folder.is_dir():
            folder.chmod(0o755)
        # Top-down: a folder is opened before os.walk lists it.
        for parent, names, _ in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o755)
