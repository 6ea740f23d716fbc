"""The phone page: one plays the people who write to the business, and watches what happens behind it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from datetime import tzinfo
from functools import partial
from typing import Any, Final

import structlog
from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import Response

from greenline.api.errors import DATABASE_GONE
from greenline.speech.errors import AudioError
from greenline.store.outage import OUTAGE
from greenline.store.pool import Pool
from greenline.web.chat import bubbles
from greenline.web.control import Control, EmulatorGone, NotThere, SentFile
from greenline.web.files import Files
from greenline.web.parts import Tag, box, browser_timezone, button, follow, sheet, styled_page
from greenline.web.phone_acts import Acts
from greenline.web.phone_call import PhoneCall
from greenline.web.phone_chats import Business, businesses, show_chats
from greenline.web.phone_composer import FILE_MAX_BYTES, Composer
from greenline.web.phone_people import People
from greenline.web.phone_screen import Screen
from greenline.web.phone_trace import Trace
from greenline.web.scope import emulator_of, services_of
from greenline.web.session import is_same_site
from greenline.web.sound import voice_note
from greenline.web.trace import Inside, Step, in_order, taken, wire_step

log = structlog.get_logger(__name__)

EVENTS_KEPT: Final = 3000
LIVELY_SECONDS: Final = 4.0
"""How long the server's notes are still read every second after an event of the wire, and after the server has dealt
with all that came in: some come without an event."""
WAIT_SECONDS: Final = 1.0
CALL_SECONDS: Final = 0.4
"""During a call captions come without an event of the wire: they are looked for more often."""
RETRY_SECONDS: Final = 2.0
SHOWN_TYPES: Final = ("image/jpeg", "image/png", "image/webp", "audio/")


@ui.page("/phone", title="Phone", response_timeout=30)
async def phone_page(request: Request, person: str = "", number: str = "") -> None:
    """The page. ``person`` is the id of the person to play, ``number`` that of the number to write to."""
    emulator = emulator_of(request)
    with styled_page("Phone · Greenline"):
        if emulator is None:
            _no_emulator()
            return
        try:
            state = await emulator.state()
            if state["numbers"] and not state["people"]:
                state["people"] = [await emulator.add_person("You")]
        except EmulatorGone as error:
            _again(str(error))
            return
        if not state["numbers"]:
            _again("The business has no number yet.")
            return
        zone = await browser_timezone()
        if zone is None:
            return
        page = PhonePage(emulator, services_of(request).pool, state, zone, number)
        page.choose(person)
        follow(page.follow)


@app.get("/phone/media/{media_id}")
async def phone_media(request: Request, media_id: str) -> Response:
    """A file of a chat. Only pictures and sounds are shown by the browser; all else is saved."""
    emulator = emulator_of(request)
    if emulator is None:
        return Response("There is no emulator.", 404)
    try:
        mime_type, data = await emulator.file(media_id)
    except EmulatorGone:
        return Response("The emulator has no such file.", 404)
    if mime_type.startswith(SHOWN_TYPES):
        return Response(data, media_type=mime_type)
    return Response(data, media_type="application/octet-stream", headers={"content-disposition": "attachment"})


@app.post("/phone/notes/{person_id}/{number_id}")
async def phone_note(request: Request, person_id: str, number_id: str) -> Response:
    """Send what a person has recorded. The address outlives the page, whose server may have restarted."""
    emulator = emulator_of(request)
    if emulator is None:
        return Response("There is no emulator.", 404)
    if not is_same_site(request):
        return Response("The recording was sent from another site.", 403)
    recording = b""
    async for chunk in request.stream():
        recording += chunk
        if len(recording) > FILE_MAX_BYTES:
            return Response("Recordings of up to 16 MB can be sent.", 413)
    try:
        data, mime_type = await voice_note(recording)
        await emulator.send_file(person_id, number_id, SentFile("voice-note.ogg", mime_type, data, voice=True))
    except AudioError:
        return Response("Nothing could be heard in the recording.", 422)
    except NotThere as error:
        return Response(str(error), 404)
    except EmulatorGone as error:
        return Response(str(error), 502)
    return Response(status_code=204)


class PhonePage:
    """One browser's view. Raises nothing: what goes wrong is told on the page."""

    def __init__(
        self, emulator: Control, pool: Pool, state: dict[str, Any], zone: tzinfo, number_id: str = ""
    ) -> None:
        self._businesses = businesses(state)
        business = next((one for one in self._businesses if one.number_id == number_id), self._businesses[0])
        self._emulator = emulator
        self._pool = pool
        self._number = business.number_id
        self._people: dict[str, dict[str, Any]] = {person["person_id"]: person for person in state["people"]}
        self._acts = Acts(emulator, self._number, business.wa_id, next(iter(self._people)))
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._unread: Counter[str] = Counter()
        self._seen = max(0, int(state["last_event"]) - EVENTS_KEPT)
        self._began = float(state["now"])
        self._inside: Inside | None = None
        self._files = Files(emulator)
        self._is_due = True
        """Whether the screen is to be drawn though nothing has happened."""
        self._draw(business, zone)

    def choose(self, person_id: str) -> None:
        """Play this person; one that is not there is left out of account."""
        if person_id in self._people:
            self._acts.person_id = person_id
        self._unread[self._acts.person_id] = 0
        self._inside = None
        self._composer.write_at(self._acts.person_id, self._number)
        self._screen.clear()
        self._trace.clear()
        self._show_people()
        self._is_due = True

    async def follow(self) -> None:
        """Keep the page up to date with what happens."""
        loop = asyncio.get_running_loop()
        lively_until = loop.time() + LIVELY_SECONDS
        while True:
            try:
                patience = CALL_SECONDS if self._call.is_running else WAIT_SECONDS
                events = await self._emulator.events(self._seen, 0.0 if self._is_due else patience)
                self._take(events)
                if events or self._is_due or self._call.is_running:
                    lively_until = loop.time() + LIVELY_SECONDS
                self._is_due = False
                if loop.time() < lively_until or self._notes().is_waiting:
                    await self._refresh()
                    if self._notes().is_waiting:
                        lively_until = loop.time() + LIVELY_SECONDS
            except EmulatorGone as error:
                log.info("web.phone_waits", error=str(error))
                await self._wait("connection lost, trying again …")
            except (OSError, *DATABASE_GONE) as error:
                OUTAGE.tell(error, "phone page")
                await self._wait("connection lost, trying again …")
            except Exception:  # the boundary of a refresh: recorded, told and tried again
                log.exception("web.phone_failed")
                await self._wait("not up to date: the server's log tells why")

    async def _wait(self, why: str) -> None:
        self._note.set_text(why)
        self._call.wait()
        self._is_due = True
        await asyncio.sleep(RETRY_SECONDS)

    async def _add_person(self, name: str) -> None:
        try:
            person = await self._emulator.add_person(name)
        except EmulatorGone as error:
            ui.notify(str(error), type="negative")
            return
        self._people[person["person_id"]] = person
        self.choose(person["person_id"])

    # What happens

    def _take(self, events: list[dict[str, Any]]) -> None:
        before = +self._unread
        for event in events:
            self._seen = event["seq"]
            self._began = min(self._began, float(event["at"]))
            self._events.append(event)
            if event.get("phone_number_id") not in (None, self._number):
                continue
            stranger = event.get("person_id") not in (None, self._acts.person_id)
            if event["kind"] == "message.delivered" and stranger:
                self._unread[event["person_id"]] += 1
            if event["kind"] == "message.read" and stranger:
                self._unread[event["person_id"]] = 0
        if +self._unread != before:
            self._show_people()

    async def _refresh(self) -> None:
        person = self._acts.person_id
        steps = await self._steps()
        chat = await self._emulator.chat(person, self._number)
        shown = await self._files.described(bubbles(chat["messages"], taken(steps)))
        if person != self._acts.person_id:
            return  # another was chosen meanwhile: the next round shows that one
        await self._call.refresh(person, self._notes())
        self._screen.show(shown, typing=chat["typing"])
        self._trace.show(in_order(steps))
        self._note.set_text("typing …" if chat["typing"] else "business account")
        if any(message["direction"] == "out" and message["status"] == "delivered" for message in chat["messages"]):
            await self._emulator.read(person, self._number)

    def _notes(self) -> Inside:
        if self._inside is None:
            person = self._people[self._acts.person_id]
            known = [str(person[name]) for name in ("wa_id", "user_id") if person[name]]
            self._inside = Inside(self._pool, self._number, known, self._began)
        return self._inside

    async def _steps(self) -> list[Step]:
        wire = (wire_step(event, self._acts.person_id, self._number) for event in self._events)
        return [*(step for step in wire if step is not None), *await self._notes().steps()]

    # How it looks

    def _draw(self, business: Business, zone: tzinfo) -> None:
        with box("gl-phone-page show-phone") as page:
            with box("gl-tabs"):
                self._tabs = [
                    button("Phone", lambda: self._show_pane(page, "phone"), "gl-tab on"),
                    button("Behind it", lambda: self._show_pane(page, "trace"), "gl-tab"),
                ]
            with box("gl-phone"):
                with box("gl-bar"):
                    if len(self._businesses) > 1:
                        with button("", partial(self._show_chats, zone), "gl-icon", "Chats"):
                            ui.icon("arrow_back")
                    Tag("div", business.name[:1].upper(), "gl-avatar")
                    with box("gl-grow"):
                        Tag("div", business.name, "gl-bar-name").props["title"] = business.display
                        self._note = Tag("div", "", "gl-bar-note")
                    with button("", lambda: self._call.dial(self._acts.person_id), "gl-icon", "Call"):
                        ui.icon("call")
                self._row = People(self.choose, self._ask_name)
                self._screen = Screen(self._acts, lambda bubble: self._composer.reply(bubble), zone)
                self._composer = Composer(self._acts)
                self._call = PhoneCall(self._emulator, self._number, business.name)
            self._trace = Trace(zone)

    def _show_people(self) -> None:
        self._row.show(self._people, self._acts.person_id, self._unread)

    async def _ask_name(self) -> None:
        with sheet("Who writes?") as dialog, box("gl-form"):
            field = ui.input("Name").props("autofocus outlined maxlength=60")
            field.on("keydown.enter", lambda: dialog.submit(field.value))
            button("Add", lambda: dialog.submit(field.value), "gl-button")
        if name := (await dialog or "").strip():
            await self._add_person(name)

    async def _show_chats(self, zone: tzinfo) -> None:
        await show_chats(self._emulator, self._businesses, self._acts.person_id, zone)

    def _show_pane(self, page: ui.element, pane: str) -> None:
        page.classes(replace=f"gl-phone-page show-{pane}")
        for tab, name in zip(self._tabs, ("phone", "trace"), strict=True):
            tab.classes(replace=f"gl-tab{' on' if name == pane else ''}")


def _no_emulator() -> None:
    with box("gl-empty"):
        Tag("p", "The phone page plays people on an emulated WhatsApp, and this server talks to none.")
        Tag("p", "Run greenline demo, or start greenline emulator and set GREENLINE_EMULATOR_URL to its address.")


def _again(reason: str) -> None:
    ui.add_head_html('<meta http-equiv="refresh" content="2">')
    Tag("div", f"{reason} Trying again …", "gl-empty")
