"""What a tool is, and what it gives back to the turn that called it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from greenline.llm.models import ToolSpec


@dataclass(frozen=True, slots=True)
class Button:
    """A quick-reply button. Meta: title of 20 characters, id of 256."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list. Meta: title of 24 characters, description of 72, id of 200."""

    id: str
    title: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A titled group of rows."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Plain words to the person."""

    text: str


@dataclass(frozen=True, slots=True)
class Buttons:
    """A text with one to three buttons under it."""

    body: str
    buttons: tuple[Button, ...]
    footer: str | None = None

    @property
    def text(self) -> str:
        """As the transcript shows it."""
        return "\n".join([self.body, *(f"[{button.title}]" for button in self.buttons)])


@dataclass(frozen=True, slots=True)
class Menu:
    """A text with a button that opens a list to choose from."""

    body: str
    button: str
    sections: tuple[Section, ...]
    header: str | None = None
    footer: str | None = None

    @property
    def text(self) -> str:
        """As the transcript shows it."""
        rows = [f"- {row.title}" for section in self.sections for row in section.rows]
        return "\n".join([self.body, *rows])


Say: TypeAlias = Text | Buttons | Menu
"""Something for the person; a channel turns it into its own messages."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A dynamic variable that an answer set; ``is_hidden``: no model and no transcript may see the value."""

    name: str
    value: Any
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """``text`` is what the model reads; ``say`` goes to the person.

    ``said`` is what the tool has told the person itself, by the messages ``outbox_ids``.
    ``ends``: ``turn`` when nothing more is to be said in this turn, ``conversation`` when it is over. ``language`` is
    the one in which the conversation goes on from here. ``pause``: for how many seconds the agent says nothing of its
    own accord; less than one means until the person speaks. ``is_blocked``: it was not run since it may not be.
    ``raw_error`` is what went wrong where ``text`` does not say it. ``uninterrupted``: nobody cuts into what it says.
    """

    text: str
    is_error: bool = False
    error_type: str = ""
    say: tuple[Say, ...] = ()
    ends: Literal["turn", "conversation"] | None = None
    reason: str = ""
    language: str = ""
    pause: float | None = None
    is_blocked: bool = False
    raw_error: str = ""
    uninterrupted: bool = False
    said: str = ""
    outbox_ids: tuple[str, ...] = ()
    assigned: tuple[Assigned, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """In which turn a tool runs. ``idempotency_key`` is the same when a turn is resumed after a crash.

    ``variables`` are the dynamic variables that answers of tools have set so far.
    """

    conversation_id: str
    idempotency_key: str
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Tool(Protocol):
    """A tool that an agent may call."""

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        ...

    @property
    def type(self) -> str:
        """``system``, ``webhook``, ``client``, ``mcp``."""
        ...

    @property
    def has_effect(self) -> bool:
        """Whether a call may change the world: then the turn can't be run again from its beginning."""
        ...

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Carry the call out. Bad arguments give a result with ``is_error``, worded so that a model can mend them."""
        ...


@runtime_checkable
class ServiceTool(Protocol):
    """A tool of another service: the transcript tells of which."""

    @property
    def tool_id(self) -> str:
        """How it is addressed."""
        ...

    @property
    def may_repeat(self) -> bool:
        """Whether a call of which nobody knows if it ran may be made once more."""
        ...

    def details(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the transcript tells of a call (reference: ``tool_details``)."""
        ...


def service_of(tool: object) -> ServiceTool | None:
    """``tool`` if it is of another service."""
    return tool if isinstance(tool, ServiceTool) else None
