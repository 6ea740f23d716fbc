"""What went wrong with an MCP server, in our words: those of others may hold an address, or what was sent."""

from __future__ import annotations

from typing import Final

import httpx2

from greenline.tools.guard import AnswerTooLarge, OutboundRefused
from greenline.tools.mcp.endpoint import Endpoint
from greenline.tools.mcp.exchange import MAX_BYTES, Exchange

BUSY: Final = "Too many other calls wait for MCP servers."
_STAND_INS: Final = frozenset({"Not Found", "Session terminated", "Server returned an error response"})
"""What the SDK says, as if the server had, of a refusal by HTTP that holds no error of the protocol."""


class McpFailure(Exception):
    """A server could not be asked, or what it said can't be used. The text holds no secret.

    ``sent``: the call may have run all the same. ``kind`` is the ``error_type`` of the transcript.
    """

    def __init__(self, kind: str, reason: str, *, sent: bool = False) -> None:
        self.kind = kind
        self.reason = reason
        self.sent = sent
        super().__init__(reason)

    @property
    def is_away(self) -> bool:
        """Whether the server, and not this one call, is in trouble."""
        return self.kind in ("mcp_unreachable", "mcp_refused")


def failure_of(error: Exception, endpoint: Endpoint, exchange: Exchange, seconds: float, *, sent: bool) -> McpFailure:
    """``error`` in our words: those of a library may hold the address, those of the server what it was sent."""
    cause = exchange.fault or _innermost(error)
    told = endpoint.discreet(str(cause))
    match cause:
        case OutboundRefused():
            return McpFailure("mcp_refused", told, sent=False)
        case AnswerTooLarge():
            return McpFailure("mcp_too_large", f"It answered with more than {MAX_BYTES:,} bytes.", sent=sent)
        case httpx2.PoolTimeout():
            return McpFailure("mcp_busy", BUSY, sent=False)
        case TimeoutError() | httpx2.ReadTimeout():
            return McpFailure("mcp_timeout", f"It did not answer in {seconds:.0f} seconds.", sent=sent)
        case httpx2.TimeoutException() | httpx2.ConnectError():
            return McpFailure("mcp_unreachable", "It can't be reached.", sent=sent)
        case httpx2.TransportError():
            return McpFailure("mcp_unreachable", "The connection to it broke.", sent=sent)
    return _protocol_failure(cause, told, exchange.status, seconds, sent=sent)


def _protocol_failure(
    cause: BaseException, told: str, status: int | None, seconds: float, *, sent: bool
) -> McpFailure:
    from mcp.shared.exceptions import MCPError
    from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

    own = isinstance(cause, MCPError) and cause.error.message not in _STAND_INS
    if status is not None and not own:
        return McpFailure("mcp_http_error", f"It answered HTTP {status}.", sent=sent)
    if not isinstance(cause, MCPError):
        return McpFailure("mcp_protocol_error", f"What it said is no MCP ({type(cause).__name__}).", sent=sent)
    if cause.code == REQUEST_TIMEOUT:
        return McpFailure("mcp_timeout", f"It did not answer in {seconds:.0f} seconds.", sent=sent)
    if cause.code == CONNECTION_CLOSED:
        return McpFailure("mcp_unreachable", "The connection to it broke.", sent=sent)
    return McpFailure("mcp_error", f"It answered with an error: {told}", sent=sent)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
