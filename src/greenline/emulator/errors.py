"""Meta's errors: the envelope, and the codes that the emulator answers with."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse

TITLES: Final[dict[int, tuple[int, str]]] = {
    1: (400, "Unknown error"),
    4: (400, "Application request limit reached"),
    10: (403, "Application does not have permission for this action"),
    33: (400, "Parameter value is not valid"),
    100: (400, "Invalid parameter"),
    190: (401, "Access token has expired"),
    200: (403, "Permissions error"),
    613: (429, "Rate limit exceeded"),
    80007: (400, "WhatsApp Business Account has reached its rate limit"),
    130429: (400, "Rate limit hit"),
    130403: (400, "User blocked"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131030: (400, "Recipient phone number not in allowed list"),
    131044: (400, "Business eligibility payment issue"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement"),
    131050: (400, "User has stopped marketing messages"),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131055: (400, "Method not allowed"),
    131056: (400, "Pair rate limit hit"),
    131057: (500, "Account in maintenance mode"),
    131062: (400, "Business-scoped user id not supported"),
    132000: (400, "Number of parameters does not match the expected number of params"),
    132001: (404, "Template name does not exist in the translation"),
    132005: (400, "Translated text too long"),
    132012: (400, "Parameter format does not match format in the created template"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    132018: (400, "There is an issue with the parameters of the template"),
    133005: (400, "Two step verification PIN mismatch"),
    133016: (400, "Account register deregister rate limit exceeded"),
    133010: (400, "Phone number not registered"),
    138000: (401, "Calling not enabled"),
    138001: (400, "Receiver uncallable"),
    138002: (429, "Concurrent calls limit hit"),
    138003: (400, "Duplicate call"),
    138004: (500, "Connection error"),
    138005: (429, "Call attempts limit hit"),
    138006: (401, "No approved call permission"),
    138007: (500, "Connection timeout"),
    138009: (400, "Call permission request limit hit"),
    138012: (400, "Business-initiated calls limit hit"),
    138013: (400, "Business-initiated calling not available"),
    138014: (400, "Calling suspended for low quality"),
    138015: (400, "Messaging limit too low for calling"),
    138017: (400, "Permanent permission exists"),
    138018: (400, "No subscription to calls"),
    138019: (400, "Client could not set the call up"),
    138020: (400, "Client could not reach the relay"),
    138021: (400, "Client received no media"),
    138022: (400, "Client sent no media"),
    138023: (400, "Accepted without media"),
    139100: (400, "Failed to block/unblock users"),
    139101: (400, "Blocklist limit reached"),
}
"""Code: HTTP status and title (Meta: Error codes)."""


class MetaError(Exception):
    """A refusal in Meta's envelope. ``details`` is the useful text; ``subcode`` only comes with token problems.

    ``title``: another one than the code's, for errors of Graph that WhatsApp's table does not list.
    ``beside`` is what stands in the answer beside the error, where a part of the call succeeded.
    """

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        status: int | None = None,
        subcode: int | None = None,
        kind: str = "",
        title: str = "",
        beside: dict[str, Any] | None = None,
    ) -> None:
        known_status, known_title = TITLES.get(code, (400, "Error"))
        self.title = title or known_title
        self.code = code
        self.details = details
        self.status = status or known_status
        self.subcode = subcode
        self.kind = kind or "OAuthException"
        self.beside = beside or {}
        super().__init__(f"(#{code}) {self.title}: {details}")

    def envelope(self, trace: str) -> dict[str, Any]:
        """The body of the HTTP answer."""
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self.title}",
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": trace,
        }
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {**self.beside, "error": error}

    def in_status(self) -> dict[str, Any]:
        """As it stands in a ``failed`` status."""
        return {
            "code": self.code,
            "title": self.title,
            "message": self.title,
            "error_data": {"details": self.details or self.title},
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        }

    def response(self, trace: str) -> JSONResponse:
        """The HTTP answer."""
        return JSONResponse(self.envelope(trace), self.status)


def unknown_object(object_id: str) -> MetaError:
    """Graph's answer to an id or edge that is not there."""
    return MetaError(
        100,
        f"Object with ID '{object_id}' does not exist, cannot be loaded due to missing permissions, or does not "
        "support this operation",
        status=400,
        subcode=33,
        kind="GraphMethodException",
    )
