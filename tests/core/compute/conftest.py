"""Runs of real processes over models written into a folder."""

import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from volano.core.compute import Compute, ProcessSpec, open_compute
from volano.schemas.harness import Limits, RunOrder

NewSpec = Callable[..., ProcessSpec]


@pytest.fixture(params=["local:"])
def url(request: pytest.FixtureRequest) -> str:
    """Every adapter that runs here."""
    name: str = request.param
    return name


@pytest.fixture
async def compute(url: str) -> AsyncIterator[Compute]:
    """An open compute."""
    async with open_compute(url) as opened:
        yield opened


@pytest.fixture
def new_spec(tmp_path: Path) -> NewSpec:
    """`new_spec("raise ValueError", seconds=5)` is a run whose train does that."""
    numbers = iter(range(100))

    def build(
        train: str,
        evaluate: str = "return {}",
        *,
        grace_s: float = 5.0,
        env: dict[str, str] | None = None,
        limits: dict[str, int] | None = None,
        **order: Any,
    ) -> ProcessSpec:
        folder = tmp_path / f"run-{next(numbers)}"
        (folder / "source").mkdir(parents=True)
        (folder / "data").mkdir()
        (folder / "data" / "train.parquet").write_bytes(b"data")
        body = textwrap.indent(textwrap.dedent(train).strip(), " " * 8)
        (folder / "source" / "shapes.py").write_text(
            "import json, os, signal, subprocess, sys, time\n"
            "from volano import Model, Param\n\n"
            "class Shapes(Model):\n"
            "    rate = Param(0.1)\n"
            f"    def train(self, run):\n{body}\n"
            f"    def evaluate(self, run):\n        {evaluate}\n"
        )
        return ProcessSpec(
            folder=folder,
            order=RunOrder(
                source=str(folder / "source" / "shapes.py"),
                data=str(folder / "data"),
                artefact=str(folder / "artefact"),
                limits=Limits(**(limits or {})),
                **{"seconds": 60.0, **order},
            ),
            env=env or {},
            grace_s=grace_s,
        )

    return build
