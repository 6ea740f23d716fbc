"""Calling the person of a conversation from the console: what it takes, the question, and how the call stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Any, Final

from nicegui import ui

from greenline.channels.whatsapp.account_checks import token_alarm
from greenline.channels.whatsapp.accounts import get_account
from greenline.channels.whatsapp.calls.outbound import CallStarter, OutboundCall
from greenline.channels.whatsapp.calls.prospect import Prospect, Prospects
from greenline.channels.whatsapp.graph_errors import ADVICE
from greenline.channels.whatsapp.template_models import Template
from greenline.channels.whatsapp.templates import Templates
from greenline.errors import GreenlineError
from greenline.web.console_frame import Visit
from greenline.web.parts import Tag, box, button, sheet

RUNNING: Final = {
    "checking": "WhatsApp is asked whether this person may be called.",
    "asking": "The person is being asked for permission to call.",
    "waiting": "The person was asked for permission. The call is placed as soon as they agree.",
    "dialing": "Dialling …",
    "busy": "The line is busy. It is tried again in half a minute.",
    "ringing": "The phone of the person rings …",
    "active": "On the call.",
    "leaving": "Hanging up …",
}
ENDED: Final = {
    "voicemail": "A machine answered.",
    "no_answer": "Nobody picked up.",
    "busy": "The call was rejected.",
    "failed": "There was no call.",
}
NEXT: Final = {
    "declined": "They do not want to be called: go on in the chat.",
    "blocked": "WhatsApp limits how often a person may be asked. Go on in the chat, or let them call you.",
    "sent": "They did not answer the question. Go on in the chat, or ask again.",
    "no_answer": "Try again at another time. After four calls in a row that nobody takes, WhatsApp withdraws the "
    "permission.",
    "busy": "Write in the chat when a call would suit them.",
}


@dataclass(frozen=True, slots=True)
class CallState:
    """How a call stands, in words; ``advice`` is what to do next where the call came to nothing."""

    text: str
    advice: str = ""
    bad: bool = False


def call_state(call: Mapping[str, Any], zone: tzinfo) -> CallState:
    """From a row of ``whatsapp_call``."""
    if call["phase"] != "ended":
        since = f" Since {call['picked_up_at'].astimezone(zone):%H:%M:%S}." if call["picked_up_at"] else ""
        return CallState(RUNNING.get(call["phase"], "The call is being answered.") + since)
    reason, advice = call["reason"] or "", ADVICE.get(call["error_code"], "")
    if call["result"] == "answered":
        return CallState(f"The call is over. {reason}".strip(), "" if advice in reason else advice)
    text, outbound = ENDED.get(call["result"], "The call is over."), call["direction"] == "outbound"
    advice = advice or (NEXT.get(call["permission_state"]) or NEXT.get(call["result"]) or "" if outbound else "")
    if advice and advice in reason:
        advice = ""
    return CallState(text if text == reason else f"{text} {reason}".strip(), advice, bad=call["result"] == "failed")


class Caller:
    """The button "Call", and the dialog behind it. ``person`` is a row of the statement ``person``."""

    def __init__(self, visitor: Visit, person: Callable[[], Mapping[str, Any] | None]) -> None:
        self._visitor = visitor
        self._person = person
        self._place = box()

    def draw(self) -> None:
        """Draw the button into the current element."""
        with button("", self.open, "gl-button gl-call-them", "Call this person"):
            ui.icon("call")
            Tag("span", "Call")

    async def open(self) -> None:
        """Ask what a call would take, and show it."""
        person = self._person()
        if person is None or not await self._allowed():
            return
        services = self._visitor.services
        templates = Templates(services.pool, services.graph, services.vault, services.clock, services.settings)
        alarm = token_alarm(services.pool, services.clock)
        prospects = Prospects(templates, services.vault, services.clock, services.settings, alarm)
        try:
            account = await get_account(services.pool, self._visitor.workspace.id, person["phone_number_id"])
            prospect = await prospects.of(
                account, wa_id=person["wa_id"], bsuid=person["bsuid"], last_word_at=person["last_user_message_at"]
            )
        except GreenlineError as error:
            ui.notify(error.message, type="negative")
            return
        await self._ask(person, prospect)

    async def _ask(self, person: Mapping[str, Any], prospect: Prospect) -> None:
        with self._place, sheet("Call this person?") as dialog, box("gl-form"):
            for line in explained(prospect):
                Tag("p", line)
            chosen = prospect.templates[0] if prospect.templates else None
            if len(prospect.templates) > 1:
                names = {place: _label(one) for place, one in enumerate(prospect.templates)}
                choice = ui.select(names, value=0, label="Template that asks").classes("gl-select")
            else:
                choice = None
            with box("gl-operator-row"):
                if not prospect.why_not:
                    words = "Call now" if prospect.may_call else "Ask, then call"
                    button(words, partial(dialog.submit, words), "gl-button")
                button("Close" if prospect.why_not else "Don't call", dialog.close, "gl-button gl-plain")
        if await dialog:
            await self._call(person, prospect.templates[choice.value] if choice is not None else chosen)

    async def _call(self, person: Mapping[str, Any], template: Template | None) -> None:
        if not await self._allowed():
            return
        services = self._visitor.services
        templates = Templates(services.pool, services.graph, services.vault, services.clock, services.settings)
        starter = CallStarter(
            services.pool, services.graph, services.vault, templates, services.clock, services.settings
        )
        request = OutboundCall(
            phone_number_id=person["phone_number_id"],
            user_id=person["wa_id"] or person["bsuid"],
            agent_id=person["agent_id"],
            template_name=template.name if template else None,
            template_language=template.language if template else "",
        )
        try:
            conversation_id = await starter.start(self._visitor.workspace.id, request)
        except GreenlineError as error:
            ui.notify(error.message, type="negative")
        else:
            ui.navigate.to(f"/console/conversations/{conversation_id}")

    async def _allowed(self) -> bool:
        allowed = await self._visitor.is_allowed()
        if not allowed:
            ui.navigate.to("/console")
        return allowed


def explained(prospect: Prospect) -> list[str]:
    """What a call to somebody would take, in sentences."""
    if prospect.may_call:
        return ["They have given the permission to be called. The agent speaks with them as soon as they pick up."]
    if prospect.why_not:
        return ["They can't be called now.", prospect.why_not]
    asks = "They have not given the permission to be called, so they are asked first; the call follows their yes."
    if prospect.question:
        return [asks, f"The question: {prospect.question}"]
    return [asks, *([f"The question: {prospect.templates[0].body}"] if len(prospect.templates) == 1 else [])]


def _label(template: Template) -> str:
    return f"{template.name} ({template.language}): {template.body[:80]}"
