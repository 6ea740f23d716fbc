"""The errors that people and clients meet.

Every error is a class with an HTTP status and a machine code. The first paragraph of the class docstring
is the default message, written for the person who meets it: what happened and what to do next. On the wire
an error is ``{"detail": {"status": <code>, "message": <text>}}`` (reference API, "Errors").
"""

from __future__ import annotations

import inspect
import traceback
from typing import Any, ClassVar


class GreenlineError(Exception):
    """Something went wrong inside the server. Look at its log for the line with the same request id."""

    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, **extra: Any) -> None:
        """``message`` replaces the class's own; ``extra`` is added to the ``detail`` object for clients."""
        self.message = message or inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0].replace("\n", " ")
        self.extra = extra
        super().__init__(self.message)

    def detail(self) -> dict[str, Any]:
        """The ``detail`` object of the HTTP answer."""
        return {"status": self.code, "message": self.message, **self.extra}


class NeedsAuthorization(GreenlineError):
    """Neither authorization header nor xi-api-key received, please provide one."""

    http_status = 401
    code = "needs_authorization"


class InvalidApiKey(GreenlineError):
    """The API key is not known or was revoked. Make one with `greenline key create`."""

    http_status = 401
    code = "invalid_api_key"


class BadRequest(GreenlineError):
    """The request can't be carried out as it is."""

    http_status = 400
    code = "bad_request"


class Forbidden(GreenlineError):
    """This key may not do that."""

    http_status = 403
    code = "forbidden"


class NotFound(GreenlineError):
    """Nothing with this id is in the workspace of the API key."""

    http_status = 404
    code = "not_found"


class Conflict(GreenlineError):
    """The request conflicts with what is there."""

    http_status = 409
    code = "conflict"


class Unavailable(GreenlineError):
    """The server is busy or starting. Try again in a moment."""

    http_status = 503
    code = "system_busy"


class ConfigurationError(GreenlineError):
    """A setting is missing or wrong. `greenline doctor` tells which."""

    code = "configuration_error"


def where(error: BaseException) -> str:
    """What was raised, and the last place of this package on its way: nothing of what it says, or holds."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == __name__.partition(".")[0]:
            place = f" in {module}, line {line}"
    return f"{type(error).__name__}{place}"
