"""Elements for sound: the recorder of voice notes, and the player."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.events import GenericEventArguments

from greenline.web.sound import Sound


class Recorder(ui.element, component="recorder.js"):
    """A microphone button. What was recorded goes to the address in prop ``url``, as the browser makes it (WebM, Ogg
    or MP4), and stays in the page until it was taken there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on("failed", _tell)


class Player(ui.element, component="player.js"):
    """Plays the file at ``address``; ``played`` is called each time it begins."""

    def __init__(self, address: str, sound: Sound, played: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.props["src"] = address
        self.props["seconds"], self.props["peaks"] = sound.seconds, list(sound.peaks)
        if played is not None:
            self.on("played", played)


class RecordingPlayer(ui.element, component="recording.js"):
    """Plays the recording at the address in prop ``src``; the turn that is heard is marked."""


def _tell(event: GenericEventArguments) -> None:
    ui.notify(str(event.args), type="negative")
