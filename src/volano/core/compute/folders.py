"""Folders of a run: closed for writing while it runs, open for removal when it has ended."""

import os
from pathlib import Path


def freeze(folder: Path) -> None:
    """Make all of it read-only, against accidents: a run that owns it could change it back."""
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)


def thaw(*folders: Path) -> None:
    """Let the owner remove everything in them, whatever modes were set by us or by user code."""
    for folder in folders:
        if folder.is_dir():
            folder.chmod(0o755)
        # Top-down: a folder is opened before os.walk lists it.
        for parent, names, _ in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o755)
