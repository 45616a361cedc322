"""A line of the log says what is on the list and nothing else."""

import json
import subprocess
import sys
import textwrap
from typing import Any

from volano.core import telemetry


def lines_of(program: str) -> list[dict[str, Any]]:
    """The lines that a program logs, in a process of its own: logging is global."""
    start = "import structlog\nfrom volano.core import telemetry\n"
    script = start + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_is_json_with_the_ids_of_request_and_run() -> None:
    [line] = lines_of(
        """
        telemetry.configure()
        telemetry.request_id.set("req-1")
        telemetry.run_id.set("run_1")
        structlog.get_logger("http").info("request", status=404, ms=1.5)
        """
    )

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "http",
        "request_id": "req-1",
        "run": "run_1",
        "status": 404,
        "ms": 1.5,
    }


def test_a_field_that_is_not_on_the_list_leaves_only_its_name() -> None:
    [line] = lines_of(
        """
        telemetry.configure()
        structlog.get_logger("x").info("seen", body="secret", token="secret", count=1)
        """
    )

    assert "secret" not in json.dumps(line)
    assert line["dropped"] == ["body", "token"]
    assert line["count"] == 1


def test_a_traceback_has_no_values_of_variables() -> None:
    [line] = lines_of(
        """
        telemetry.configure()
        def fail():
            pepper = "secret-" + "value"
            raise RuntimeError("broke")
        try:
            fail()
        except RuntimeError:
            structlog.get_logger("x").exception("failed")
        """
    )

    assert "RuntimeError: broke" in line["exception"]
    assert "secret-value" not in line["exception"]


def test_lines_of_libraries_follow_the_same_rules() -> None:
    [line] = lines_of(
        """
        import logging
        telemetry.configure()
        logging.getLogger("uvicorn.error").error("strange", extra={"body": "secret"})
        """
    )

    assert (line["event"], line["level"], line["logger"]) == ("strange", "error", "uvicorn.error")
    assert "secret" not in json.dumps(line)


def test_a_level_hides_what_is_below_it() -> None:
    lines = lines_of(
        """
        telemetry.configure("warning")
        structlog.get_logger("x").info("quiet")
        structlog.get_logger("x").warning("loud")
        """
    )

    assert [line["event"] for line in lines] == ["loud"]


def test_a_long_value_keeps_its_end() -> None:
    event = telemetry.only_listed(None, "info", {"event": "x", "exception": "a" * 9_000 + "end"})

    assert event["exception"].startswith("…a")
    assert event["exception"].endswith("end")
    assert len(event["exception"]) == telemetry.LONGEST + 1


def test_for_the_eye_there_are_no_locals_either() -> None:
    script = textwrap.dedent(
        """
        import structlog
        from volano.core import telemetry
        telemetry.configure(pretty=True)
        def fail():
            pepper = "secret-" + "value"
            raise RuntimeError("broke")
        try:
            fail()
        except RuntimeError:
            structlog.get_logger("x").exception("failed", body="secret-value")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "RuntimeError: broke" in done.stderr
    assert "secret-value" not in done.stderr
