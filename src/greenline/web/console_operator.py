"""Where a human steps into a conversation that runs: takes over, writes, hands back, ends it."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from greenline.channels.orders import MAX_TEXT, Order, place
from greenline.errors import GreenlineError
from greenline.web.console_frame import Visit
from greenline.web.parts import Tag, box, button, sheet
from greenline.web.writer import Writer


class Operator:
    """The panel. It shows nothing once the conversation is over."""

    def __init__(self, visitor: Visit, conversation_id: str) -> None:
        self._visitor = visitor
        self._id = conversation_id
        self._state: tuple[bool, bool, bool] | None = None
        self._panel = box("gl-card gl-operator").props("role=group aria-label='Step in'")
        self._panel.set_visibility(False)

    def show(self, *, is_open: bool, is_human: bool, is_rung: bool) -> None:
        """Bring the panel up to date.

        ``is_human``: a human has taken over; ``is_rung``: it is a call that nobody has answered yet.
        """
        state = (is_open, is_human, is_rung)
        if self._state == state:
            return
        self._state = state
        self._panel.clear()
        self._panel.set_visibility(is_open)
        if is_open:
            with self._panel:
                if is_rung:
                    self._draw_rung()
                elif is_human:
                    self._draw_human()
                else:
                    self._draw_agent()

    def _draw_rung(self) -> None:
        with box("gl-operator-row"):
            Tag("div", "Nobody has answered the call yet.", "gl-grow gl-soft")
            button("Call it off", lambda: self._order(Order("end_call")), "gl-button gl-plain")

    def _draw_agent(self) -> None:
        with box("gl-operator-row"):
            Tag("div", "The agent answers.", "gl-grow gl-soft")
            button("Take over", lambda: self._order(Order("enable_human_takeover")), "gl-button")
            button("End", self._ask_end, "gl-button gl-plain")

    def _draw_human(self) -> None:
        with box("gl-operator-row"):
            Tag("div", "A human has taken over: the agent is silent.", "gl-grow gl-soft")
            button("Hand back", lambda: self._order(Order("disable_human_takeover")), "gl-button")
            button("End", self._ask_end, "gl-button gl-plain")
        with box("gl-operator-row"):
            Writer("Write as a human", MAX_TEXT, self._written, look="gl-field").at(self._id)

    async def _written(self, text: str) -> bool:
        return await self._order(Order("send_human_message", text))

    async def _ask_end(self) -> None:
        with self._panel, sheet("End this conversation?") as dialog, box("gl-operator-row"):
            button("End it", partial(dialog.submit, "end"), "gl-button")
            button("Let it run", dialog.close, "gl-button gl-plain")
        if await dialog:
            await self._order(Order("end_call"))

    async def _order(self, order: Order) -> bool:
        if not await self._visitor.is_allowed():
            ui.navigate.to("/console")
            return False
        services = self._visitor.services
        try:
            await place(services.pool, services.clock, self._visitor.workspace.id, self._id, order)
        except GreenlineError as error:
            ui.notify(error.message, type="negative")
            return False
        return True
