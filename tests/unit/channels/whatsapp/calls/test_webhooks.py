from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.calls.events import Answered, Declined, Happening, PickedUp, Replied, Terminated
from greenline.channels.whatsapp.calls.webhooks import read_news, read_reply

BUSINESS = "+15550001111"
CALL = {"id": "wacid.1", "from": "15551230000", "to": "15550001111", "event": "connect"}
OFFER = {"sdp_type": "offer", "sdp": "v=0"}


def call(**more: Any) -> dict[str, Any]:
    return {"phone_number_id": "1", "call": {**CALL, **more}, "contact": None, "errors": more.pop("beside", [])}


def test_a_person_calls() -> None:
    news = read_news(call(session=OFFER, direction="USER_INITIATED", from_user_id="US.1"), BUSINESS)
    assert (news.call_id, news.offer, news.wa_id, news.bsuid) == ("wacid.1", "v=0", "15551230000", "US.1")
    assert news.happening is None


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"from": "15550001111", "to": "15551230000"},
        {"from": "+1 555 000 1111", "to": "15551230000"},
    ],
)
def test_the_person_is_the_end_that_is_not_the_business(more: dict[str, str]) -> None:
    assert read_news(call(session=OFFER, **more), BUSINESS).wa_id == "15551230000"


def test_a_person_without_a_number_is_known_by_their_contact() -> None:
    payload = call(session=OFFER)
    del payload["call"]["from"]
    payload["contact"] = {"user_id": "US.7"}
    news = read_news(payload, BUSINESS)
    assert (news.wa_id, news.bsuid) == (None, "US.7")


def test_the_relay_answers_our_offer() -> None:
    session = {"sdp_type": "answer", "sdp": "v=0"}
    assert read_news(call(session=session), BUSINESS).happening == Answered("v=0")
    assert read_news(call(session=session, direction="BUSINESS_INITIATED"), BUSINESS).happening == Answered("v=0")


@pytest.mark.parametrize(
    ("more", "happening"),
    [
        ({"status": "COMPLETED"}, Terminated(picked_up=False)),
        ({"status": "COMPLETED", "start_time": "1", "duration": 7}, Terminated(picked_up=True)),
        ({"status": "FAILED"}, Terminated(picked_up=False, failed=True)),
        (
            {"status": "FAILED", "errors": [{"code": 138021, "message": "no media"}]},
            Terminated(picked_up=False, failed=True, reason="no media", code=138021),
        ),
        (
            {"errors": [{"code": 138020, "message": "no way", "error_data": {"details": "The relay was closed."}}]},
            Terminated(picked_up=False, failed=True, reason="The relay was closed.", code=138020),
        ),
        (
            {"beside": [{"code": 138023, "title": "no signal"}]},
            Terminated(picked_up=False, failed=True, reason="no signal", code=138023),
        ),
    ],
)
def test_the_end_says_whether_somebody_picked_up(more: dict[str, Any], happening: Happening) -> None:
    payload = call(**{key: value for key, value in more.items() if key != "beside"}, event="terminate")
    payload["errors"] = more.get("beside", [])
    assert read_news(payload, BUSINESS).happening == happening


def test_the_end_says_how_long_it_was() -> None:
    assert read_news(call(event="terminate", duration="61"), BUSINESS).talk_seconds == 61
    assert read_news(call(event="terminate", duration=61), BUSINESS).talk_seconds == 61
    assert read_news(call(event="terminate", duration="long"), BUSINESS).talk_seconds is None


@pytest.mark.parametrize(
    ("status", "happening"),
    [("ACCEPTED", PickedUp()), ("REJECTED", Declined()), ("RINGING", None), ("NEW_ONE", None), (None, None)],
)
def test_statuses_of_our_calls(status: str | None, happening: Happening | None) -> None:
    assert read_news({"status": {"id": "wacid.1", "status": status}}, BUSINESS).happening == happening


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"response": "accept", "is_permanent": False}, Replied(granted=True)),
        ({"response": "accept", "is_permanent": True}, Replied(granted=True, permanent=True)),
        ({"response": "accept", "response_source": "automatic"}, Replied(granted=True, automatic=True)),
        ({"response": "reject"}, Replied(granted=False)),
        ({"response": "later"}, None),
        ({}, None),
    ],
)
def test_a_persons_word(reply: dict[str, Any], expected: Replied | None) -> None:
    assert read_reply({"message": {"interactive": {"call_permission_reply": reply}}}) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["call", "status", "contact", "errors", "session", "sdp", "event", "id", "message"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_nothing_that_meta_may_send_is_too_strange(payload: Any) -> None:
    read_news(payload, BUSINESS)
    read_reply(payload)
