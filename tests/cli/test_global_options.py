"""Tests of volano.cli.global_options: the options of every command, anywhere on the line."""

import pytest

from volano.cli.global_options import GlobalOptions, Misuse, split


@pytest.mark.parametrize(
    ("line", "shared", "rest"),
    [
        ("data ls", GlobalOptions(), "data ls"),
        ("-o json data ls", GlobalOptions(format="json"), "data ls"),
        ("data --output=jsonl ls", GlobalOptions(format="jsonl"), "data ls"),
        ("data ls --json --limit 3", GlobalOptions(format="json"), "data ls --limit 3"),
        (
            "train --rate=1 --url http://x --key=k",
            GlobalOptions(url="http://x", key="k"),
            "train --rate=1",
        ),
        ("data ls -h", GlobalOptions(help=True), "data ls"),
        ("--version", GlobalOptions(version=True), ""),
        ("shapes add -- --json", GlobalOptions(), "shapes add -- --json"),
        ("train --json-lines=1", GlobalOptions(), "train --json-lines=1"),
    ],
)
def test_shared_options_are_taken_out_and_the_rest_is_left(line, shared, rest):
    assert (shared, rest.split()) == split(line.split())


@pytest.mark.parametrize("line", ["-o", "data ls --url", "-o xml", "--output="])
def test_an_option_without_a_usable_value_is_misuse(line):
    with pytest.raises(Misuse):
        split(line.split())
