"""The waits for a person who says nothing: the agent speaks again, a few times, and ends the conversation at last.

Reference: ``turn_timeout``, ``silence_end_call_timeout`` and the tool ``skip_turn``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from greenline.agents.config.turn import TurnConfig
from greenline.channels.live.timers import Timers
from greenline.clock import Clock

MOST_NUDGES: Final = 3
"""How often in a row the agent speaks into silence before it waits for the person."""
SHORTEST_SECONDS: Final = 0.001
"""Of a wait that is over already."""


class Silence:
    """Calls ``speak_again`` after each wait for an answer, ``give_up`` when the silence has lasted too long.

    The task of ``give_up`` is cancelled when the person speaks while it waits for the agent's own words.
    """

    def __init__(
        self,
        timers: Timers,
        clock: Clock,
        *,
        speak_again: Callable[[], None],
        give_up: Callable[[], asyncio.Task[None]],
    ) -> None:
        self._timers = timers
        self._clock = clock
        self._speak_again = speak_again
        self._give_up = give_up
        self._giving_up: asyncio.Task[None] | None = None
        self._nudges = 0
        self._pause: float | None = None
        self._paused_at = clock.now()

    @property
    def pausing(self) -> bool:
        """Whether the agent leaves its turn out."""
        return self._pause is not None

    @property
    def nudging(self) -> bool:
        """Whether the next wait has begun already."""
        return self._timers.is_set("turn")

    def pause(self, seconds: float | None) -> None:
        """The agent leaves its turn out for so long; negative: until the person speaks; None: it does not."""
        self._pause, self._paused_at = seconds, self._clock.now()

    def nudge(self) -> None:
        """The agent speaks into the silence."""
        self._nudges += 1

    def end(self) -> None:
        """The person has said something."""
        self.hold()
        self._nudges, self._pause = 0, None

    def hold(self) -> None:
        """The person is there: no wait for now."""
        self._timers.stop("turn")
        self._timers.stop("silence")
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def wait(self, turn: TurnConfig, seconds: float | None = None) -> None:
        """It is the person's turn; ``seconds`` takes the place of the agent's turn timeout."""
        pause = self._pause_left()
        patience = next(wait for wait in (pause, seconds, turn.turn_timeout) if wait is not None)
        speaks_again = patience > 0 and self._nudges < MOST_NUDGES
        if pause is not None and speaks_again:
            self._timers.stop("silence")  # a moment that the person asked for is no silence
        elif turn.silence_end_call_timeout > 0 and not self._timers.is_set("silence"):
            # What the agent says into the silence does not end it.
            self._timers.set("silence", turn.silence_end_call_timeout, self._lasts_too_long)
        if speaks_again:
            self._timers.set("turn", patience, self._speak_again)

    def _lasts_too_long(self) -> None:
        self._giving_up = self._give_up()

    def _pause_left(self) -> float | None:
        """What is left of the pause, which goes on through noises; negative where it lasts until they speak."""
        if self._pause is None or self._pause <= 0:
            return self._pause
        return max(self._pause - (self._clock.now() - self._paused_at).total_seconds(), SHORTEST_SECONDS)
