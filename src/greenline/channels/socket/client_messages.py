"""What a client may send on the agent socket (reference: Client-to-server events).

Every message is a JSON object in a text frame. It has a ``type``, except audio, which is told by the presence of
``user_audio_chunk``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Container
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import httpx2
import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from greenline.channels.socket.errors import InvalidMessage
from greenline.text import clean_data
from greenline.tools.guard import OutboundRefused, check_address

INITIATION: Final = "conversation_initiation_client_data"
MAX_TEXT: Final = 100_000
"""Characters of one message: about what the largest contexts of models take as one turn."""
MIN_SECRET: Final = 16
"""Characters of a secret that signs deliveries (reference: enclave_setup_config)."""
MAX_FILES: Final = 30
"""Files of one message; as many as an agent can keep in mind (reference: max_files_in_memory)."""


def _for_a_request(url: str) -> str:
    """Raises ``ValueError`` for an address to which no request will leave."""
    try:
        parsed = httpx2.URL(url)
        check_address(parsed)
    except OutboundRefused as error:
        raise ValueError(str(error).rstrip(".")) from None
    except httpx2.InvalidURL:
        raise ValueError("no address of the web") from None
    if not parsed.host:
        raise ValueError("no address of the web")
    return url


Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT)]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Url: TypeAlias = Annotated[str, Field(max_length=2000), AfterValidator(_for_a_request)]
UrlOrNone: TypeAlias = Annotated[Url | None, BeforeValidator(lambda url: url or None)]
"""The official clients write none as an empty text."""
EventId: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AudioChunk(_Message):
    """Sound of the person, in the announced input format; of a frame of ``of_seconds``, where it is a part of one."""

    type: Literal["user_audio_chunk"] = "user_audio_chunk"
    audio: bytes = Field(repr=False)
    of_seconds: float | None = None


class Initiation(_Message):
    """The first message. ``data`` is checked by whoever starts the conversation, who knows the agent."""

    type: Literal["conversation_initiation_client_data"]
    data: dict[str, Any] = Field(default={}, repr=False)


class Pong(_Message):
    """The answer to a ping."""

    type: Literal["pong"]
    event_id: EventId


class UserMessage(_Message):
    """A finished turn of the person, typed."""

    type: Literal["user_message"]
    text: Text | None = None
    rich_content_id: str | None = None


class UserActivity(_Message):
    """The person is there, for instance typing."""

    type: Literal["user_activity"]


class ContextualUpdate(_Message):
    """Background for the agent, which does not make it speak."""

    type: Literal["contextual_update"]
    text: Text
    context_id: Annotated[str, Field(max_length=200)] | None = None


class ClientToolResult(_Message):
    """The answer to a client tool call. A result that is no text, which the reference forbids, is read as JSON."""

    type: Literal["client_tool_result"]
    tool_call_id: Id
    result: Any
    is_error: bool

    @property
    def text(self) -> str:
        """The result as the model reads it."""
        return self.result if isinstance(self.result, str) else orjson.dumps(self.result).decode()


class Feedback(_Message):
    """A thumb for one answer of the agent; null takes it back."""

    type: Literal["feedback"]
    event_id: EventId
    score: Literal["like", "dislike"] | None


class McpToolApproval(_Message):
    """The person's word on a tool that waits for it."""

    type: Literal["mcp_tool_approval_result"]
    tool_call_id: Id
    is_approved: bool


class FileInput(_Message):
    """A file that was uploaded into the conversation."""

    type: Literal["file_input"] = "file_input"
    file_id: Id


