"""What stands above the transcript of a conversation: whose it is, how it stands, what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final

from nicegui import ui

from greenline.conversations.views import ConversationView
from greenline.web.console_call import Caller, CallState, call_state
from greenline.web.console_inbox import channel, person_name, status_chip
from greenline.web.console_trouble import Trouble, draw_troubles
from greenline.web.console_turn import seconds
from greenline.web.parts import Tag, box, link

COST: Final = "Cost of models, speech and calls"
FACTS: Final = ("Channel", "Number", "Agent", "Began", "Duration", "Wait in the queue", COST, "Ended by", "Id")


class Part:
    """Drawn again only where what it shows has changed: focus and selection in it stay otherwise."""

    def __init__(self) -> None:
        self._place = box("gl-part")
        self._shown: Any = None

    def show(self, what: Any, draw: Callable[[], object]) -> None:
        """Bring the part up to date with ``what``, by which ``draw`` draws."""
        if self._shown == what:
            return
        self._shown = what
        self._place.clear()
        with self._place:
            draw()


class Head:
    """The head, in parts."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        with box("gl-conversation") as self._whole:
            self._title, self._call, self._summary = Part(), Part(), Part()
            with box("gl-facts"):
                self._facts = {name: _Fact(name) for name in FACTS}
            self._troubles = Part()

    def set_visibility(self, visible: bool) -> None:
        """Show or hide the whole."""
        self._whole.set_visibility(visible)

    def show(self, shown: ConversationView, person: Any, call: Any, caller: Caller) -> None:
        """Bring it up to date. ``person`` and ``call`` are rows of the statements of these names."""
        is_calling = call is not None and call["phase"] != "ended"
        is_reached = bool(person["phone_number_id"] and (person["wa_id"] or person["bsuid"]))
        may_call = is_reached and not is_calling

        def draw_title() -> None:
            with box("gl-head-row"):
                Tag("h1", person_name(person), "gl-h1")
                status_chip(shown.status)
                if may_call:
                    caller.draw()

        self._title.show((person_name(person), shown.status, may_call), draw_title)
        state = call_state(call, self._zone) if call is not None else None
        self._call.show(state, lambda: _draw_call(state))
        summary = shown.analysis.transcript_summary if shown.analysis else ""
        self._summary.show(summary, lambda: _draw_summary(summary))
        self._show_facts(shown, person)

    def show_troubles(self, found: list[Trouble]) -> None:
        """What went wrong."""
        self._troubles.show(found, lambda: draw_troubles(found))

    def _show_facts(self, shown: ConversationView, person: Any) -> None:
        about = shown.metadata
        begun = datetime.fromtimestamp(about.start_time_unix_secs, self._zone)
        name, number, wait = person["phone_number_name"], person["phone_number"], about.queue_wait_secs
        values: Sequence[str] = (
            channel(person),
            f"{name} ({number})" if name else "",
            shown.agent_name or "deleted",
            begun.strftime("%d %b %Y, %H:%M:%S").lstrip("0"),
            f"{about.call_duration_secs} s",
            seconds(wait) if wait is not None else "",
            f"${about.cost_fiat:.5f}" if about.cost_fiat else "",
            about.termination_reason,
            shown.conversation_id,
        )
        for fact, value in zip(FACTS, values, strict=True):
            address = f"/console/agents/{shown.agent_id}" if fact == "Agent" else ""
            self._facts[fact].show(value, address)


class _Fact:
    def __init__(self, name: str) -> None:
        with box("gl-fact") as self._box:
            Tag("span", name, "gl-soft gl-small")
            self._value = Part()

    def show(self, value: str, address: str) -> None:
        self._box.set_visibility(bool(value))
        self._value.show((value, address), lambda: link(value, address) if address else Tag("span", value, "gl-text"))


def _draw_call(state: CallState | None) -> None:
    if state is None:
        return
    with box("gl-call-line").props("role=status"):
        ui.icon("call", size="18px").props("aria-hidden=true")
        with box():
            Tag("div", state.text, "gl-bad" if state.bad else "")
            if state.advice:
                Tag("div", state.advice, "gl-soft gl-small")


def _draw_summary(summary: str) -> None:
    if summary:
        Tag("p", summary, "gl-soft")
