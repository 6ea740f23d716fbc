"""The silence before a spoken answer, taken apart: what was waited for, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

STAGES: Final = ("voice_ended", "paused", "recognised", "sentence", "speech", "committed", "written", "sent")
WAITS: Final[Mapping[str, str]] = {
    "paused": "end_of_turn",
    "recognised": "recognition",
    "sentence": "model",
    "speech": "synthesis",
    "committed": "hold",
    "written": "queue",
    "sent": "queue",
}
"""What was waited for when a stage was reached."""


class Waterfall:
    """That of one answer. ``now`` counts seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._reached: dict[str, float] = {}
        self._tools_running = 0
        self._tools_since = self._tools_seconds = 0.0

    @property
    def began(self) -> float:
        """When the person's voice ended. Raises ``KeyError`` for an answer that follows no voice."""
        return self._reached["voice_ended"]

    @property
    def runs_tools(self) -> bool:
        """Whether a tool is under way."""
        return self._tools_running > 0

    def follows_voice(self, ended: float, paused: float) -> None:
        """The person's voice ended then, which was noticed at ``paused``, and now it is text."""
        self._reached["voice_ended"], self._reached["paused"] = ended, paused
        self.reach("recognised")

    def reach(self, stage: str) -> None:
        """One of `STAGES`; the first time counts."""
        self._reached.setdefault(stage, self._now())

    def tool_called(self) -> None:
        """A tool begins, beside others or not."""
        if self._tools_running == 0:
            self._tools_since = self._now()
        self._tools_running += 1

    def tool_returned(self) -> None:
        """One has answered."""
        self._tools_running -= 1
        if self._tools_running == 0 and "sentence" not in self._reached:
            self._tools_seconds += self._now() - self._tools_since

    def waits(self) -> dict[str, float]:
        """Milliseconds, in the order of the waits; empty when nobody spoke before."""
        reached = self._reached
        if "voice_ended" not in reached or "written" not in reached:
            return {}
        end = reached.get("sent", reached["written"])
        passed = dict(reached)
        if passed["committed"] < passed.get("speech", end):
            del passed["committed"]  # nothing waited for it
        waits: dict[str, float] = {}
        before = self.began
        for at, _, name in sorted((min(at, end), STAGES.index(name), name) for name, at in passed.items()):
            if name in WAITS:
                wait = WAITS[name]
                waits[wait] = round(waits.get(wait, 0.0) + (at - before) * 1000, 1)
                before = at
        return self._apart(waits)

    def _apart(self, waits: dict[str, float]) -> dict[str, float]:
        """The tools that ran before the first sentence, apart from the model that asked for them."""
        tools = min(round(self._tools_seconds * 1000, 1), waits.get("model", 0.0))
        if tools:
            waits["model"] = round(waits["model"] - tools, 1)
            waits["tools"] = tools
        return waits
