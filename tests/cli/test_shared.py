"""Tests of volano.cli.shared: the options of every command, anywhere on the line."""

import pytest

from volano.cli.shared import Misuse, Shared, split


@pytest.mark.parametrize(
    ("line", "shared", "rest"),
    [
        ("data ls", Shared(), "data ls"),
        ("-o json data ls", Shared(format="json"), "data ls"),
        ("data --output=jsonl ls", Shared(format="jsonl"), "data ls"),
        ("data ls --json --limit 3", Shared(format="json"), "data ls --limit 3"),
        (
            "train --rate=1 --url http://x --key=k",
            Shared(url="http://x", key="k"),
            "train --rate=1",
        ),
        ("data ls -h", Shared(help=True), "data ls"),
        ("--version", Shared(version=True), ""),
        ("shapes add -- --json", Shared(), "shapes add -- --json"),
        ("train --json-lines=1", Shared(), "train --json-lines=1"),
    ],
)
def test_shared_options_are_taken_out_and_the_rest_is_left(line, shared, rest):
    assert (shared, rest.split()) == split(line.split())


@pytest.mark.parametrize("line", ["-o", "data ls --url", "-o xml", "--output="])
def test_an_option_without_a_usable_value_is_misuse(line):
    with pytest.raises(Misuse):
        split(line.split())
