"""What errors of the Graph API mean."""

import itertools
from datetime import timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.graph_errors import (
    ADVICE,
    GraphError,
    Outcome,
    decide,
    is_token_dead,
    read_error,
    unanswered,
    unreachable,
)


def envelope(code: int, **more: object) -> bytes:
    return orjson.dumps({"error": {"message": f"(#{code}) Title", "type": "OAuthException", "code": code, **more}})


@pytest.mark.parametrize(
    ("code", "http_status", "outcome"),
    [
        (4, 400, Outcome.REFUSED),
        (80007, 400, Outcome.REFUSED),
        (130429, 400, Outcome.REFUSED),
        (131056, 400, Outcome.REFUSED),
        (134101, 400, Outcome.REFUSED),
        (1, 400, Outcome.UNKNOWN),
        (2, 503, Outcome.UNKNOWN),
        (131000, 500, Outcome.UNKNOWN),
        (131016, 500, Outcome.UNKNOWN),
        (131057, 500, Outcome.UNKNOWN),
        (133004, 503, Outcome.UNKNOWN),
        (3, 500, Outcome.PERMANENT),
        (131045, 500, Outcome.PERMANENT),
        (100, 400, Outcome.PERMANENT),
        (131047, 400, Outcome.PERMANENT),
        (132001, 404, Outcome.PERMANENT),
        (190, 401, Outcome.PERMANENT),
        (424242, 400, Outcome.PERMANENT),
        (424242, 500, Outcome.UNKNOWN),
        (None, 429, Outcome.REFUSED),
        (None, 502, Outcome.UNKNOWN),
        (None, 404, Outcome.PERMANENT),
        (None, None, Outcome.UNKNOWN),
    ],
)
def test_outcome_of_a_code(code: int | None, http_status: int | None, outcome: Outcome) -> None:
    assert decide(code, http_status) is outcome


@pytest.mark.parametrize(
    ("code", "http_status", "dead"),
    [
        (190, 401, True),
        (0, 401, True),
        (10, 403, False),
        (200, 403, False),
        (100, 400, False),
        (300, 400, False),
        (None, 401, True),
        (None, 500, False),
    ],
)
def test_signs_of_a_dead_token(code: int | None, http_status: int, dead: bool) -> None:
    assert is_token_dead(code, http_status) is dead


@pytest.mark.parametrize(
    ("code", "lacks"), [(10, True), (199, False), (200, True), (299, True), (300, False), (190, False), (None, False)]
)
def test_a_permission_that_is_missing_is_told_from_a_dead_token(code: int | None, lacks: bool) -> None:
    error = GraphError("no", outcome=Outcome.PERMANENT, code=code, http_status=403)
    assert error.lacks_permission is lacks
    if lacks:
        assert error.retry_delay(0) == timedelta(minutes=1)
        assert error.advice == ADVICE[10]


def test_what_an_answer_tells_is_kept() -> None:
    body = envelope(190, error_subcode=463, error_data={"details": "Session has expired"}, fbtrace_id="Az")
    error = read_error(401, body, "30")
    assert (error.code, error.subcode, error.http_status) == (190, 463, 401)
    assert (error.details, error.fbtrace_id, error.retry_after) == ("Session has expired", "Az", 30.0)
    assert error.token_dead
    assert "Import the number again" in (error.advice or "")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": 5}', b'{"error": {"code": true}}', b"\xff"])
def test_an_answer_that_is_not_metas_is_judged_by_its_status(body: bytes) -> None:
    assert read_error(502, body).outcome is Outcome.UNKNOWN
    assert read_error(429, body).outcome is Outcome.REFUSED
    assert read_error(400, body).outcome is Outcome.PERMANENT
    assert read_error(400, body).code is None


def test_a_connection_that_was_never_made_is_a_refusal_and_a_lost_answer_is_unknown() -> None:
    assert unreachable(OSError("refused")).outcome is Outcome.REFUSED
    assert unanswered(TimeoutError()).outcome is Outcome.UNKNOWN
    assert "TimeoutError" in str(unanswered(TimeoutError()))


def test_the_pair_rate_is_retried_as_meta_says() -> None:
    error = read_error(400, envelope(131056))
    assert [error.retry_delay(attempt).total_seconds() for attempt in range(4)] == [1.0, 4.0, 16.0, 64.0]


@pytest.mark.parametrize("code", [4, 80007, 130429, 131056, 133015, 134101, None])
def test_delays_grow_up_to_an_hour(code: int | None) -> None:
    error = GraphError("x", outcome=Outcome.REFUSED, code=code)
    delays = [error.retry_delay(attempt) for attempt in range(30)]
    assert all(one <= two for one, two in itertools.pairwise(delays))
    assert delays[-1] <= timedelta(hours=1)


def test_after_an_outage_nobody_waits_for_long() -> None:
    assert max(unreachable(OSError("refused")).retry_delay(attempt) for attempt in range(50)) <= timedelta(minutes=2)


def test_a_retry_is_not_earlier_than_meta_asks() -> None:
    assert read_error(429, b"", "120").retry_delay(0) == timedelta(seconds=120)
    assert read_error(429, b"", "soon").retry_delay(0) == timedelta(seconds=1)


def test_a_token_that_meta_quotes_is_not_repeated() -> None:
    for token in ("EAAGm0PX4ZCpsBA", "x1y2z3"):
        body = orjson.dumps({"error": {"code": 190, "message": f"Malformed access token {token}"}})
        assert read_error(400, body).title == "Malformed access token [token]"


def test_every_advice_is_a_sentence() -> None:
    assert all(text.endswith(".") for text in ADVICE.values())
    assert read_error(403, envelope(299)).advice == ADVICE[10]
    assert unreachable(OSError()).advice is None


@given(st.integers(100, 599), st.binary(max_size=300), st.none() | st.text(max_size=20))
def test_any_answer_can_be_read(http_status: int, body: bytes, retry_after: str | None) -> None:
    error = read_error(http_status, body, retry_after)
    assert error.http_status == http_status
    assert error.retry_delay(0) >= timedelta()
