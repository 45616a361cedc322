"""The pages of docs/ are as the code says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate

DOCS = Path(generate.__file__).parent
PAGES = sorted([*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")])


def test_generated_pages_are_fresh() -> None:
    # In a process of its own: tests define errors too.
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
