"""What the console says of a turn."""

from greenline.conversations.transcript_models import (
    ClassifierVerdict,
    LlmVerdict,
    TriggeredGuardrail,
    Turn,
    UnjudgedGuardrail,
)
from greenline.web.console_turn import guardrail_lines


def test_a_turn_tells_what_guardrails_made_of_it() -> None:
    turn = Turn(
        role="agent",
        message="Bye.",
        time_in_call_secs=1,
        id="msg_1",
        created_at_unix_ms=0,
        triggered_guardrails=[
            TriggeredGuardrail(
                guardrail_type="custom",
                guardrail_name="Prices",
                execution_mode="blocking",
                guardrail_details=LlmVerdict(rationale="It names a price."),
            ),
            TriggeredGuardrail(
                guardrail_type="self_harm",
                execution_mode="blocking",
                guardrail_details=ClassifierVerdict(score=0.75, threshold=0.3),
            ),
        ],
        refused_messages=["Nine euro."],
        unjudged_guardrails=[UnjudgedGuardrail(guardrail_type="prompt_injection", reason="timeout")],
    )
    assert guardrail_lines(turn) == [
        "Guardrail custom “Prices” was triggered: It names a price.",
        "Guardrail self harm was triggered: 0.75, and the threshold is 0.3",
        "Refused: Nine euro.",
        "Guardrail prompt injection was not judged: timeout",
    ]
