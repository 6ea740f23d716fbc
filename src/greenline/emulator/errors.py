"""Errors of the Graph API: the envelope, and the table of codes with title and HTTP status (Meta: Error codes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from greenline.emulator import ids


@dataclass(frozen=True, slots=True)
class Code:
    """What Meta's table says of a code. ``type`` is the envelope's."""

    status: int
    title: str
    type: str = "OAuthException"


CODES: Final[dict[int, Code]] = {
    0: Code(401, "AuthException"),
    1: Code(400, "API Unknown"),
    2: Code(503, "API Service"),
    3: Code(500, "API Method"),
    4: Code(400, "API Too Many Calls"),
    10: Code(403, "Permission Denied"),
    33: Code(400, "Parameter value is not valid"),
    100: Code(400, "Invalid parameter"),
    104: Code(401, "An access token is required to request this resource."),
    190: Code(401, "Access token has expired"),
    200: Code(403, "Permissions error"),
    368: Code(403, "Temporarily blocked for policies violations"),
    80007: Code(400, "Rate limit issues"),
    130403: Code(400, "User is blocked"),
    130429: Code(400, "Rate limit hit"),
    130472: Code(400, "User's number is part of an experiment"),
    130497: Code(403, "Business account is restricted from messaging users in this country"),
    131000: Code(500, "Something went wrong"),
    131005: Code(403, "Access denied"),
    131008: Code(400, "Required parameter is missing"),
    131009: Code(400, "Parameter value is not valid"),
    131016: Code(500, "Service unavailable"),
    131021: Code(400, "Recipient cannot be sender"),
    131026: Code(400, "Message undeliverable"),
    131030: Code(400, "Recipient phone number not in allowed list"),
    131031: Code(403, "Account has been locked"),
    131037: Code(400, "WhatsApp provided number needs display name approval before message can be sent."),
    131042: Code(400, "Business eligibility payment issue"),
    131044: Code(400, "Business eligibility payment issue"),
    131045: Code(500, "Incorrect certificate"),
    131047: Code(400, "Re-engagement message"),
    131048: Code(400, "Spam rate limit hit"),
    131049: Code(
        400, "This message was not delivered to maintain healthy ecosystem engagement."
    ),
    131050: Code(400, "User has stopped marketing messages"),
    131051: Code(400, "Unsupported message type"),
    131052: Code(400, "Media download error"),
    131053: Code(400, "Media upload error"),
    131055: Code(400, "Method not allowed"),
    131056: Code(400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: Code(500, "Account in maintenance mode"),
    131062: Code(400, "Business-scoped user id is not supported here"),
    131063: Code(400, "API not allowed for marketing messages"),
    131064: Code(400, "Template category misuse"),
    132000: Code(400, "Template Param Count Mismatch"),
    132001: Code(404, "Template does not exist"),
    132005: Code(400, "Template Hydrated Text Too Long"),
    132007: Code(400, "Template Format Character Policy Violated"),
    132012: Code(400, "Template Parameter Format Mismatch"),
    132015: Code(400, "Template is Paused"),
    132016: Code(400, "Template is Disabled"),
    132018: Code(400, "Template parameter is not valid"),
    132068: Code(400, "Flow is in blocked state"),
    132069: Code(400, "Flow is in throttled state"),
    133000: Code(500, "Incomplete Deregistration"),
    133004: Code(503, "Server Temporarily Unavailable"),
    133005: Code(400, "Two step verification PIN Mismatch"),
    133006: Code(400, "Phone number re-verification needed"),
    133008: Code(400, "Too Many two step verification PIN Guesses"),
    133009: Code(400, "Two step verification PIN Guessed Too Fast"),
    133010: Code(400, "Phone number Not Registered"),
    133015: Code(400, "Please wait a few minutes before attempting to register this phone number"),
    133016: Code(400, "Account register/deregister rate limit exceeded"),
    134101: Code(400, "Template is syncing"),
    135000: Code(400, "Generic user error"),
    136024: Code(400, "Request code error"),
    137000: Code(400, "Recipient identity changed"),
    139100: Code(400, "Failed to block some users"),
    139101: Code(400, "Block list limit reached"),
    139102: Code(400, "Block list concurrent update"),
    139103: Code(400, "Block list internal error"),
    2388023: Code(400, "Message template language is being deleted"),
    2388024: Code(400, "Content in this language already exists"),
    2388039: Code(400, "Message template components are not valid"),
    2388043: Code(400, "Message template format is not valid"),
    2494100: Code(503, "Phone number is in maintenance"),
}

UNREACHABLE: Final = 131026
UNKNOWN_OBJECT: Final = 33
"""Subcode of code 100 for an object or an edge that does not exist, or that the token may not see."""
EXPIRED: Final = 463
"""Subcode of code 190."""
INVALID: Final = 467
"""Subcode of code 190."""


class GraphError(Exception):
    """A refusal of the Graph API. ``details`` is what helps; unknown codes are answered with 400."""

    def __init__(
        self,
        code: int,
        details: str | None = None,
        *,
        subcode: int | None = None,
        status: int | None = None,
        message: str | None = None,
        type: str | None = None,  # noqa: A002 - the envelope's name
    ) -> None:
        known = CODES.get(code, Code(400, "Unknown error"))
        super().__init__(details or message or known.title)
        self.code = code
        self.details = details
        self.subcode = subcode
        self.status = status or known.status
        self.message = message or f"(#{code}) {known.title}"
        self.type = type or known.type

    def body(self) -> dict[str, Any]:
        """The envelope."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        error["fbtrace_id"] = ids.trace_id()
        return {"error": error}


def unknown_object(object_id: str, method: str = "get") -> GraphError:
    """The refusal of a node that does not exist or that the token may not see (code 100, subcode 33)."""
    return GraphError(
        100,
        subcode=UNKNOWN_OBJECT,
        type="GraphMethodException",
        message=f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be loaded "
        "due to missing permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
    )


def status_error(code: int, details: str) -> dict[str, Any]:
    """An item of ``errors`` in a status webhook or an inbound message."""
    title = CODES[code].title if code in CODES else "Unknown error"
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }
