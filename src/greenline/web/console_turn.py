"""The transcript of a conversation: what was said, how long each part took, and what became of each message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from nicegui import ui

from greenline.conversations.deliveries import STATES, MessageDelivery, TurnDelivery
from greenline.conversations.transcript_models import (
    FileInput,
    LlmVerdict,
    TriggeredGuardrail,
    Turn,
    UnjudgedGuardrail,
)
from greenline.web.console_inbox import clock_time
from greenline.web.console_trouble import explain, turn_anchor
from greenline.web.parts import Tag, box, link, rich_text
from greenline.web.sound import Sound
from greenline.web.voice import Player

METRIC_WORDS: Final = {
    "convai_llm_service_tt_last_sentence": "model",
    "convai_llm_tool_request_generation_latency": "model",
    "convai_llm_service_ttfb": "first token",
    "convai_llm_service_ttf_sentence": "first sentence",
    "convai_asr_trailing_service_latency": "recognition",
    "convai_tts_service_ttfb": "first sound",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What a transcript shows beside its turns: sounds by file id; the Unix time at which the recording begins.

    ``links`` changes when the links of files are new.
    """

    sounds: Mapping[str, Sound] = field(default_factory=dict)
    recorded_from: float | None = None
    links: int = 0


class Transcript:
    """The turns. Only what changed is drawn again: an open detail stays open, a player goes on."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._rows: list[tuple[str, Any, ui.element]] = []
        self._list = box("gl-card gl-transcript")
        with self._list:
            self._empty = Tag("div", "Nothing was said yet.", "gl-empty")

    def set_visibility(self, visible: bool) -> None:
        """Show or hide the whole."""
        self._list.set_visibility(visible)

    def show(self, turns: Sequence[Turn], beside: Beside) -> None:
        """Bring the transcript up to date."""
        self._empty.set_visibility(not turns)
        turns = _each_file_once(turns)
        if [turn.id for turn in turns[: len(self._rows)]] != [name for name, _, _ in self._rows]:
            for _, _, element in self._rows:
                element.delete()
            self._rows.clear()
        for place, turn in enumerate(turns):
            key = _key(turn, beside)
            if place == len(self._rows):
                with self._list:
                    element = box(f"gl-turn {_who(turn).lower()}")
                    element.props["id"] = turn_anchor(turn.id)
                    self._rows.append((turn.id, None, element))
            name, known, element = self._rows[place]
            if known != key:
                element.clear()
                with element:
                    self._draw(turn, beside)
                self._rows[place] = (name, key, element)

    def _draw(self, turn: Turn, beside: Beside) -> None:
        with box("gl-turn-head"):
            Tag("span", _who(turn), "gl-turn-who")
            self._draw_time(turn, beside.recorded_from)
            for note in _notes(turn):
                Tag("span", note, "gl-soft gl-small")
        if turn.message:
            rich_text(turn.message)
        if turn.original_message and turn.original_message != turn.message:
            Tag("div", f"Cut off. The whole would have been: {turn.original_message}", "gl-soft gl-small")
        for file in turn.file_inputs:
            _show_file(file, beside.sounds.get(file.file_id))
        _show_tools(turn)
        for attempt in turn.llm_attempts:
            Tag("div", f"{attempt.model} did not answer ({seconds(attempt.seconds)}): {attempt.error}", "gl-bad")
        for line in guardrail_lines(turn):
            Tag("div", line, "gl-bad")
        if turn.silence:
            waterfall(turn.silence.waits)
        if turn.delivery:
            self._show_delivery(turn.delivery)

    def _draw_time(self, turn: Turn, recorded_from: float | None) -> None:
        time = clock_time(turn.created_at_unix_ms / 1000, self._zone)
        if recorded_from is None or turn.source_medium not in (None, "audio"):
            Tag("span", time, "gl-soft gl-small")
            return
        place = Tag("button", f"▶ {time}", "gl-seek gl-small").props("type=button")
        place.props["aria-label"] = f"Play from {time}"
        place.props["data-at"] = f"{heard_at(turn, recorded_from):.1f}"

    def _show_delivery(self, delivery: TurnDelivery) -> None:
        with box("gl-delivery"):
            for message in delivery.messages:
                with box("gl-line-foot"):
                    Tag("span", message.state, f"gl-chip delivery-{message.state}")
                    for state, at in _times(message):
                        Tag("span", f"{state} {clock_time(at, self._zone)}", "gl-soft gl-small")
                if message.error:
                    told, advice = explain(message.error)
                    Tag("div", f"{told}. {advice}".strip(), "gl-bad")


def waterfall(waits: Mapping[str, float]) -> None:
    """The silence before a spoken answer: a bar for each wait in its place, in milliseconds."""
    total = sum(waits.values())
    if total <= 0:
        return
    with box("gl-waterfall", "details"):
        Tag("summary", f"Silence before it: {total:.0f} ms", "gl-small")
        begun = 0.0
        for name, milliseconds in waits.items():
            with box("gl-wait"):
                Tag("span", name.replace("_", " "), "gl-soft gl-small")
                with box("gl-wait-track"):
                    left, width = 100 * begun / total, 100 * milliseconds / total
                    box("gl-wait-bar").style(f"left: {left:.2f}%; width: {width:.2f}%")
                Tag("span", f"{milliseconds:.0f} ms", "gl-small gl-wait-time")
            begun += milliseconds


def guardrail_lines(turn: Turn) -> list[str]:
    """What guardrails made of a turn, a line for each of them and each refused reply."""
    lines = []
    for hit in turn.triggered_guardrails:
        why = hit.guardrail_details
        reason = (
            why.rationale if isinstance(why, LlmVerdict) else f"{why.score:g}, and the threshold is {why.threshold:g}"
        )
        lines.append(f"{_guardrail(hit)} was triggered" + (f": {reason}" if reason else ""))
    lines += [f"Refused: {text}" for text in turn.refused_messages]
    return lines + [f"{_guardrail(one)} was not judged: {one.reason}" for one in turn.unjudged_guardrails]


def _guardrail(one: TriggeredGuardrail | UnjudgedGuardrail) -> str:
    kind = one.guardrail_type.replace("_", " ")
    return f"Guardrail {kind} “{one.guardrail_name}”" if one.guardrail_name else f"Guardrail {kind}"


def heard_at(turn: Turn, recorded_from: float) -> float:
    """Where a turn begins in a recording, in seconds."""
    return max(0.0, turn.created_at_unix_ms / 1000 - recorded_from)


def seconds(value: float) -> str:
    """A duration as people read it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _each_file_once(turns: Sequence[Turn]) -> list[Turn]:
    """A voice note can say several turns: it is shown with the last of them."""
    shown: set[str] = set()
    found = []
    for turn in reversed(turns):
        files = [file for file in turn.file_inputs if file.file_id not in shown]
        shown.update(file.file_id for file in files)
        found.append(turn.model_copy(update={"file_inputs": files}))
    return found[::-1]


