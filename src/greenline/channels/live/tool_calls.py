"""The tool calls of one answer: which are under way, whom they shield, and what clients are told of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from greenline.channels.live.models import LiveEvent, ToolRequest, ToolResponse
from greenline.conversations.events import Event, ToolCalled, ToolReturned
from greenline.conversations.tool_calls import cut_short, was_run
from greenline.tools.manners import Manners
from greenline.tools.models import Tool, ToolResult

END_CALL: Final = "end_call"
"""The JavaScript client leaves when any call of this tool is answered, with an error too."""


class ToolCalls:
    """Those of the turn ``event_id``. ``now`` counts seconds."""

    def __init__(self, event_id: int, tell: Callable[[LiveEvent], None], now: Callable[[], float]) -> None:
        self._event_id = event_id
        self._tell = tell
        self._now = now
        self._under_way: dict[str, float] = {}
        """Those that clients were told of and that have no result, and since when."""
        self._shields = 0
        """Those under way that nobody may interrupt."""
        self._shields_rest = False
        self._end: ToolResponse | None = None
        """The result that ends the conversation: clients leave when they hear of it."""

    @property
    def shielded(self) -> bool:
        """Whether nobody may interrupt now (reference: ``interruption_mode``)."""
        return self._shields_rest or self._shields > 0

    def called(self, tool: Tool, call_id: str, wanted: Manners) -> None:
        """One begins, around which the agent behaves as ``wanted``."""
        self._shields_rest = self._shields_rest or wanted.shields == "turn"
        self._shields += wanted.shields == "tool"
        self._under_way[call_id] = self._now()
        self._tell(ToolRequest(self._event_id, call_id, tool.spec.name, tool.type))

    def over(self, wanted: Manners) -> None:
        """One runs no more, whatever came of it."""
        self._shields -= wanted.shields == "tool"

    def returned(self, tool: Tool, call_id: str, result: ToolResult) -> None:
        """One was answered; after `cut` it is too late for that."""
        if self._under_way.pop(call_id, None) is None:
            return
        told = ToolResponse(
            self._event_id,
            call_id,
            tool.spec.name,
            tool.type,
            is_error=result.is_error,
            result=result.text,
            is_blocked=result.is_blocked,
            is_called=was_run(result.error_type),
        )
        if result.ends == "conversation":
            self._end = told
        elif tool.spec.name != END_CALL:  # one that failed ends nothing, but for clients that hear of it
            self._tell(told)

    def cut(self, events: Sequence[Event], unapproved: Collection[str]) -> Iterator[Event]:
        """Those of ``events`` that have no result will have none: nobody is to wait for it. They end nothing.

        ``unapproved`` wait for somebody's word.
        """
        self._end = None
        returned = {event.request_id for event in events if isinstance(event, ToolReturned)}
        for call in events:
            if isinstance(call, ToolCalled) and call.request_id not in returned:
                since = self._under_way.pop(call.request_id, None)
                began = since is not None and call.request_id not in unapproved
                result = cut_short(call, began=began, seconds=self._now() - since if since is not None else 0.0)
                if since is not None:
                    self._tell(ToolResponse.of(self._event_id, result))
                yield result

    def tell_end(self) -> None:
        """All that was to be said before was said."""
        if self._end is not None:
            self._tell(self._end)
