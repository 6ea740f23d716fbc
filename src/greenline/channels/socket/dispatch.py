"""What each message of a client does to its conversation."""

from __future__ import annotations

from greenline.channels.socket.client_messages import (
    AudioChunk,
    ClientMessage,
    ClientToolResult,
    ContextualUpdate,
    EnclaveSetup,
    Feedback,
    Initiation,
    McpToolApproval,
    MultimodalMessage,
    Pong,
    UserActivity,
    UserMessage,
)
from greenline.channels.socket.errors import OWN_AGENT, InvalidMessage
from greenline.channels.socket.medium import Decode
from greenline.channels.socket.pings import Pings
from greenline.channels.socket.session import Session


class Dispatch:
    """Passes messages on. ``ears`` is None in a conversation by text, where sound is ignored."""

    def __init__(self, session: Session, ears: Decode | None, pings: Pings) -> None:
        self._session = session
        self._ears = ears
        self._pings = pings

    def __call__(self, message: ClientMessage) -> bool:
        """Whether the message is a sign of the person. Raises `InvalidMessage` for one that has no place here."""
        match message:
            case AudioChunk():
                if self._ears is not None:
                    self._session.hear(self._ears(message.audio), message.of_seconds)
            case Pong():
                self._pings.answered(message.event_id)
                return False
            case Feedback():
                self._session.feedback(message.event_id, message.score)
            case ClientToolResult():
                self._session.tool_result(message.tool_call_id, message.text, is_error=message.is_error)
            case McpToolApproval():
                self._session.mcp_approval(message.tool_call_id, is_approved=message.is_approved)
            case Initiation():
                raise InvalidMessage("The conversation has begun: its start data can't change any more.")
            case EnclaveSetup():
                raise InvalidMessage(OWN_AGENT)
            case _:
                self._words(message)
        return True

    def _words(self, message: UserMessage | UserActivity | ContextualUpdate | MultimodalMessage) -> None:
        match message:
            case UserMessage():
                self._session.user_message(message.text or "", rich_content_id=message.rich_content_id)
            case MultimodalMessage():
                text, tapped = (message.text.text or "", message.text.rich_content_id) if message.text else ("", None)
                if message.text or message.file_ids:  # it may have named nothing but unknown files
                    self._session.user_message(text, file_ids=message.file_ids, rich_content_id=tapped)
            case ContextualUpdate():
                self._session.contextual_update(message.text, message.context_id)
            case UserActivity():
                self._session.user_activity()
