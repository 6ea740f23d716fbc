"""The tool with which an agent writes in the chat while it speaks: addresses, links, documents can't be said well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError

from greenline.channels.whatsapp.calls.store import sql
from greenline.channels.whatsapp.compose import MAX_TEXT
from greenline.channels.whatsapp.formatting import to_whatsapp
from greenline.clock import Clock
from greenline.ids import derived_id
from greenline.llm.models import ToolSpec
from greenline.store.mailbox import ring
from greenline.store.pool import Pool
from greenline.text import clean_text
from greenline.tools.models import ToolContext, ToolResult

NAME: Final = "send_chat_message"
MAX_CAPTION: Final = 1024  # Meta: caption of a document

_DESCRIPTION: Final = (
    "Send a message to the person's WhatsApp chat while you speak with them. Use it for what they should keep or "
    "tap: an address, a link, a number, a document. Tell them that you have sent it."
)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    document_url: AnyHttpUrl | None = None
    document_name: str | None = Field(None, max_length=240)


_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": f"What the message says, up to {MAX_TEXT} characters."},
        "document_url": {"type": "string", "description": "Address of a document to send with it."},
        "document_name": {"type": "string", "description": "File name of the document, with its ending."},
    },
    "required": ["text"],
}


@dataclass(frozen=True, slots=True)
class SendChatMessage:
    """Queues a message for the chat of a call; the sender's rules (window, rates) hold for it."""

    pool: Pool = field(repr=False)
    clock: Clock = field(repr=False)
    workspace_id: str
    phone_number_id: str
    chat_id: str
    conversation_id: str
    type: str = "system"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return ToolSpec(NAME, _DESCRIPTION, _PARAMETERS)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Queue the message, once for each call of the tool."""
        try:
            message = _Arguments.model_validate(arguments)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            return ToolResult(f"Not sent. {faults}", is_error=True, error_type="invalid_arguments")
        bodies = _compose(message)
        names = [derived_id("out", self.conversation_id, context.idempotency_key, at) for at in range(len(bodies))]
        await self._queue(dict(zip(names, bodies, strict=True)))
        return ToolResult("The message is on its way to the chat.", said=_shown(message), outbox_ids=tuple(names))

    async def _queue(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        now = self.clock.now()
        async with self.pool.acquire() as connection, connection.transaction():
            for outbox_id, body in bodies.items():
                await connection.execute(
                    sql["write"],
                    self.workspace_id,
                    outbox_id,
                    self.phone_number_id,
                    self.chat_id,
                    self.conversation_id,
                    body["type"],
                    body,
                    now,
                )
            await ring(
                connection,
                mailbox_id=f"sender:{self.phone_number_id}",
                workspace_id=self.workspace_id,
                kind="sender",
                due_at=now,
            )


def _compose(message: _Arguments) -> list[dict[str, Any]]:
    """What is sent, in its order: a text that is too long for a caption goes before its document."""
    text = to_whatsapp(clean_text(message.text))
    written = {"type": "text", "text": {"body": text}}
    if message.document_url is None:
        return [written]
    document = {"link": str(message.document_url)}
    if message.document_name:
        document["filename"] = clean_text(message.document_name)
    if len(text) > MAX_CAPTION:
        return [written, {"type": "document", "document": document}]
    return [{"type": "document", "document": {**document, "caption": text}}]


def _shown(message: _Arguments) -> str:
    """The message as the transcript shows it, and as the chat remembers it."""
    text = clean_text(message.text)
    if message.document_url is None:
        return text
    return f"{text}\n[Document: {clean_text(message.document_name or str(message.document_url))}]"
