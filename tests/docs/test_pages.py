"""The pages of docs/ are as the code says."""

import re
from pathlib import Path

import pytest

from docs import generate

DOCS = Path(generate.__file__).parent
PAGES = sorted([*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")])


def test_generated_pages_are_fresh() -> None:
    assert generate.stale() == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
