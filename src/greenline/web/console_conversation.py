"""One conversation: its transcript, how long each part took, and what became of each message."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import quote

from greenline.channels.whatsapp.graph_errors import ADVICE
from greenline.conversations import service, uploads
from greenline.conversations.deliveries import DeliveryError, MessageDelivery, TurnDelivery
from greenline.conversations.files import ConversationFile
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.transcript_models import Turn
from greenline.conversations.views import ConversationView
from greenline.llm.prices import token_prices
from greenline.store.sql import load_sql
from greenline.web.console_frame import Visit, keep_fresh
from greenline.web.console_inbox import clock_time, person_name, status_chip
from greenline.web.parts import Tag, box, browser_timezone, link, rich_text

STATES: Final = ("accepted", "sent", "delivered", "read", "played", "failed")
METRIC_WORDS: Final = {
    "convai_llm_service_tt_last_sentence": "model",
    "convai_llm_tool_request_generation_latency": "model",
    "convai_llm_service_ttfb": "first token",
}
_sql = load_sql(__package__, "console.sql")


async def draw(visitor: Visit, conversation_id: str) -> None:
    """Draw the conversation, and keep it up to date."""
    zone = await browser_timezone()
    if zone is None:
        return
    link("← Conversations", "/console")
    page = ConversationPage(visitor, conversation_id, zone)
    await page.refresh()
    keep_fresh(visitor, page.refresh)


class ConversationPage:
    """The whole is drawn again when its journal grew."""

    def __init__(self, visitor: Visit, conversation_id: str, zone: tzinfo) -> None:
        self._visitor = visitor
        self._id = conversation_id
        self._zone = zone
        self._place: tuple[Any, ...] | None = None
        self._body = box("gl-conversation")

    async def refresh(self) -> None:
        """Bring the page up to date."""
        pool, workspace_id = self._visitor.services.pool, self._visitor.workspace.id
        row = await pool.fetchrow(_sql["place"], workspace_id, self._id)
        place = tuple(row) if row else ()
        if place == self._place:
            return
        try:
            shown = await service.get(pool, workspace_id, self._id, link=self._link, prices=token_prices)
        except ConversationNotFound as error:
            self._show_missing(error.message)
        else:
            self._show(shown, await pool.fetchrow(_sql["person"], workspace_id, self._id))
        self._place = place

    def _link(self, file: ConversationFile) -> str:
        token = uploads.make_token(self._visitor.services.vault, self._visitor.services.clock, file)
        place = f"/v1/convai/conversations/{quote(file.conversation_id)}/files/{quote(file.id)}/content"
        return f"{place}?token={token}"

    def _show_missing(self, message: str) -> None:
        self._body.clear()
        with self._body:
            Tag("div", message, "gl-empty")

    def _show(self, shown: ConversationView, person: Any) -> None:
        self._body.clear()
        with self._body:
            self._show_head(shown, person)
            with box("gl-card gl-transcript"):
                for turn in shown.transcript:
                    self._show_turn(turn)
                if not shown.transcript:
                    Tag("div", "Nothing was said yet.", "gl-empty")

    def _show_head(self, shown: ConversationView, person: Any) -> None:
        about = shown.metadata
        with box("gl-head-row"):
            Tag("h1", person_name(person), "gl-h1")
            status_chip(shown.status)
        if shown.analysis and shown.analysis.transcript_summary:
            Tag("p", shown.analysis.transcript_summary, "gl-soft")
        with box("gl-facts"):
            if person["phone_number_name"]:
                _fact("Number", f"{person['phone_number_name']} ({person['phone_number']})")
            with box("gl-fact"):
                Tag("span", "Agent", "gl-soft gl-small")
                link(shown.agent_name or "deleted", f"/console/agents/{shown.agent_id}")
            begun = datetime.fromtimestamp(about.start_time_unix_secs, self._zone)
            _fact("Began", begun.strftime("%d %b %Y, %H:%M:%S").lstrip("0"))
            _fact("Duration", f"{about.call_duration_secs} s")
            if about.queue_wait_secs is not None:
                _fact("Wait in the queue", _seconds(about.queue_wait_secs))
            if about.cost_fiat:
                _fact("Cost of models", f"${about.cost_fiat:.5f}")
            _fact("Ended by", about.termination_reason)
            _fact("Id", shown.conversation_id)
        if about.error:
            Tag("p", f"Failed ({about.error.code}): {about.error.reason or 'no reason was given'}", "gl-bad")

    def _show_turn(self, turn: Turn) -> None:
        with box(f"gl-turn {turn.role}"):
            with box("gl-turn-head"):
                Tag("span", "Agent" if turn.role == "agent" else "Person", "gl-turn-who")
                Tag("span", clock_time(turn.created_at_unix_ms / 1000, self._zone), "gl-soft gl-small")
                for note in _notes(turn):
                    Tag("span", note, "gl-soft gl-small")
            if turn.message:
                rich_text(turn.message)
            for file in turn.file_inputs:
                link(f"📄 {file.original_filename} ({file.mime_type})", file.file_url)
            _show_tools(turn)
            for attempt in turn.llm_attempts:
                Tag("div", f"{attempt.model} did not answer ({_seconds(attempt.seconds)}): {attempt.error}", "gl-bad")
            if turn.delivery:
                self._show_delivery(turn.delivery)

    def _show_delivery(self, delivery: TurnDelivery) -> None:
        with box("gl-delivery"):
            for message in delivery.messages:
                with box("gl-line-foot"):
                    Tag("span", message.state, f"gl-chip delivery-{message.state}")
                    for state, at in _times(message):
                        Tag("span", f"{state} {clock_time(at, self._zone)}", "gl-soft gl-small")
                if message.error:
                    Tag("div", explain(message.error), "gl-bad")


def explain(error: DeliveryError) -> str:
    """What went wrong with a message, and what an operator can do, where that is known."""
    told = " ".join(str(part) for part in (error.title, error.details) if part) or "No reason was given."
    code = f" (code {error.code})" if error.code is not None else ""
    advice = ADVICE.get(error.code) if isinstance(error.code, int) else None
    return f"{told}{code}{f' {advice}' if advice else ''}"


def _fact(name: str, value: str) -> None:
    if value:
        with box("gl-fact"):
            Tag("span", name, "gl-soft gl-small")
            Tag("span", value, "gl-text")


def _show_tools(turn: Turn) -> None:
    for call in turn.tool_calls:
        with box("gl-tool", "details"):
            Tag("summary", f"Tool called: {call.tool_name}")
            Tag("pre", call.params_as_json, "gl-detail")
    for result in turn.tool_results:
        with box(f"gl-tool{' gl-bad' if result.is_error else ''}", "details"):
            Tag("summary", f"Tool returned: {result.tool_name}, {_seconds(result.tool_latency_secs)}")
            Tag("pre", result.raw_error_message or result.result_value, "gl-detail")


def _notes(turn: Turn) -> list[str]:
    notes = []
    if turn.source_medium and turn.source_medium != "text":
        notes.append(turn.source_medium)
    if turn.origin and turn.origin != "model":
        notes.append(turn.origin.replace("_", " "))
    if turn.producing_llm:
        notes.append(turn.producing_llm)
    if turn.conversation_turn_metrics:
        metrics = turn.conversation_turn_metrics.metrics.items()
        notes += [f"{METRIC_WORDS.get(name, name)} {_seconds(metric.elapsed_time)}" for name, metric in metrics]
    return notes


def _times(message: MessageDelivery) -> list[tuple[str, float]]:
    found = ((state, getattr(message, f"{state}_at_unix_ms")) for state in STATES)
    return [(state, at / 1000) for state, at in found if at is not None]


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
