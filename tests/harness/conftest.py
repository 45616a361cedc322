"""Models as users write them: small files in a folder of their own."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

WriteModel = Callable[..., Path]


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """`write_model("raise ValueError")` is the path of a model whose train does that."""

    def write(train: str, evaluate: str = "return {}", head: str = "") -> Path:
        file = tmp_path / "code" / "shapes.py"
        file.parent.mkdir(exist_ok=True)
        body = textwrap.indent(textwrap.dedent(train).strip(), " " * 8)
        file.write_text(
            f"{textwrap.dedent(head)}\n"
            "from volano import Model, Param\n\n\n"
            "class Shapes(Model):\n"
            "    rate = Param(0.1, ge=0, le=1)\n\n"
            f"    def train(self, run):\n{body}\n\n"
            f"    def evaluate(self, run):\n        {evaluate}\n"
        )
        return file

    return write
