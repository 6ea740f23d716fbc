"""What the guardrails made of a turn, for those who read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from greenline.conversations.events import Event, GuardrailHit, GuardrailsChecked
from greenline.conversations.transcript_models import (
    ClassifierVerdict,
    LlmVerdict,
    TriggeredGuardrail,
    UnjudgedGuardrail,
)
from greenline.conversations.usage import add_usage


def by_message(events: Iterable[Event]) -> dict[str, list[GuardrailsChecked]]:
    """The checks behind each message."""
    found: dict[str, list[GuardrailsChecked]] = {}
    for event in events:
        if isinstance(event, GuardrailsChecked):
            found.setdefault(event.message_id, []).append(event)
    return found


def triggered(checks: Sequence[GuardrailsChecked]) -> list[TriggeredGuardrail]:
    """Those of all attempts, in their order."""
    return [
        TriggeredGuardrail(
            guardrail_type=hit.type,
            guardrail_name=hit.name,
            execution_mode=check.mode,
            guardrail_details=_details(hit),
        )
        for check in checks
        for hit in check.hits
    ]


def unjudged(checks: Sequence[GuardrailsChecked]) -> list[UnjudgedGuardrail]:
    """Those whose judge failed."""
    return [
        UnjudgedGuardrail(guardrail_type=one.type, guardrail_name=one.name, reason=one.reason)
        for check in checks
        for one in check.unjudged
    ]


def with_checks(
    usage: Mapping[str, Mapping[str, int]], checks: Sequence[GuardrailsChecked]
) -> dict[str, dict[str, int]]:
    """The tokens of a message, and those of what was behind it."""
    whole = add_usage({}, usage)
    for check in checks:
        whole = add_usage(whole, check.usage)
    return whole


def _details(hit: GuardrailHit) -> LlmVerdict | ClassifierVerdict:
    if hit.score is not None and hit.threshold is not None:
        return ClassifierVerdict(score=hit.score, threshold=hit.threshold)
    return LlmVerdict(rationale=hit.rationale)
