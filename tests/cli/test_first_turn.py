"""Tests of volano.cli.first_turn: what a server that has turned before points to."""

import io

import msgspec
import pytest

from tests.cli import canned
from tests.sdk.scripted import Script, page
from volano.cli.first_turn import first_turn
from volano.cli.steps import Steps
from volano.cli.terminal import Terminal
from volano.sdk.client import Client


@pytest.mark.parametrize(
    ("names", "pointed"), [(["alpha", "shapes"], "shapes"), (["alpha", "beta"], "alpha")]
)
def test_a_restart_points_to_the_endpoint_that_a_new_server_makes(
    script: Script, names: list[str], pointed: str
):
    endpoints = [msgspec.structs.replace(canned.ENDPOINT, name=name) for name in names]
    script.on("GET", "/endpoints", page(*endpoints))
    said = io.StringIO()

    with Client(script.url, "vk_test") as client:
        first_turn(client, Steps(Terminal(err=said)), key=None)

    assert f"endpoint '{pointed}' answers" in said.getvalue()
    assert f"volano endpoints show {pointed}" in said.getvalue()


def test_nothing_is_advised_where_the_server_ends_at_once(script: Script):
    script.on("GET", "/endpoints", page(canned.ENDPOINT))
    said = io.StringIO()

    with Client(script.url, "vk_test") as client:
        first_turn(client, Steps(Terminal(err=said)), key=None, advise=False)

    assert "endpoint 'drawing' answers" in said.getvalue()
    assert "next:" not in said.getvalue()
