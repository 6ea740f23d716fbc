"""Errors of a start as the socket tells them (reference: Errors of the socket)."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from greenline.agents.overrides import OverrideNotAllowed
from greenline.agents.variables import MissingVariables
from greenline.channels.socket.errors import CONTRACT, OPERATIONAL, SocketClosed
from greenline.errors import GreenlineError

_SERVER_FAULT: Final = 500


def refusal(error: GreenlineError) -> SocketClosed:
    """The close for an error of the house."""
    if isinstance(error, MissingVariables):
        return SocketClosed(CONTRACT, "missing_dynamic_variable", _missing(error), variables=[*error.names])
    if isinstance(error, OverrideNotAllowed):
        return SocketClosed(CONTRACT, "override_error", error.message)
    if error.http_status >= _SERVER_FAULT:
        return SocketClosed(OPERATIONAL, "http_exception", error.message)
    return SocketClosed(CONTRACT, "value_error", error.message, status=error.code)


def bad_start(error: ValidationError) -> SocketClosed:
    """The close for start data of a wrong shape."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return SocketClosed(CONTRACT, "invalid_message", f"conversation_initiation_client_data: {place}: {first['msg']}.")


def _missing(error: MissingVariables) -> str:
    """In the reference's words, which clients of it look for."""
    names = "{" + ", ".join(f"'{name}'" for name in error.names) + "}"
    return f"Missing required dynamic variables in {error.place}: {names}"
