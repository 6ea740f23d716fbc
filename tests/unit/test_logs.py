"""Logs: one event a line, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from greenline.logs import configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The set-up of other tests, afterwards."""
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    structlog.configure(**configuration)
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        structlog.get_logger("room").info("thing.done", text="two\nlines", number=3, id=object)
    [event] = lines(capsys)
    assert event["event"] == "thing.done"
    assert (event["level"], event["request_id"], event["number"]) == ("info", "req_1", 3)
    assert str(event["timestamp"]).endswith("Z")


def test_libraries_log_in_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("uvicorn.error").warning("went %s", "wrong")
    logging.getLogger("httpx2").info("every request")
    [event] = lines(capsys)
    assert (event["event"], event["logger"], event["level"]) == ("went wrong", "uvicorn.error", "warning")


def test_a_library_adds_no_traces_of_calls_to_what_we_tell_of_a_database_that_is_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info", "json")
    logging.getLogger("asyncpg.pool").warning("Failed to restore the pool connection floor; retrying")
    assert lines(capsys) == []


def test_less_important_events_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", "json")
    structlog.get_logger().info("detail")
    structlog.get_logger().warning("matter")
    assert [event["event"] for event in lines(capsys)] == ["matter"]


def test_a_fault_has_its_trace_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    try:
        raise ValueError("no such thing")
    except ValueError:
        structlog.get_logger().exception("thing.failed")
    [event] = lines(capsys)
    assert "ValueError: no such thing" in str(event["exception"])


@pytest.mark.parametrize(
    "values",
    [
        {"access_token": "abcdef"},
        {"Authorization": "Bearer abcdef"},
        {"dsn": "postgresql://user:abcdef@host/name"},
        {"error": "could not connect to postgresql://user:abcdef@host/name"},
        {"error": "401 for key gl_abcdefghijklmnopqrstuvwxyz"},
        {"error": "the token EAAabcdefghijklmnopqrstuvwxyz is expired"},
        {"error": "Incorrect API key provided: sk-abcdefghijklmnopqrst"},
    ],
)
def test_secrets_are_masked(values: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    structlog.get_logger().info("thing", **values)
    text = capsys.readouterr().err
    assert "abcdef" not in text
    assert "***" in text


def test_people_get_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "console")
    structlog.get_logger().info("thing.done", number=3)
    text = capsys.readouterr().err
    assert "thing.done" in text
    assert "number=3" in text
