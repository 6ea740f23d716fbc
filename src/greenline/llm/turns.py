"""A dialogue as the vendors' own APIs want it: instructions apart, turns of two sides, results after calls.

The rules are Anthropic's (Messages API) and hold for Gemini: a result follows the turn with its call whatever came
between, ids of calls are unique and plain, no text is blank, the person begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from greenline.llm.models import FilePart, Message, TextPart, ToolCall
from greenline.llm.parts import as_taken
from greenline.llm.traits import Traits

OPENING: Final = "(The conversation begins.)"
"""Stands for the person's turn where the agent spoke first."""
NO_RESULT: Final = "There is no result."


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a call."""

    call: ToolCall
    text: str


@dataclass(slots=True)
class Turn:
    """What one side said until the other's turn. The person's side begins with the results of the calls before."""

    side: Literal["person", "agent"]
    parts: list[TextPart | FilePart] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


def turns_of(messages: Iterable[Message], traits: Traits) -> tuple[str, list[Turn]]:
    """The instructions that stand first, and the turns. Later instructions are told in the person's turn."""
    dialogue = _Dialogue()
    for message in messages:
        dialogue.add(
            message, [part for part in (as_taken(part, traits) for part in message.parts) if not _blank(part)]
        )
    dialogue.close()
    return "\n".join(dialogue.instructions), dialogue.turns


class _Dialogue:
    def __init__(self) -> None:
        self.instructions: list[str] = []
        self.turns: list[Turn] = []
        self._open: list[tuple[str | None, ToolCall, Turn]] = []
        self._calls = 0

    def add(self, message: Message, parts: list[TextPart | FilePart]) -> None:
        if message.role == "system" and not self.turns:
            self.instructions += [part.text for part in parts if isinstance(part, TextPart)]
        elif message.role == "tool":
            self._answer(message)
        elif message.role == "assistant":
            self._agent(message, parts)
        elif parts:
            self._turn("person").parts += parts

    def close(self) -> None:
        """Give a result to calls that have none, and a beginning to a dialogue that the agent began."""
        for _, call, answer in self._open:
            answer.results.append(Result(call, NO_RESULT))
        if self.turns and self.turns[0].side == "agent":
            self.turns.insert(0, Turn("person", [TextPart(OPENING)]))

    def _agent(self, message: Message, parts: list[TextPart | FilePart]) -> None:
        if not parts and not message.tool_calls:
            return
        turn = self._turn("agent")
        turn.parts += parts
        if not message.tool_calls:
            return
        answer = Turn("person")
        for said in message.tool_calls:
            call = ToolCall(f"call_{self._calls}", said.name, said.arguments)
            self._calls += 1
            turn.calls.append(call)
            self._open.append((said.id, call, answer))
        self.turns.append(answer)

    def _answer(self, message: Message) -> None:
        for place, (call_id, call, answer) in reversed(list(enumerate(self._open))):
            if call_id == message.tool_call_id:  # the newest: endpoints that give no ids have the same one each turn
                answer.results.append(Result(call, message.text or NO_RESULT))
                del self._open[place]
                return

    def _turn(self, side: Literal["person", "agent"]) -> Turn:
        """The turn that ``side`` has now."""
        if not self.turns or self.turns[-1].side != side:
            self.turns.append(Turn(side))
        return self.turns[-1]


def _blank(part: TextPart | FilePart) -> bool:
    return isinstance(part, TextPart) and not part.text.strip()
