"""The call screen of the phone: the voice goes from the browser to the emulator, and on to the business."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Literal, TypeAlias

from nicegui import background_tasks, context, ui
from nicegui.events import GenericEventArguments

from greenline.web.control import Control, EmulatorGone, NotThere
from greenline.web.trace import Caption, Inside

Shown: TypeAlias = Literal[
    "idle", "calling", "ringing", "incoming", "connecting", "connected", "reconnecting", "ended"
]

ENDS: Final = {
    "business": "The business hung up.",
    "business_rejected": "The business does not take calls now.",
    "business_silent": "Not answered.",
    "no_answer": "Missed call.",
    "no_media": "The connection was lost: no sound came from the business any more.",
    "failed": "The call could not be connected.",
}
"""Why a call ended, where the person did not end it."""
REFUSED: Final = ("business_rejected", "business_silent", "failed")
"""Ends of which the server may know more."""
LOST: Final = "The connection was lost."


class PhoneCall(ui.element, component="call.js"):
    """One call at a time, drawn over the phone."""

    def __init__(self, emulator: Control, number_id: str, business: str) -> None:
        super().__init__()
        self._emulator = emulator
        self._number = number_id
        self._person = ""
        self._call_id: str | None = None
        self._wish: object = None
        """The person's to call the business, until they hang up or are gone."""
        self._dismissed: set[str] = set()
        self._speaks = False
        self._joins = False
        """This window may be the last to join, and then has the call: only afterwards it is known."""
        self._browser = 0
        self.props["name"] = business
        self.props["elsewhere"] = False
        self._show("idle")
        self._tell_captions(())
        self.on("offer", self._offered)
        self.on("accept", self._accept)
        self.on("decline", lambda: self._act(self._emulator.decline_call))
        self.on("hangup", self._hang_up)
        self.on("dismiss", self._dismiss)
        self.on("again", self._again)
        self.on("failed", self._failed)
        context.client.on_delete(self._leave)

    @property
    def is_running(self) -> bool:
        """Whether the screen shows a call that is not over."""
        return self.props["state"] not in ("idle", "ended")

    def dial(self, person_id: str) -> None:
        """Call the business as this person."""
        if self.props["state"] == "idle":
            self._person, self._call_id, self._wish = person_id, None, object()
            self._show("calling")
            self.run_method("offer")

    async def refresh(self, person_id: str, notes: Inside) -> None:
        """Show how it stands with the person's call. Raises `EmulatorGone`."""
        if self.props["state"] == "calling":
            return
        if person_id != self._person and not self.is_running:
            self._person, self._call_id = person_id, None
        call = await self._look()
        if call is None or call["call_id"] in self._dismissed:
            return
        self._call_id = str(call["call_id"])
        self._yield_to_another(call)
        why = await notes.refusal(self._call_id) if call["ended_by"] in REFUSED else ""
        self._show(*how_it_stands(call, is_answering=self._speaks), why)
        if self.props["state"] == "connected":
            self._tell_captions(await notes.captions())
        if self.props["state"] in ("idle", "ended"):
            self._fall_silent()
        if self.props["state"] == "idle" and call["state"] == "ended":
            self._dismiss()

    def wait(self) -> None:
        """The emulator does not answer now: the call may go on, unseen."""
        if self._call_id is not None and self.is_running:
            self._show("reconnecting")

    def _yield_to_another(self, call: Mapping[str, Any]) -> None:
        """The person has taken the call in another window since: this one neither speaks nor hangs up any more."""
        if self._speaks and not self._joins and is_elsewhere(call, self._browser):
            self._fall_silent()
            self.run_method("close")

    def _fall_silent(self) -> None:
        self._speaks, self._browser = False, 0

    async def _look(self) -> Mapping[str, Any] | None:
        try:
            if self.props["state"] == "ended":  # the next call is not kept waiting by the note of the last one
                newer = await self._emulator.call_of(self._person, self._number, None)
                if newer is not None and newer["call_id"] not in self._dismissed:
                    self._dismiss()
                    return newer
            return await self._emulator.call_of(self._person, self._number, self._call_id)
        except NotThere:
            self._end(LOST)
            return None

    async def _offered(self, event: GenericEventArguments) -> None:
        """The browser is ready to speak: now the business is called, or its call is taken."""
        if self.props["state"] not in ("calling", "connecting"):
            self.run_method("close")  # hung up while the browser asked for the microphone
            return
        try:
            is_incoming = self._call_id is not None
            call_id = self._call_id or await self._dial()
            if call_id is None:
                return
            self._call_id, self._speaks = call_id, True
            answer = await self._join(call_id, str(event.args))
            self.run_method("answer", answer)
            if is_incoming:
                await self._emulator.take_call(call_id)
            else:
                self._show("ringing")
        except EmulatorGone as error:
            if await self._is_over():
                self._show("ringing")  # the next look tells why it ended
            else:
                await self._act(self._emulator.hang_up)  # else the business talks to nobody
                self._end(str(error))

    async def _dial(self) -> str | None:
        """The call; None if nobody wants it any more once it is made."""
        wish = self._wish
        call_id = await self._emulator.dial(self._person, self._number)
        if wish is self._wish:
            return call_id
        await self._emulator.hang_up(call_id)
        return None

    async def _join(self, call_id: str, offer: str) -> str:
        self._joins = True
        try:
            answer, self._browser = await self._emulator.speak(call_id, offer)
        finally:
            self._joins = False
        return answer

    async def _is_over(self) -> bool:
        """Whether the call ended before the browser had joined it, as where the business rejects at once."""
        if self._call_id is None:
            return False
        try:
            call = await self._emulator.call_of(self._person, self._number, self._call_id)
        except EmulatorGone:
            return False
        return call is not None and call["state"] == "ended"

    def _accept(self) -> None:
        if self.props["state"] != "incoming":
            return  # another window was quicker, or the business has hung up
        self._show("connecting")
        self._speaks = True
        self.run_method("offer")

    async def _hang_up(self, event: GenericEventArguments) -> None:
        """Hang up the call that the browser names. It keeps the wish until that is done: a page that loads itself
        anew, because the server was away, tells it again.
        """
        call_id = event.args or self._call_id
        if call_id is None:
            self._wish = None
            self._show("idle")
            return
        try:
            with contextlib.suppress(NotThere):
                await self._emulator.hang_up(call_id)
        except EmulatorGone as error:
            self._end(str(error))
            return
        self.run_method("settle", call_id)

    async def _act(self, act: Callable[[str], Awaitable[None]]) -> None:
        try:
            if self._call_id is not None:
                await act(self._call_id)
        except EmulatorGone as error:
            self._end(str(error))

    async def _failed(self, event: GenericEventArguments) -> None:
        if not self.is_running:
            return  # over before the browser's word came: the reason that is shown is the true one
        await self._act(self._emulator.hang_up)
        self._end(str(event.args))

    def _again(self) -> None:
        self._dismiss()
        self.dial(self._person)

    def _dismiss(self) -> None:
        if self._call_id is not None:
            self._dismissed.add(self._call_id)
        self._call_id = None
        self._fall_silent()
        self._tell_captions(())
        self._show("idle")

    def _end(self, note: str) -> None:
        if self._call_id is not None:
            self._dismissed.add(self._call_id)
        self._fall_silent()
        self._show("ended", note)

    def _leave(self) -> None:
        """A phone that is gone is heard no more."""
        self._wish = None
        if self._speaks and self._call_id is not None:
            background_tasks.create(self._act(self._emulator.hang_up), name="web.hang_up")

    def _show(self, state: Shown, note: str = "", why: str = "") -> None:
        elsewhere = state in ("ringing", "connected") and not self._speaks
        shown = {"call-id": self._call_id, "note": note, "why": why, "elsewhere": elsewhere, "state": state}
        for name, value in shown.items():
            if self.props.get(name) != value:
                self.props[name] = value

    def _tell_captions(self, captions: Sequence[Caption]) -> None:
        lines = [asdict(caption) for caption in captions]
        if self.props.get("captions") != lines:
            self.props["captions"] = lines


def is_elsewhere(call: Mapping[str, Any], browser: int) -> bool:
    """Whether another window has the call; ``browser``: the number of this one's, 0 before it has joined."""
    return bool(call["browsers"] > browser if browser else call["state"] == "active")


def how_it_stands(call: Mapping[str, Any], *, is_answering: bool) -> tuple[Shown, str]:
    """What the phone shows of a call of the emulator, and why it ended. ``is_answering``: the person has taken it."""
    match call["state"], call["direction"]:
        case "ended", _:
            note = ENDS.get(str(call["ended_by"]), "")
            return ("ended", note) if note else ("idle", "")
        case "active", _:
            return "connected", ""
        case "ringing", "BUSINESS_INITIATED":
            return ("connecting" if is_answering else "incoming"), ""
        case _, "BUSINESS_INITIATED":
            return "idle", ""
        case _:
            return "ringing", ""
