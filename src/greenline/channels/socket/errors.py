"""Why a socket is closed, in the reference's close codes and error types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

NORMAL: Final = 1000
OPERATIONAL: Final = 1002
CONTRACT: Final = 1008
TOO_LARGE: Final = 1009
CRASH: Final = 1011
RESTART: Final = 1012

MAX_REASON_BYTES: Final = 123
"""RFC 6455, 5.5: a control frame carries 125 bytes, and the code takes two."""

OWN_AGENT: Final = (
    "enclave_setup_config brings the agent of a conversation: send it first, on a connection that names no agent_id."
)


class SocketClosed(Exception):
    """The socket is to be closed with ``code``, after an ``error`` event that gives ``error_type`` and the reason.

    The reason is for everybody; it holds nothing of the server's inside.
    """

    def __init__(self, code: int, error_type: str, reason: str, **details: Any) -> None:
        super().__init__(reason)
        self.code = code
        self.error_type = error_type
        self.reason = reason
        self.details = details
        self.debug: str | None = None
        """For who may change the agent, and nobody else."""


class ClientLeft(Exception):
    """The client has gone, with or without a word."""


class InvalidMessage(SocketClosed):
    """A frame of the client that is no message of the protocol."""

    def __init__(self, reason: str, error_type: str = "invalid_message") -> None:
        super().__init__(CONTRACT, error_type, reason)


class UnknownFiles(SocketClosed):
    """Files of a message that its conversation does not have. The client is told; nothing is closed."""

    def __init__(self, file_ids: Sequence[str]) -> None:
        reason = (
            f"The conversation has no file {', '.join(file_ids)}: upload files into it by POST "
            "/v1/convai/conversations/{id}/files. The rest of the message was taken."
        )
        super().__init__(CONTRACT, "value_error", reason, file_ids=[*file_ids])


class Refused(SocketClosed):
    """The client may not talk to the agent, or to this agent in this way."""

    def __init__(self, reason: str, error_type: str = "value_error") -> None:
        super().__init__(CONTRACT, error_type, reason)


class TooLarge(SocketClosed):
    """A frame beyond the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(TOO_LARGE, "invalid_message", f"The message is larger than {limit} bytes.")


class TooFast(SocketClosed):
    """More messages than a person or a microphone makes."""

    def __init__(self) -> None:
        super().__init__(CONTRACT, "invalid_message", "Too many messages in a short time.")


class TooSlow(SocketClosed):
    """The client does not read what it is sent."""

    def __init__(self) -> None:
        super().__init__(CONTRACT, "websocket_disconnect", "The client reads too slowly.")


class Silent(SocketClosed):
    """Nothing came from the person for too long."""

    def __init__(self, seconds: float) -> None:
        reason = f"No user input for {seconds:g} seconds. Send user_activity to keep a quiet conversation open."
        super().__init__(OPERATIONAL, "transport_receive_timeout", reason)


class Restarting(SocketClosed):
    """The server is about to leave."""

    def __init__(self) -> None:
        super().__init__(RESTART, "websocket_disconnect", "The server is restarting. Connect again.")


def short_reason(reason: str) -> str:
    """``reason`` as a close frame can carry it."""
    encoded = reason.encode()
    if len(encoded) <= MAX_REASON_BYTES:
        return reason
    return encoded[: MAX_REASON_BYTES - 3].decode(errors="ignore").rstrip() + "…"