def _key(turn: Turn, beside: Beside) -> Any:
    """What a drawn turn depends on. The address of a file is another one each time that it is asked for."""
    content = turn.model_dump(exclude={"file_input": True, "file_inputs": {"__all__": {"file_url"}}})
    files = tuple((file.file_id, beside.sounds.get(file.file_id)) for file in turn.file_inputs)
    return content, beside.recorded_from, files, beside.links if files else 0


def _who(turn: Turn) -> str:
    if turn.origin == "contextual_update":
        return "Background"
    if turn.role == "user":
        return "Person"
    return "Human" if turn.origin == "human" else "Agent"


def _show_file(file: FileInput, sound: Sound | None) -> None:
    if sound is not None:
        Player(file.file_url, sound)
    else:
        link(f"📄 {file.original_filename} ({file.mime_type})", file.file_url)


def _show_tools(turn: Turn) -> None:
    for call in turn.tool_calls:
        with box("gl-tool", "details"):
            Tag("summary", f"Tool called: {call.tool_name}")
            Tag("pre", call.params_as_json, "gl-detail")
    for result in turn.tool_results:
        with box(f"gl-tool{' gl-bad' if result.is_error else ''}", "details"):
            Tag("summary", f"Tool returned: {result.tool_name}, {seconds(result.tool_latency_secs)}")
            Tag("pre", result.raw_error_message or result.result_value, "gl-detail")


def _notes(turn: Turn) -> list[str]:
    notes = []
    if turn.source_medium and turn.source_medium != "text":
        notes.append(turn.source_medium)
    if turn.interrupted:
        notes.append("interrupted")
    if turn.ignored_as_backchannel:
        notes.append("only a sign of listening")
    if turn.platform_event:
        notes.append("said nothing" if turn.platform_event == "user_turn_timeout" else "took their time")
    if turn.feedback:
        notes.append(f"rated: {turn.feedback.score}")
    if turn.origin and turn.origin not in ("model", "human", "contextual_update"):
        notes.append(turn.origin.replace("_", " "))
    if turn.producing_llm:
        notes.append(turn.producing_llm)
    if turn.conversation_turn_metrics:
        metrics = turn.conversation_turn_metrics.metrics.items()
        notes += [f"{METRIC_WORDS.get(name, name)} {seconds(metric.elapsed_time)}" for name, metric in metrics]
    return notes


def _times(message: MessageDelivery) -> list[tuple[str, float]]:
    found = ((state, getattr(message, f"{state}_at_unix_ms")) for state in STATES)
    return [(state, at / 1000) for state, at in found if at is not None]
