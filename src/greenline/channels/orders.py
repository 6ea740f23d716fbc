"""Orders of an operator to a conversation that runs, wherever it is held (reference: Real-time monitoring, commands).

An order is an item of the inbox, for the mailbox of the conversation: that of its chat, or its own one when a process
holds it. So it has its place among what the person says, and survives the process that took it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

from greenline.clock import Clock
from greenline.conversations.models import ConversationNotFound, ConversationOver
from greenline.errors import BadRequest, Conflict
from greenline.ids import new_id
from greenline.store.pool import Pool, Record
from greenline.store.sql import load_sql
from greenline.text import clean_text

SQL = load_sql(__package__, "orders.sql")

ITEM: Final = "order"
"""Kind of such an item of the inbox."""
TOO_LATE: Final = "the conversation was over"
"""What becomes of one that nobody carried out."""
MAX_TEXT: Final = 4096
"""Characters of a human's message: as many as a text on WhatsApp has."""

Command: TypeAlias = Literal[
    "end_call",
    "transfer_to_number",
    "contextual_update",
    "enable_human_takeover",
    "human_typing",
    "send_human_message",
    "disable_human_takeover",
]
"""Those of the reference, and ``human_typing``: it knows the event and no way to bring it about."""

# The parameter that carries the text of a command.
_PARAMETERS: Final[dict[str, str]] = {
    "transfer_to_number": "phone_number",
    "contextual_update": "contextual_update",
    "send_human_message": "text",
}


class UnknownCommand(BadRequest):
    """There is no such command. Known are end_call, transfer_to_number, contextual_update, enable_human_takeover,
    human_typing, send_human_message and disable_human_takeover.
    """

    code = "unknown_command"


class MissingParameter(BadRequest):
    """The command needs a parameter."""

    code = "missing_parameter"


class NotTransferable(BadRequest):
    """This conversation can't be transferred: only a call over a telephone carrier can, and none is connected."""

    code = "transfer_not_available"


class TypingNotShown(BadRequest):
    """Who chats on WhatsApp is not shown that a human types: send the message when it is written."""

    code = "typing_not_shown"


class NotAnswered(Conflict):
    """Nobody has answered this call yet: until then it can only be ended."""

    code = "call_not_answered"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done; ``text`` is the parameter of the commands that have one."""

    command: Command
    text: str = field(default="", repr=False)


def read_order(command_type: Any, parameters: Any) -> Order:
    """The order of a command as clients write it. Raises `UnknownCommand`, `MissingParameter`, `NotTransferable`."""
    if command_type not in get_args(Command):
        raise UnknownCommand
    if command_type == "transfer_to_number":
        raise NotTransferable
    name = _PARAMETERS.get(command_type)
    if name is None:
        return Order(command_type)
    text = parameters.get(name) if isinstance(parameters, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise MissingParameter(f"{command_type} needs parameters.{name}, a text.", param=name)
    if len(text) > MAX_TEXT:
        raise MissingParameter(f"parameters.{name} is longer than {MAX_TEXT} characters.", param=name)
    return Order(command_type, text)


def load_order(payload: dict[str, Any]) -> Order:
    """The order of an item of the inbox."""
    return Order(payload["command"], payload.get("text", ""))


async def place(pool: Pool, clock: Clock, workspace_id: str, conversation_id: str, order: Order) -> None:
    """Return when the order is durable; whoever holds the conversation is woken.

    Raises `ConversationNotFound`, `ConversationOver`, `NotAnswered` or `TypingNotShown`.
    """
    row = await pool.fetchrow(SQL["holder"], workspace_id, conversation_id)
    if row is None:
        raise ConversationNotFound
    if row["status"] not in ("initiated", "in-progress"):
        raise ConversationOver("The conversation has ended: there is nothing to order any more.")
    if row["call_mailbox_id"] and order.command != "end_call":
        raise NotAnswered
    mailbox_id, kind = _holder(row, conversation_id)
    if kind == "chat" and order.command == "human_typing":
        raise TypingNotShown
    payload = {"conversation_id": conversation_id, "command": order.command, "text": clean_text(order.text)}
    await pool.execute(SQL["place"], workspace_id, mailbox_id, kind, new_id("order"), payload, clock.now())


def _holder(row: Record, conversation_id: str) -> tuple[str, str]:
    """Mailbox and its kind."""
    if row["call_mailbox_id"]:
        return row["call_mailbox_id"], "call"
    return (row["chat_id"], "chat") if row["chat_id"] else (f"live:{conversation_id}", "live")
