"""Where messages are written: on the phone, and by the operator who has taken over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.events import GenericEventArguments


class Writer(ui.element, component="writer.js"):
    """A field and the button that sends; what is drawn into it stands between them.

    ``take`` gets what was written, and tells whether it was taken: what was not is put back into the field. Drafts
    are kept in the browser's tab for each ``place``.
    """

    def __init__(self, label: str, longest: int, take: Callable[[str], Awaitable[bool]], *, look: str = "") -> None:
        super().__init__()
        self._take = take
        self.props["label"], self.props["longest"], self.props["look"] = label, longest, look
        self.at("")
        self.on("written", self._written)

    def at(self, place: str) -> None:
        """Write to another place: the draft of that one is shown."""
        self.props["place"] = place

    def focus(self) -> None:
        """Let what is typed from here on go into the field."""
        self.run_method("focus")

    async def _written(self, event: GenericEventArguments) -> None:
        taken = await self._take(str(event.args["text"]).strip())
        self.run_method("settle", event.args["number"], taken)
