"""The keys of a person's telephone: those that follow each other closely are one turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from greenline.agents.config.conversation import DtmfInputConfig
from greenline.channels.live.timers import Timers

DIGITS_SECONDS: Final = 1.5
"""After the last key, where the agent says nothing else."""
_DIGITS: Final = "digits"


class Keypad:
    """Collects keys. ``take`` gets them when the person has pressed the last."""

    def __init__(self, config: DtmfInputConfig | None, timers: Timers, take: Callable[[str], None]) -> None:
        timeout = config.dtmf_input_timeout if config is not None else None
        self._seconds = DIGITS_SECONDS if timeout is None else timeout
        self._hash_ends = config is None or config.hash_terminator
        self._timers = timers
        self._take = take
        self._digits = ""

    def press(self, digit: str) -> None:
        """A key."""
        self._digits += digit
        if digit == "#" and self._hash_ends:
            self.finish()
        else:
            self._timers.set(_DIGITS, self._seconds, self.finish)

    def finish(self) -> None:
        """No key follows."""
        self._timers.stop(_DIGITS)
        digits, self._digits = self._digits, ""
        if digits:
            self._take(digits)