class MultimodalMessage(_Message):
    """Text and files as one turn. Newer clients send ``files``, and its first once more as ``file``."""

    type: Literal["multimodal_message"]
    text: UserMessage | None = None
    file: FileInput | None = None
    files: Annotated[list[FileInput], Field(max_length=MAX_FILES)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and not self.file_ids:
            raise ValueError("it holds neither a text nor a file")
        return self

    @property
    def file_ids(self) -> tuple[str, ...]:
        """The files, each once."""
        named = [*([self.file] if self.file else []), *(self.files or [])]
        return tuple(dict.fromkeys(file.file_id for file in named))

    def without(self, file_ids: Container[str]) -> MultimodalMessage:
        """The message with its other files; it may say nothing any more."""
        kept = [FileInput(file_id=file_id) for file_id in self.file_ids if file_id not in file_ids]
        return self.model_copy(update={"file": None, "files": kept})


class PostCallWebhook(_Message):
    """Where to tell of the conversation when it is over; deliveries are signed if there is a secret."""

    url: Url
    hmac_secret: Annotated[str, Field(min_length=MIN_SECRET, max_length=1000)] | None = Field(None, repr=False)


class EnclaveSetup(_Message):
    """Brings the agent of the conversation, before its start data (SDK: ``OnPremInitiationData``).

    ``bedrock_inference_profile`` is taken and without effect: models are reached as the server's settings say.
    """

    type: Literal["enclave_setup_config"]
    agent_config_dict: dict[str, Any] | None = Field(None, repr=False)
    override_agent_config_list: list[dict[str, Any]] | None = Field(None, repr=False)
    tools_config_list: list[dict[str, Any]] | None = Field(None, repr=False)
    prompt_knowledge_base: list[str] | None = Field(None, repr=False)
    post_call_transcription_webhook: PostCallWebhook | None = None
    post_call_transcription_webhook_url: UrlOrNone = None
    post_call_audio_webhook: PostCallWebhook | None = None
    post_call_audio_webhook_url: UrlOrNone = None
    bedrock_inference_profile: str | None = None

    @model_validator(mode="after")
    def _told_once(self) -> Self:
        for kind in ("transcription", "audio"):
            if getattr(self, f"post_call_{kind}_webhook") and getattr(self, f"post_call_{kind}_webhook_url"):
                raise ValueError(f"post_call_{kind}_webhook and post_call_{kind}_webhook_url exclude each other")
        return self

    def webhook(self, kind: Literal["transcription", "audio"]) -> PostCallWebhook | None:
        """Where to tell of the conversation by one ``kind`` of message, in whichever form it was written."""
        newer: PostCallWebhook | None = getattr(self, f"post_call_{kind}_webhook")
        url: str | None = getattr(self, f"post_call_{kind}_webhook_url")
        return newer or (PostCallWebhook(url=url) if url else None)


_Typed: TypeAlias = (
    Initiation
    | Pong
    | UserMessage
    | UserActivity
    | ContextualUpdate
    | ClientToolResult
    | Feedback
    | McpToolApproval
    | MultimodalMessage
    | EnclaveSetup
)
ClientMessage: TypeAlias = AudioChunk | _Typed

_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""Of JSON; the group is half of a pair of surrogates, as JavaScript leaves it where it cuts inside an emoji."""

_NUL: Final = r"\u0000"
"""All that a frame can bring and no database takes: looking for it everywhere takes ten times as long."""

_TYPED: Final[TypeAdapter[ClientMessage]] = TypeAdapter(Annotated[_Typed, Field(discriminator="type")])


def parse(frame: str) -> ClientMessage:
    """The message in a text frame. Raises `greenline.channels.socket.errors.InvalidMessage`."""
    value = _json(frame)
    if not isinstance(value, dict):
        raise InvalidMessage("The message is not a JSON object.")
    if "user_audio_chunk" in value:
        return _audio(value["user_audio_chunk"])
    _check_depth(value)
    if _NUL in frame:
        value = clean_data(value)
    if value.get("type") == INITIATION:
        return Initiation(type=INITIATION, data={name: item for name, item in value.items() if name != "type"})
    try:
        return _TYPED.validate_python(value)
    except ValidationError as error:
        raise _refusal(value, error) from None


def _json(frame: str) -> Any:
    try:
        return orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        whole = _ESCAPE.sub(lambda escape: r"\ufffd" if escape[1] else escape[0], frame)
        if whole == frame:
            raise InvalidMessage(f"The message is not JSON: {error.msg}.") from None
    return _json(whole)


def _audio(value: Any) -> AudioChunk:
    if not isinstance(value, str):
        raise InvalidMessage("user_audio_chunk is not a string.")
    try:
        return AudioChunk.model_construct(audio=base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise InvalidMessage("user_audio_chunk is not base64.") from None


def _check_depth(value: dict[str, Any]) -> None:
    """Raise `InvalidMessage` for what can't be written again as it came."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise InvalidMessage("The message is nested too deeply, or holds a number beyond 64 bits.") from None


def _refusal(value: dict[str, Any], error: ValidationError) -> InvalidMessage:
    first = error.errors(include_url=False, include_input=False)[0]
    kind = value.get("type")
    if first["type"] == "union_tag_not_found":
        return InvalidMessage("The message has no type.", "missing_fields")
    if first["type"] == "union_tag_invalid":
        return InvalidMessage(f"Unknown message type: {str(kind)[:60]}.")
    place = ".".join(str(part) for part in first["loc"][1:])
    if first["type"] == "missing":
        return InvalidMessage(f"{kind}: the field {place} is missing.", "missing_fields")
    said = first["msg"].removeprefix("Value error, ")  # pydantic's, before what a validator of ours says
    return InvalidMessage(": ".join(filter(None, (str(kind), place, f"{said}."))))
