"""Comparing versions: by their files, figures and parameters. Values in, values out."""

from collections.abc import Sequence
from typing import Any

from blake3 import blake3

from volano.schemas.registry import Comparison, File, Version


def digest(files: Sequence[File]) -> str:
    """Return the blake3 of names and contents of files: versions with equal ones answer alike."""
    hasher = blake3()
    for file in sorted(files, key=lambda file: file.name):
        hasher.update(f"{file.name}\0{file.blob}\n".encode())
    return f"b3_{hasher.hexdigest()}"


def side_by_side(versions: Sequence[Version]) -> Comparison:
    """Return every metric of any of the versions, and the parameters in which they differ."""
    metrics = sorted({name for version in versions for name in version.metrics})
    params = sorted({name for version in versions for name in version.params})
    values = {name: [version.params.get(name) for version in versions] for name in params}
    return Comparison(
        versions=list(versions),
        metrics={name: [version.metrics.get(name) for version in versions] for name in metrics},
        params={name: found for name, found in values.items() if not _all_equal(found)},
    )


def _all_equal(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values[1:])
