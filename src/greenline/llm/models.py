"""What a model is asked and what it answers, the same for every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class FilePart:
    """An image or a document, for models that take them; others see its name as text."""

    mime_type: str
    filename: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for. ``arguments`` is a JSON object, parsed; ``{}`` when the model sent none.

    ``fault`` is why it can't be run as it was asked for, in words for the model; it has no arguments then.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with a model."""

    role: Role
    parts: tuple[TextPart | FilePart, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined by line breaks."""
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it. ``parameters`` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CustomLlm:
    """An agent's own OpenAI-compatible endpoint (reference: ``custom_llm``)."""

    url: str
    model_id: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_version: str | None = None
    api_type: Literal["chat_completions", "responses", "websocket"] = "chat_completions"


@dataclass(frozen=True, slots=True)
class Cascade:
    """Which models take over, and when (reference: ``backup_llm_config``, ``cascade_timeout_seconds``).

    ``backups`` are reference model names in order; None takes the server's default order, ``()`` none.
    ``timeout`` is the time to the first token, in seconds, per attempt. Where somebody waits on the telephone,
    ``start`` is that time for all attempts together, and ``stall`` the time from one token to the next.
    """

    backups: tuple[str, ...] | None = None
    timeout: float = 4.0
    start: float | None = None
    stall: float | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    """What a request asks a model to judge, for the offline model, which reads no instructions.

    ``kinds`` are types of guardrails, ``text`` is what is judged.
    """

    kinds: tuple[str, ...]
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One generation. ``model`` is a name of the reference API (``gemini-2.5-flash``, ``custom-llm``).

    ``extra_body`` is for a custom LLM only, which gets it as ``elevenlabs_extra_body``.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool = True
    custom_llm: CustomLlm | None = field(default=None, repr=False)
    custom_llm_fault: str = ""
    """Why there is no ``custom_llm`` though the agent has one."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    cascade: Cascade = Cascade()
    judging: Judging | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model that was tried and did not answer, with the reason as an operator should read it."""

    model: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A whole generation. ``model`` is the reference name of the one that answered (``producing_llm``).

    ``context`` is how many tokens it reads at most, where that is known. ``metadata`` is what an agent's own endpoint
    has for the client (reference: ``agent_response_metadata``).
    """

    model: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    attempts: tuple[Attempt, ...] = ()
    seconds: float = 0.0
    seconds_to_first_token: float = 0.0
    context: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of text as the model streams it. From a provider, ``""`` is a sign of life that is no text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of what a model thinks before it answers, where its endpoint tells (``reasoning_content``)."""

    text: str


StreamEvent: TypeAlias = TextDelta | ReasoningDelta | ModelReply


class Provider(Protocol):
    """One kind of endpoint. An instance serves many models and many calls at once."""

    def stream(self, request: ModelRequest, model: str) -> AsyncIterator[StreamEvent]:
        """Generate with the provider's own ``model`` name: deltas as they come, one `ModelReply` last.

        Closing the iterator, or cancelling the task that reads it, closes the connection to the provider.
        Raises `greenline.llm.errors.ModelError` and nothing else for anything the endpoint does wrong.
        """
        ...


class LanguageModels(Protocol):
    """The models of this server: mapping of names, cascade and accounting behind two calls."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """One whole reply. Raises `greenline.llm.errors.AllModelsFailed` when no model of the cascade answered."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """As `complete`, in pieces. Once text has been given out, the cascade does not switch any more."""
        ...
