"""What an operator orders in a chat: a human takes over, speaks, hands back, or ends the conversation.

While a human has taken over, what the person says is recorded and the agent is silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from greenline.channels.orders import ITEM, TOO_LATE, load_order
from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.commit import TurnCommit
from greenline.channels.whatsapp.saying import speak
from greenline.conversations.events import ContextualUpdate, Ended, HumanTakeover
from greenline.conversations.lifecycle import ENDED_BY_OPERATOR, taken_over
from greenline.conversations.projection import Projection
from greenline.store.mailbox import Item


def obey(chat: Chat, items: Iterable[Item], commit: TurnCommit) -> Chat:
    """Carry the orders among ``items`` out; returns the chat with what is still open.

    An order for a conversation that is over changes nothing.
    """
    for item in items:
        if item.kind != ITEM:
            continue
        newest = chat.open[0] if chat.open else None
        if newest is None or newest.id != item.payload["conversation_id"]:
            commit.done[item.id] = TOO_LATE
            continue
        if not _carry_out(chat, newest, item, commit).is_open:
            chat = replace(chat, open=(), journal=())
    return chat


def _carry_out(chat: Chat, conversation: Projection, item: Item, commit: TurnCommit) -> Projection:
    order = load_order(item.payload)
    match order.command:
        case "enable_human_takeover" | "disable_human_takeover":
            active = order.command == "enable_human_takeover"
            if active != taken_over(chat.so_far(conversation, commit)):
                commit.record(conversation, HumanTakeover(active=active))
        case "send_human_message":
            speak(chat, conversation, commit, order.text, "human")
        case "contextual_update":
            commit.record(conversation, ContextualUpdate(text=order.text))
        case "end_call":
            commit.record(conversation, Ended(reason=ENDED_BY_OPERATOR))
        case "transfer_to_number":
            commit.done[item.id] = "a chat can't be transferred"
    return commit.conversations.get(conversation.id, conversation)
