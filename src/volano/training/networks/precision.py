"""Whether a network learns faster in bfloat16 on this machine, with weights that stay float32."""

from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import torch

_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Of processors that multiply bfloat16 about twice as fast; elsewhere it is emulated and slow."""


def fastest() -> AbstractContextManager[None]:
    """Compute in bfloat16 inside where the processor does; no setting, so that runs repeat."""
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16())


@cache
def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor multiplies bfloat16 itself, by what Linux says of it."""
    return cpuinfo.exists() and not _FLAGS.isdisjoint(cpuinfo.read_text().split())
