"""What a person says, writes or presses, and what of it waits while the agent can't be stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from greenline.conversations.events import Medium


@dataclass(frozen=True, slots=True)
class Words:
    """A finished turn of the person."""

    text: str
    medium: Medium
    file_ids: tuple[str, ...] = ()
    unwritten: str = field(default="", repr=False)
    """What the model reads in place of ``text``."""
    rich_content_id: str | None = None
    """The row of buttons of which they tapped one."""
    began: datetime | None = None
    """When they began to say it."""

    @property
    def read(self) -> str:
        """As the model reads it."""
        return self.unwritten or self.text


class Meanwhile:
    """Turns that came while the agent spoke and could not be interrupted."""

    def __init__(self) -> None:
        self._spoken: list[str] = []
        self._began: datetime | None = None
        self._others: list[Words] = []

    def __bool__(self) -> bool:
        return bool(self._spoken or self._others)

    def say(self, text: str, began: datetime | None = None) -> None:
        """Spoken words: one utterance with those that wait already."""
        self._began = self._began if self._spoken else began
        self._spoken.append(text)

    def add(self, words: Words) -> None:
        """Any other turn."""
        self._others.append(words)

    def take(self) -> Words | None:
        """All that waits as one turn, what was spoken at its end; of rows of buttons it keeps the last tapped."""
        spoken = [Words(" ".join(self._spoken), "audio", began=self._began)] if self._spoken else []
        words = [*self._others, *spoken]
        self._spoken.clear()
        self._others.clear()
        if not words:
            return None
        return Words(
            "\n".join(said.text for said in words if said.text),
            words[-1].medium,
            tuple(chain.from_iterable(said.file_ids for said in words)),
            "\n".join(said.read for said in words if said.read),
            next((said.rich_content_id for said in reversed(words) if said.rich_content_id), None),
            words[-1].began,
        )
