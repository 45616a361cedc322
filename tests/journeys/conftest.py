"""Fixtures of the journeys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.server import volano_up
from volano.core.settings import Settings


@pytest.fixture
def up(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a server with real processes, and the key of its admin."""
    with volano_up(settings, tmp_path) as served:
        yield served
