"""What a judge has answered: the rules that are broken, and those of which nobody knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greenline.conversations.events import GuardrailHit, Unjudged
from greenline.conversations.usage import add_usage
from greenline.engine.effects import NoModelAnswered
from greenline.engine.guardrails.questions import Question
from greenline.engine.guardrails.rules import Rule
from greenline.engine.usage import usage_of
from greenline.llm.models import ModelReply
from greenline.text import clean_text

MOST_RATIONALE: Final = 500
NO_FORM: Final = "the judge did not answer in the form that it was asked for"


@dataclass(slots=True)
class Verdict:
    """What came of some questions. ``broken`` are the rules behind ``hits``."""

    hits: list[GuardrailHit] = field(default_factory=list)
    broken: list[Rule] = field(default_factory=list)
    unjudged: list[Unjudged] = field(default_factory=list)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, other: Verdict) -> None:
        """Together with what came of others."""
        known = {(hit.type, hit.name) for hit in self.hits}
        self.hits += [hit for hit in other.hits if (hit.type, hit.name) not in known]
        self.broken += other.broken
        self.unjudged += other.unjudged
        self.usage = add_usage(self.usage, other.usage)


def verdict(question: Question, reply: ModelReply | NoModelAnswered) -> Verdict:
    """What the answer of a judge says of the rules of ``question``. Never raises: what can't be read is unjudged."""
    if isinstance(reply, NoModelAnswered):
        why = "; ".join(f"{attempt.model}: {attempt.error}" for attempt in reply.attempts)
        return Verdict(unjudged=[_unjudged(rule, f"no judge answered: {why}") for rule in question.rules])
    counts = usage_of(reply)
    found = Verdict(usage={reply.model: counts} if any(counts.values()) else {})
    answer = _object(reply.text)
    reason = str(answer.get("unable") or NO_FORM)
    for rule in question.rules:
        hit = _scored(rule, answer) if rule.threshold is not None else _decided(rule, answer)
        if hit is None:
            found.unjudged.append(_unjudged(rule, reason))
        elif hit is not _PASSED:
            found.hits.append(hit)
            found.broken.append(rule)
    return found


_PASSED: Final = GuardrailHit(type="none")


def _decided(rule: Rule, answer: Mapping[str, Any]) -> GuardrailHit | None:
    triggered = answer.get("triggered")
    if not isinstance(triggered, bool):
        return None
    if not triggered:
        return _PASSED
    rationale = clean_text(str(answer.get("rationale") or ""))[:MOST_RATIONALE]
    return GuardrailHit(type=rule.type, name=rule.name, rationale=rationale)


def _scored(rule: Rule, answer: Mapping[str, Any]) -> GuardrailHit | None:
    scores = answer.get("scores")
    score = scores.get(rule.type) if isinstance(scores, Mapping) else None
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1 or rule.threshold is None:
        return None
    if score < rule.threshold:
        return _PASSED
    return GuardrailHit(type=rule.type, score=float(score), threshold=rule.threshold)


def _object(text: str) -> Mapping[str, Any]:
    """The first JSON object of a text: models put a fence or a word around it. Empty where there is none."""
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
        else:
            return found if isinstance(found, dict) else {}
    return {}


def _unjudged(rule: Rule, reason: str) -> Unjudged:
    return Unjudged(type=rule.type, name=rule.name, reason=clean_text(reason)[:MOST_RATIONALE])
