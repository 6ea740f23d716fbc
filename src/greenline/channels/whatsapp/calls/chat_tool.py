"""The tool with which an agent writes in the chat while it speaks: addresses, links, documents can't be said well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError

from greenline.channels.whatsapp.calls.store import CallRow, sql
from greenline.clock import Clock
from greenline.ids import derived_id
from greenline.llm.models import ToolSpec
from greenline.store.mailbox import ring
from greenline.store.pool import Pool
from greenline.tools.models import ToolContext, ToolResult

NAME: Final = "send_chat_message"
MAX_TEXT: Final = 4096  # Meta: text body
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
        "text": {"type": "string", "description": "What the message says."},
        "document_url": {"type": "string", "description": "Address of a document to send with it."},
        "document_name": {"type": "string", "description": "File name of the document, with its ending."},
    },
    "required": ["text"],
}


@dataclass(frozen=True, slots=True)
class SendChatMessage:
    """Writes to the person of one call."""

    pool: Pool
    clock: Clock
    row: CallRow
    type: str = "system"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return ToolSpec(NAME, _DESCRIPTION, _PARAMETERS)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Queue the message; its id is derived from the call of the tool, so that it goes out once."""
        try:
            message = _compose(_Arguments.model_validate(arguments))
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            return ToolResult(f"Not sent. {faults}", is_error=True, error_type="invalid_arguments")
        row, now = self.row, self.clock.now()
        outbox_id = derived_id("out", context.idempotency_key)
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                sql["write"],
                row.workspace_id,
                outbox_id,
                row.phone_number_id,
                row.chat_id,
                context.conversation_id,
                message["type"],
                message,
                now,
            )
            sender = f"sender:{row.phone_number_id}"
            await ring(connection, mailbox_id=sender, workspace_id=row.workspace_id, kind="sender", due_at=now)
        return ToolResult("The message is on its way to the chat.")


def _compose(message: _Arguments) -> dict[str, Any]:
    if message.document_url is None:
        return {"type": "text", "text": {"body": message.text}}
    document = {"link": str(message.document_url), "caption": message.text[:MAX_CAPTION]}
    if message.document_name:
        document["filename"] = message.document_name
    return {"type": "document", "document": document}
