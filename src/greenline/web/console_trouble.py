"""What went wrong in a conversation, and what to do next: for somebody who is woken by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from greenline.channels.whatsapp.graph_errors import ADVICE
from greenline.conversations.deliveries import DeliveryError
from greenline.conversations.metadata_models import ErrorView
from greenline.conversations.transcript_models import Turn
from greenline.store.pool import Record
from greenline.web.parts import Tag, box, link

SHOWN: Final = 8
MODEL: Final = "Check the model of the agent: its key, its quota, its name. A second model in the cascade takes over."
FAILURES: Final = {
    "synthesis_failed": (
        "The words could not be spoken.",
        "Check the voice of the agent and its provider: key, quota, name of the voice.",
    ),
    "recognition_failed": (
        "The person could not be understood: the recognition failed.",
        "Check the provider that recognises speech: its key and its quota.",
    ),
    "server_fault": (
        "The server met an error of its own.",
        "Look for the id of this conversation in the log of the server.",
    ),
}
"""What a code of ``turn_failed`` means, and what to do."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """``text`` tells what went wrong, ``advice`` what to do where that is known; ``turn_id`` is where it is seen
    first, ``times`` how often.
    """

    text: str
    advice: str = ""
    turn_id: str = ""
    times: int = 1


def troubles(
    error: ErrorView | None, turns: Iterable[Turn], failures: Iterable[Record | Mapping[str, Any]]
) -> list[Trouble]:
    """Everything that went wrong, the end of the conversation first. ``failures``: ``turn_failed`` of the journal."""
    found = [
        *([_end(error)] if error else ()),
        *(_failure(failure) for failure in failures),
        *(trouble for turn in turns for trouble in _of_turn(turn)),
    ]
    counts = Counter(trouble.text for trouble in found)
    first = {trouble.text: trouble for trouble in reversed(found)}
    return [replace(first[text], times=counts[text]) for text in counts]


def draw_troubles(found: list[Trouble]) -> None:
    """A card, or nothing where all went well."""
    if not found:
        return
    with box("gl-card gl-troubles").props("role=region aria-label='What went wrong'"):
        Tag("h2", "What went wrong", "gl-h2")
        with box("gl-trouble-list", "ul"):
            for trouble in found[:SHOWN]:
                with box("", "li"):
                    times = f" ({trouble.times} times)" if trouble.times > 1 else ""
                    Tag("div", f"{trouble.text}{times}", "gl-bad")
                    if trouble.advice:
                        Tag("div", trouble.advice, "gl-small")
                    if trouble.turn_id:
                        link("Show where", f"#{turn_anchor(trouble.turn_id)}", "gl-link gl-small")
        if len(found) > SHOWN:
            Tag("div", f"and {len(found) - SHOWN} more, below.", "gl-soft gl-small")


def turn_anchor(turn_id: str) -> str:
    """The id of a turn's element."""
    return f"turn-{turn_id}"


def explain(error: DeliveryError) -> tuple[str, str]:
    """What went wrong with a message, and what an operator can do, where that is known."""
    told = ": ".join(str(part).rstrip(".") for part in (error.title, error.details) if part) or "No reason was given"
    code = f" (code {error.code})" if error.code is not None else ""
    return f"{told}{code}", (ADVICE.get(error.code) if isinstance(error.code, int) else None) or ""


def _end(error: ErrorView) -> Trouble:
    reason, advice = error.reason or "No reason was given.", ADVICE.get(error.code, "")
    return Trouble(f"Failed ({error.code}): {reason}", "" if advice in reason else advice)


def _failure(failure: Record | Mapping[str, Any]) -> Trouble:
    text, advice = FAILURES.get(failure["code"], ("The agent could not answer.", MODEL))
    return Trouble(f"{text} {failure['reason'] or ''}".strip(), advice)


def _of_turn(turn: Turn) -> Iterator[Trouble]:
    for attempt in turn.llm_attempts:
        yield Trouble(f"The model {attempt.model} did not answer: {attempt.error}", MODEL, turn.id)
    for result in turn.tool_results:
        if result.is_error:
            reason = " ".join((result.raw_error_message or result.result_value).split())[:200]
            yield Trouble(
                f"The tool {result.tool_name} failed: {reason}", "Check what the tool calls, and its answer.", turn.id
            )
    for message in turn.delivery.messages if turn.delivery else ():
        if message.error:
            told, advice = explain(message.error)
            yield Trouble(f"A message was not delivered: {told}", advice, turn.id)
