"""Fixtures of the client's tests: a server whose answers are written down, a client of it."""

from collections.abc import Iterator

import pytest

from tests.sdk.scripted import Script, served
from volano.sdk.client import Client
from volano.sdk.transport import Backoff

QUICK = Backoff(tries=4, first_s=0.001, most_s=0.002)


@pytest.fixture
def script() -> Iterator[Script]:
    with served(Script()) as running:
        yield running


@pytest.fixture
def client(script: Script) -> Iterator[Client]:
    with Client(script.url, "vk_test", backoff=QUICK) as client:
        yield client
