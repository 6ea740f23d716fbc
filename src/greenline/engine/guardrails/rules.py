"""From the block ``platform_settings.guardrails`` to rules, all of one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from greenline.agents.config.guardrails import (
    ContentThreshold,
    CustomGuardrail,
    Guardrails,
    ModerationThreshold,
    RetryAction,
    TriggerAction,
)
from greenline.settings import Settings

INJECTION: Final = "prompt_injection"
CUSTOM: Final = "custom"
THRESHOLDS: Final[Mapping[str, float]] = {"low": 0.3, "medium": 0.5, "high": 0.7}
"""The words for a threshold: a low one is reached soon. The reference gives no figures; its default is 0.3."""
TYPES: Final[Mapping[str, str]] = {"medical_and_legal_information": "medical_and_legal"}
"""Categories that are called otherwise in `triggered_guardrails`; the others keep their names."""

Subject: TypeAlias = Literal["input", "reply"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A guardrail that is switched on. ``type`` is as in the reference's ``GuardrailType``.

    A category has a ``threshold`` and is scored; every other rule is broken or not. ``feedback`` is for the model
    that may try again, None ends the conversation. ``history`` counts messages of the person that the judge sees
    before the reply; ``whole_only`` judges no reply that is still being written.
    """

    type: str
    model: str
    subject: Subject = "reply"
    threshold: float | None = None
    name: str | None = None
    prompt: str = field(default="", repr=False)
    feedback: str | None = field(default=None, repr=False)
    history: int = 0
    with_tools: bool = False
    whole_only: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of an agent and what holds for all of them.

    ``holds``: a reply waits until it is judged. ``seconds`` is the time of a judge, ``lenient`` lets pass what could
    not be judged, ``retries`` is how often the model may answer again, ``message`` is for the person whose
    conversation is ended.
    """

    rules: tuple[Rule, ...]
    holds: bool
    seconds: float
    lenient: bool
    retries: int
    message: str

    def of(self, subject: Subject, *, unfinished: bool = False) -> tuple[Rule, ...]:
        """The rules on the person's words or on a reply, which may be ``unfinished``."""
        return tuple(rule for rule in self.rules if rule.subject == subject and not (unfinished and rule.whole_only))


def guard_of(guardrails: Guardrails, settings: Settings, *, streams: bool) -> Guard | None:
    """What an agent's guardrails come to; None when none of them needs a judge.

    ``streams``: the channel gives a reply out while it is written. Else every reply waits for its verdict, since
    nothing is gained by sending what may be refused a moment later.
    """
    rules = tuple(_rules(guardrails, settings.guardrail_model))
    if not rules:
        return None
    return Guard(
        rules=rules,
        holds=not streams or _is_blocking(guardrails),
        seconds=settings.guardrail_timeout_seconds,
        lenient=settings.guardrail_failure == "allow",
        retries=settings.guardrail_retries,
        message=settings.guardrail_message,
    )


def _rules(guardrails: Guardrails, model: str) -> Iterator[Rule]:
    if guardrails.prompt_injection.is_enabled:
        yield Rule(INJECTION, model, subject="input")
    content = guardrails.content
    yield from _categories(dict(content.config), model, content.trigger_action)
    if guardrails.moderation is not None:
        yield from _categories(dict(guardrails.moderation.config), model, None)
    for custom in guardrails.custom.config.configs:
        if custom.is_enabled:
            yield _custom(custom)


def _categories(config: Mapping[str, object], model: str, action: TriggerAction | None) -> Iterator[Rule]:
    for name, category in config.items():
        if isinstance(category, ContentThreshold | ModerationThreshold) and category.is_enabled:
            threshold = category.threshold
            limit = THRESHOLDS[threshold] if isinstance(threshold, str) else threshold
            yield Rule(TYPES.get(name, name), model, threshold=limit, feedback=_feedback(action))


def _custom(custom: CustomGuardrail) -> Rule:
    return Rule(
        CUSTOM,
        custom.model,
        name=custom.name,
        prompt=custom.prompt,
        feedback=_feedback(custom.trigger_action),
        history=custom.history_message_count,
        with_tools=custom.history_include_tool_calls,
        whole_only=custom.evaluate_full_response_only,
    )


def _feedback(action: TriggerAction | None) -> str | None:
    return action.feedback if isinstance(action, RetryAction) else None


def _is_blocking(guardrails: Guardrails) -> bool:
    """Whether a guardrail that is on holds replies back."""
    content, moderation = guardrails.content, guardrails.moderation
    modes = [rule.execution_mode for rule in guardrails.custom.config.configs if rule.is_enabled]
    if any(True for _ in _categories(dict(content.config), "", None)):
        modes.append(content.execution_mode)
    if moderation is not None and any(True for _ in _categories(dict(moderation.config), "", None)):
        modes.append(moderation.execution_mode)
    return "blocking" in modes
