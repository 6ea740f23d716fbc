"""From a journal to the transcript that clients read. Pure, and for any journal: it never raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from typing import Any, Final, TypeVar

from greenline.conversations.deliveries import Sent, fold_deliveries, milliseconds, turn_delivery
from greenline.conversations.events import (
    AgentMessage,
    ContextualUpdate,
    Entry,
    Feedback,
    PartsBegan,
    Started,
    ToolCalled,
    ToolReturned,
    TurnTimed,
    UserMessage,
    UserSilent,
    Voiced,
)
from greenline.conversations.files import ConversationFile
from greenline.conversations.guardrails import by_message, triggered, unjudged, with_checks
from greenline.conversations.heard import Heard
from greenline.conversations.tool_calls import ToolCalls
from greenline.conversations.transcript_models import (
    AgentMetadata,
    ContextualUpdateInfo,
    FileInput,
    LlmAttempt,
    Metric,
    MultivoiceMessage,
    MultivoicePart,
    SilenceView,
    Turn,
    TurnFeedback,
    TurnMetrics,
)
from greenline.conversations.usage import Prices, llm_usage, no_prices
from greenline.conversations.voices import heard_parts

WAIT_METRICS: Final = {
    "recognition": "convai_asr_trailing_service_latency",
    "model": "convai_llm_service_ttf_sentence",
    "synthesis": "convai_tts_service_ttfb",
}
"""The reference's names for parts of the silence before a spoken answer."""
_Tool = TypeVar("_Tool", ToolCalled, ToolReturned)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transcript needs besides the journal.

    Times count from ``begun_at``; what happened before it (a template that waited for its reply) is at 0.
    """

    begun_at: datetime
    agent: AgentMetadata
    files: Mapping[str, ConversationFile] = field(default_factory=dict)
    link: Callable[[ConversationFile], str] = lambda file: ""
    prices: Prices = no_prices


def transcript(journal: Sequence[Entry], about: Surroundings) -> list[Turn]:
    """The turns in the order of the journal.

    As in the reference, the call of a tool and its result are two entries: the agent's words with the calls that
    the model asked for, then one entry with the results of all of them.
    """
    return list(_Fold(journal, about).turns())


class _Fold:
    def __init__(self, journal: Sequence[Entry], about: Surroundings) -> None:
        self._journal = journal
        self._about = about
        self._sent = fold_deliveries(journal)
        events = [entry.event for entry in journal]
        called = [event for event in events if isinstance(event, ToolCalled)]
        returned = [event for event in events if isinstance(event, ToolReturned)]
        self._tools = ToolCalls(journal)
        self._calls = _by_message(called)  # those of messages that are still to come
        self._returns = _by_message(returned)
        self._messages = {event.id for event in events if isinstance(event, AgentMessage)}
        self._heard = Heard(events)
        self._checks = by_message(events)
        self._parts_began = {event.message_id: event.at for event in events if isinstance(event, PartsBegan)}
        self._voiced = {event.message_id: event for event in events if isinstance(event, Voiced)}
        self._recogniser = ""
        """Who heard what the person said last."""
        self._waits = {event.message_id: event.waits for event in events if isinstance(event, TurnTimed)}
        self._newest = {event.context_id: event for event in events if isinstance(event, ContextualUpdate)}
        self._ratings = {entry.event.event_id: entry for entry in journal if isinstance(entry.event, Feedback)}
        self._override = _llm_override(journal)

    def turns(self) -> Iterable[Turn]:
        for entry in self._journal:
            event = entry.event
            if isinstance(event, UserMessage):
                self._recogniser = event.recogniser
                yield self._user(entry, event)
            elif isinstance(event, AgentMessage):
                yield self._agent(entry, event, self._calls.pop(event.id, ()))
            elif isinstance(event, ToolCalled) and event.message_id in self._calls.keys() - self._messages:
                yield self._agent(
                    entry, AgentMessage(id=event.message_id, text=""), self._calls.pop(event.message_id)
                )
            elif isinstance(event, ToolReturned) and event.message_id in self._returns:
                yield self._results(entry, event.message_id, self._returns.pop(event.message_id))
            elif isinstance(event, ContextualUpdate):
                yield self._background(entry, event)
            elif isinstance(event, UserSilent):
                elapsed = "skip_turn_wait_elapsed" if event.asked_for_it else "user_turn_timeout"
                yield self._blank(entry).model_copy(update={"platform_event": elapsed})

    def _user(self, entry: Entry, event: UserMessage) -> Turn:
        files = [self._file(self._about.files[name]) for name in event.file_ids if name in self._about.files]
        return Turn(
            role="user",
            message=event.text or None,
            time_in_call_secs=self._seconds(event.began or entry.at),
            id=event.id,
            created_at_unix_ms=milliseconds(event.began or event.received_at or entry.at),
            source_medium=event.medium,
            rich_content_id=event.rich_content_id,
            ignored_as_backchannel=event.is_sign,
            conversation_turn_metrics=TurnMetrics(metrics={}, convai_asr_provider=_provider(event.recogniser))
            if event.recogniser
            else None,
            file_input=files[0] if files else None,
            file_inputs=files,
        )

    def _agent(self, entry: Entry, event: AgentMessage, calls: Sequence[ToolCalled]) -> Turn:
        checks = self._checks.get(event.id, ())
        counts = with_checks({event.model: event.usage} if event.model and event.usage else {}, checks)
        usage = llm_usage(counts, self._about.prices) if counts else None
        files = [self._file(self._about.files[name]) for name in event.file_ids if name in self._about.files]
        cut, waits = self._heard.is_cut(event), self._waits.get(event.id, {})
        began = self._began(entry, event.id)
        return Turn(
            role="agent",
            message=self._heard.text(event) or None,
            original_message=event.text if cut else None,
            interrupted=cut,
            source_medium=event.medium if event.medium == "audio" else None,
            source_event_id=event.event_id,
            feedback=self._rating(event),
            file_input=files[0] if files else None,
            file_inputs=files,
            time_in_call_secs=self._seconds(began),
            id=event.id,
            created_at_unix_ms=milliseconds(began),
            agent_metadata=self._about.agent,
            multivoice_message=self._multivoice(event),
            tool_calls=[self._tools.call(call) for call in calls],
            llm_override=self._override if event.origin == "model" else None,
            producing_llm=event.model,
            llm_usage=usage,
            conversation_turn_metrics=self._metrics(event, calls, waits),
            silence=SilenceView(total_ms=round(sum(waits.values()), 1), waits=waits) if waits else None,
            triggered_guardrails=triggered(checks),
            unjudged_guardrails=unjudged(checks),
            refused_messages=[check.refused for check in checks if check.refused],
            origin=event.origin,
            llm_attempts=[LlmAttempt(model=a.model, error=a.error, seconds=a.seconds) for a in event.attempts],
            delivery=turn_delivery(self._carriers(event)),
        )

    def _began(self, entry: Entry, *names: str) -> datetime:
        """When what bears one of ``names`` began to be heard; of what never was, or is read, when it was written."""
        heard = (self._voiced[name].began for name in names if name in self._voiced)
        return next((began for began in heard if began is not None), entry.at)

    def _metrics(
        self, event: AgentMessage, calls: Sequence[ToolCalled], waits: Mapping[str, float]
    ) -> TurnMetrics | None:
        measured, voiced = _measured(event, calls, waits), self._voiced.get(event.id)
        if not measured and voiced is None:
            return None
        return TurnMetrics(
            metrics={name: Metric(elapsed_time=seconds) for name, seconds in measured.items()},
            convai_asr_provider=_provider(self._recogniser) if waits else None,
            convai_tts_model=voiced.synthesiser if voiced else None,
            voice_id=(voiced.voice_id or None) if voiced else None,
        )

    def _multivoice(self, event: AgentMessage) -> MultivoiceMessage | None:
        parts = heard_parts(event.parts, self._heard.text(event))
        moments = chain((self._seconds(at) for at in self._parts_began.get(event.id, ())), repeat(None))
        found = [
            MultivoicePart(text=part.text.strip(), voice_label=part.label, time_in_call_secs=at)
            for part, at in zip(parts, moments, strict=False)
        ]
        return MultivoiceMessage(parts=found) if found else None

    def _background(self, entry: Entry, event: ContextualUpdate) -> Turn:
        """Background in its place; with a ``context_id`` it may have been superseded."""
        info = None
        if event.context_id is not None:
            superseded = self._newest[event.context_id] is not event
            info = ContextualUpdateInfo(context_id=event.context_id, is_superseded=superseded)
        changes = {"message": event.text, "origin": "contextual_update", "contextual_update_info": info}
        return self._blank(entry).model_copy(update=changes)

    def _blank(self, entry: Entry) -> Turn:
        return Turn(
            role="user",
            message=None,
            time_in_call_secs=self._seconds(entry.at),
            id=f"event_{entry.seq}",
            created_at_unix_ms=milliseconds(entry.at),
        )

    def _rating(self, event: AgentMessage) -> TurnFeedback | None:
        entry = self._ratings.get(event.event_id) if event.event_id is not None and event.text else None
        score = entry.event.score if entry is not None and isinstance(entry.event, Feedback) else None
        return TurnFeedback(score=score, time_in_call_secs=self._seconds(entry.at)) if entry and score else None

    def _results(self, entry: Entry, message_id: str, returns: Sequence[ToolReturned]) -> Turn:
        said = "\n\n".join(event.said for event in returns if event.said)
        heard = "\n\n".join(text for event in returns if (text := self._heard.text(event)))
        cut = any(self._heard.is_cut(event) for event in returns)
        names = [name for event in returns for name in event.outbox_ids]
        began = self._began(entry, *(event.request_id for event in returns))
        return Turn(
            role="agent",
            message=heard or None,
            original_message=said if cut else None,
            interrupted=cut,
            time_in_call_secs=self._seconds(began),
            id=f"{message_id}_results",
            created_at_unix_ms=milliseconds(began),
            agent_metadata=self._about.agent,
            tool_results=[self._tools.result(event) for event in returns],
            origin="tool",
            delivery=turn_delivery([self._message(name) for name in dict.fromkeys(names)]),
        )

    def _carriers(self, event: AgentMessage) -> list[Sent]:
        """The messages that carry it. Where Meta refused one and others took its place, these."""
        sent = [self._message(name) for name in event.outbox_ids]
        instead = [self._sent[name] for name in event.fallback_ids if name in self._sent]
        return [message for message in sent if not instead or message.state != "failed"] + instead

    def _message(self, outbox_id: str) -> Sent:
        return self._sent.get(outbox_id, Sent(outbox_id))

    def _file(self, file: ConversationFile) -> FileInput:
        return FileInput(
            file_id=file.id,
            original_filename=file.filename,
            mime_type=file.mime_type,
            file_url=self._about.link(file),
            size_bytes=file.size_bytes,
            duration_secs=file.seconds,
        )

    def _seconds(self, at: datetime) -> int:
        return max(0, int((at - self._about.begun_at).total_seconds()))


def _by_message(events: Iterable[_Tool]) -> dict[str, list[_Tool]]:
    found: dict[str, list[_Tool]] = {}
    for event in events:
        found.setdefault(event.message_id, []).append(event)
    return found


def _llm_override(journal: Sequence[Entry]) -> str | None:
    """The model that the client asked for at the start of the conversation."""
    for entry in journal:
        node: Any = entry.event.override if isinstance(entry.event, Started) else None
        for key in ("agent", "prompt", "llm"):
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, str):
            return node
    return None


def _provider(recogniser: str) -> str | None:
    """The provider in a name such as ``deepgram:nova-3``."""
    return recogniser.partition(":")[0] or None


def _measured(event: AgentMessage, calls: Sequence[ToolCalled], waits: Mapping[str, float]) -> dict[str, float]:
    """Seconds, by the reference's names."""
    found = {WAIT_METRICS[name]: wait / 1000 for name, wait in waits.items() if name in WAIT_METRICS}
    if event.seconds is not None and calls:
        found["convai_llm_tool_request_generation_latency"] = event.seconds
    elif event.seconds is not None:
        found["convai_llm_service_tt_last_sentence"] = event.seconds
    if event.seconds is not None and event.seconds_to_first_token is not None:
        found["convai_llm_service_ttfb"] = event.seconds_to_first_token
    return found
