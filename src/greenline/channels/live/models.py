"""What a live conversation tells its listeners, and where its voice goes.

The names are those of the reference's socket messages; a listener (the socket, the monitor, a call's captions)
chooses what it passes on. Listeners and `AudioOut` are called in the event loop and must not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

from greenline.conversations.events import ToolReturned
from greenline.conversations.tool_calls import was_run
from greenline.speech.models import Alignment
from greenline.tools.mcp.desk import McpConnections, McpToolCall

CODE_NORMAL: Final = 1000
CODE_CRASH: Final = 1011


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """What the person said: final, or ``tentative`` while they speak. ``medium`` is ``audio`` or ``text``."""

    event_id: int
    text: str
    tentative: bool = False
    medium: Literal["audio", "text"] = "audio"


@dataclass(frozen=True, slots=True)
class AgentResponse:
    """What the agent says in a turn, whole."""

    event_id: int
    text: str
    response_id: str


@dataclass(frozen=True, slots=True)
class ResponsePart:
    """A piece of an answer as the model writes it."""

    event_id: int
    text: str
    type: Literal["start", "delta", "stop"]
    response_id: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """A piece of what the model thinks before it answers."""

    event_id: int
    text: str
    type: Literal["start", "delta", "stop"]


@dataclass(frozen=True, slots=True)
class ResponseMetadata:
    """What the agent's own model has for the client besides words."""

    event_id: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseCorrection:
    """What the person really heard of an answer that was cut."""

    event_id: int
    original: str
    corrected: str


@dataclass(frozen=True, slots=True)
class ResponseComplete:
    """The agent has said all of its turn."""

    event_id: int


@dataclass(frozen=True, slots=True)
class Interruption:
    """The turn ``event_id`` was cut; no audio of it follows, and the next turn has a greater id."""

    event_id: int


@dataclass(frozen=True, slots=True)
class VadScore:
    """How much the last window sounds like voice, 0 to 1."""

    score: float


@dataclass(frozen=True, slots=True)
class TurnProbability:
    """How likely it is that the person has finished, 0 to 1."""

    probability: float


@dataclass(frozen=True, slots=True)
class TentativeResponse:
    """What the agent would say if the person has finished, which is not known yet."""

    text: str


@dataclass(frozen=True, slots=True)
class ClientToolCall:
    """The client is to run a tool."""

    event_id: int
    tool_call_id: str
    tool_name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DtmfRequest:
    """The client is to press keys of a telephone, ``out_of_band`` as events (RFC 4733) and not as tones."""

    event_id: int
    tones: str
    out_of_band: bool


@dataclass(frozen=True, slots=True)
class RichContent:
    """The client is to draw a component; a tap on it comes back with ``rich_content_id``."""

    event_id: int
    rich_content_id: str
    component: str
    props: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The agent calls a tool."""

    event_id: int
    tool_call_id: str
    tool_name: str
    tool_type: str


@dataclass(frozen=True, slots=True)
class ToolResponse:
    """A tool has answered."""

    event_id: int
    tool_call_id: str
    tool_name: str
    tool_type: str
    is_error: bool
    result: str = field(default="", repr=False)
    is_blocked: bool = False
    """It was not run, since it may not be."""
    is_called: bool = True
    """It was run."""

    @classmethod
    def of(cls, event_id: int, returned: ToolReturned) -> ToolResponse:
        """As the journal has it."""
        return cls(
            event_id,
            returned.request_id,
            returned.name,
            returned.type,
            is_error=returned.is_error,
            result=returned.result,
            is_blocked=returned.is_blocked,
            is_called=was_run(returned.error_type),
        )


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """How much of the model's context the last generation of a turn has read, in tokens, from its cache or not."""

    event_id: int
    model: str
    tokens: int
    limit: int


@dataclass(frozen=True, slots=True)
class GuardrailTriggered:
    """A guardrail has refused what the agent was about to say, or what the person said."""


@dataclass(frozen=True, slots=True)
class AgentTyping:
    """Who reads sees that an answer is on its way: the agent is at work, or a human who has taken over is typing.

    ``duration_ms`` is how long it holds good unless more is heard of it.
    """

    is_typing: bool
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A human has taken over (True) or has handed back (False)."""

    by_human: bool


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event. ``code`` is the reference's close code, ``error_type`` its name for a failure.

    ``debug`` is for who may change the agent, and nobody else.
    """

    code: int
    reason: str
    error_type: str | None = None
    debug: str | None = field(default=None, compare=False, repr=False)


LiveEvent: TypeAlias = (
    UserTranscript
    | AgentResponse
    | ResponsePart
    | ReasoningPart
    | ResponseMetadata
    | ResponseCorrection
    | ResponseComplete
    | Interruption
    | VadScore
    | TurnProbability
    | TentativeResponse
    | ClientToolCall
    | DtmfRequest
    | RichContent
    | ToolRequest
    | ToolResponse
    | McpToolCall
    | McpConnections
    | ContextUsage
    | GuardrailTriggered
    | AgentTyping
    | TakenOver
    | SessionEnded
)

Listener: TypeAlias = Callable[[LiveEvent], None]


class AudioOut(Protocol):
    """Where the agent's voice goes: a call's track, a client's socket, a test's buffer."""

    @property
    def rate(self) -> int:
        """Samples a second that `write` takes."""
        ...

    @property
    def queued(self) -> float:
        """Seconds that are written and not yet played; where nobody reports playback, by the time of writing."""
        ...

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        """Add speech of the turn ``event_id``; may run ahead of real time."""
        ...

    def once_sounding(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` when the next sound that follows silence leaves; `clear` forgets it."""
        ...

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """Call ``tell`` with the seconds by which all that was written and not played comes later than `queued` said.

        It is told where playback stands still with the process, before anything else is written or taken back.
        """
        ...

    def clear(self) -> float:
        """Stop at once; returns the seconds that were not played."""
        ...
