"""What the console says of a call, and of what it would take."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from greenline.channels.whatsapp.calls.machine import Phase
from greenline.channels.whatsapp.calls.prospect import Prospect
from greenline.channels.whatsapp.template_models import Template
from greenline.web.console_call import RUNNING, call_state, explained

BERLIN = timezone(timedelta(hours=1))


def call(**more: Any) -> dict[str, Any]:
    row = {"direction": "outbound", "phase": "ended", "permission_state": None, "result": None, "reason": None}
    return {**row, "error_code": None, "picked_up_at": None, **more}


def test_every_phase_of_a_call_of_the_business_has_its_words() -> None:
    inbound = {Phase.NEW, Phase.PREPARING, Phase.PRE_ACCEPTING, Phase.CONNECTING, Phase.ACCEPTING}
    assert set(RUNNING) == {phase.value for phase in set(Phase) - inbound - {Phase.ENDED}}
    assert call_state(call(phase="connecting", direction="inbound"), UTC).text == "The call is being answered."


def test_a_call_that_runs_tells_since_when() -> None:
    begun = datetime(2026, 5, 4, 11, 2, 3, tzinfo=UTC)
    assert call_state(call(phase="active", picked_up_at=begun), BERLIN).text == "On the call. Since 12:02:03."


@pytest.mark.parametrize(
    ("row", "text", "advice", "bad"),
    [
        ({"result": "answered", "reason": "The person hung up."}, "The call is over. The person hung up.", "", False),
        (
            {
                "result": "answered",
                "reason": "Client received no media",
                "error_code": 138021,
                "direction": "inbound",
            },
            "The call is over. Client received no media",
            "Nothing of ours was heard at the relay. Open outbound UDP.",
            False,
        ),
        ({"result": "no_answer", "reason": "Nobody picked up."}, "Nobody picked up.", "Try again at another", False),
        ({"result": "busy", "reason": "The person rejected the call."}, "The call was rejected.", "Write in", False),
        (
            {
                "result": "failed",
                "reason": "User declined the call permission request.",
                "permission_state": "declined",
            },
            "There was no call. User declined",
            "They do not want to be called",
            True,
        ),
        (
            {"result": "busy", "reason": "All lines of the server are busy.", "direction": "inbound"},
            "The call was rejected. All lines of the server are busy.",
            "",
            False,
        ),
    ],
)
def test_a_call_that_ended_tells_why_and_what_to_do(row: dict[str, Any], text: str, advice: str, bad: bool) -> None:
    state = call_state(call(**row), UTC)
    assert state.text.startswith(text)
    assert state.advice.startswith(advice)
    assert bool(state.advice) == bool(advice)
    assert state.bad == bad


def test_advice_that_the_reason_holds_already_is_not_said_twice() -> None:
    known = call_state(call(result="failed", reason="Meta's words.", error_code=138000), UTC)
    assert known.advice
    again = call_state(call(result="failed", reason=f"Meta's words. ({known.advice})", error_code=138000), UTC)
    assert again.advice == ""


def test_what_a_call_would_take_is_said_in_sentences() -> None:
    assert "as soon as they pick up" in explained(Prospect(may_call=True))[0]
    assert explained(Prospect(may_call=False, why_not="The limit is used up."))[1] == "The limit is used up."
    assert explained(Prospect(may_call=False, question="May we?"))[1] == "The question: May we?"
    one = Template("ask", "en", "APPROVED", "UTILITY", is_named=False, body="May we ring?", asks_to_call=True)
    assert explained(Prospect(may_call=False, templates=(one,)))[1] == "The question: May we ring?"
    assert len(explained(Prospect(may_call=False, templates=(one, one)))) == 1
