"""What a version is worth beside others. Values in, values out."""

from collections.abc import Sequence
from typing import Any

from blake3 import blake3

from volano.schemas.registry import Comparison, File, Version


def digest(files: Sequence[File]) -> str:
    """blake3 over the names and contents of a version's files: equal digests answer alike."""
    hasher = blake3()
    for file in sorted(files, key=lambda file: file.name):
        hasher.update(f"{file.name}\0{file.blob}\n".encode())
    return f"b3_{hasher.hexdigest()}"


def side_by_side(versions: Sequence[Version]) -> Comparison:
    """Every metric of any of them, and the parameters in which they differ."""
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
