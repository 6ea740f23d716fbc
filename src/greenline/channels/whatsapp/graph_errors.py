"""What an error of the Graph API means: may the request be repeated, is the token dead, what should one do.

The table follows Meta's "Error codes". Decisions look at the code, never at the message, and at the HTTP status
only where the code is not known.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from typing import Any, Final

import orjson

from greenline.text import clean_text


class Outcome(Enum):
    """What became of a request that ended in an error."""

    REFUSED = "refused"
    """Not processed: it may be repeated after a delay."""
    UNKNOWN = "unknown"
    """It may have been processed: only a status can tell."""
    PERMANENT = "permanent"
    """Not processed, and it never will be as it is."""


_REFUSED: Final = frozenset({4, 80007, 130429, 131056, 133015, 134101})
_UNKNOWN: Final = frozenset({1, 2, 131000, 131016, 131057, 133004, 2494100})
_OF_ONE_MESSAGE: Final = frozenset({1, 131000})
"""Of the unknown ones, those that Meta may give to one message for ever; the others mean that Meta is away."""
PASSING: Final = frozenset(_REFUSED | _UNKNOWN - {1})
"""What a message that was accepted may fail with though nothing is wrong with it (Meta: Error codes)."""
_PERMANENT_5XX: Final = frozenset({3, 131045, 133000})
"""Answered with a 5xx, and yet never processed."""

_FIRST_DELAY: Final = {
    4: 60.0,
    10: 60.0,
    80007: 60.0,
    130429: 1.0,
    133015: 300.0,
    134101: 600.0,
    2: 15.0,
    131000: 15.0,
    131016: 15.0,
    131057: 60.0,
    133004: 60.0,
    2494100: 60.0,
}
"""Seconds before the first repetition (Meta: "Error codes", "Rate limits"); it doubles from there."""
_LONGEST_DELAY: Final = 3600.0
"""Of what is slow to pass, as the first delay shows."""
LONGEST_OUTAGE_DELAY: Final = 120.0
"""Of everything else: when Meta is back, people wait no longer than this."""

_TOKEN: Final = re.compile(r"\bEAA\w+|(?<=access token )\S+")

ADVICE: Final[dict[int, str]] = {
    4: "The app has made too many calls to Meta. Wait; the server tries again by itself.",
    190: "The access token expired or was revoked. Import the number again with a new token.",
    0: "Meta does not accept the access token. Import the number again with a new token.",
    10: "The token lacks a permission. Give it whatsapp_business_messaging and whatsapp_business_management.",
    33: "The number does not exist at Meta any more, or its id is wrong.",
    100: "A parameter of the request is wrong; Meta's details name it.",
    368: "Meta has restricted the business account. See the account's status in WhatsApp Manager.",
    613: "Meta is asked for permissions to call faster than it answers. The server asks again by itself.",
    80007: "The business account has made too many calls to Meta. Wait; the server tries again by itself.",
    130429: "The number sends faster than Meta allows. The server tries again by itself.",
    130472: "The person is in one of Meta's experiments and gets no marketing messages. Nothing can be done.",
    130497: "The business may not message people in that country. Ask Meta's support.",
    131021: "A number can't send to itself.",
    131026: "The message can't be delivered: no WhatsApp on this number, an old app, or terms not accepted.",
    131030: "A test number sends only to the recipients on its list. Add the recipient in the app dashboard.",
    131031: "Meta has locked the business account. See the account's status in WhatsApp Manager.",
    131037: "The display name is not approved. Finish its approval in WhatsApp Manager.",
    131042: "There is a payment problem on the business account. Fix its payment method in WhatsApp Manager.",
    131044: "Calls of the business need a payment method on the business account. Add one in WhatsApp Manager.",
    131047: "More than 24 hours have passed since the person wrote. Send a template.",
    131048: "Meta limits the number because people block or report it. Send less; see its quality.",
    131049: "Meta limits marketing messages to this person. Wait a day, or use a utility template.",
    131050: "The person has stopped marketing messages of the business. Send no more of them.",
    131051: "Meta does not send messages of this type. What a voice note says is sent as text.",
    131052: "Meta can't read the file, or it is too large. What a voice note says is sent as text.",
    131053: "Meta refused the file for its type or content. What a voice note says is sent as text.",
    131055: "The number takes its calls over SIP. Switch SIP off in its calling settings.",
    131056: "Too many messages to this person. Slow down; the server tries again by itself.",
    132000: "Send exactly the parameters that the template defines.",
    132001: "No approved template has this name and language. Check both in WhatsApp Manager.",
    132005: "The template's text is too long once its parameters are filled in.",
    132012: "A parameter has another type than the template defines.",
    132015: "Meta paused the template for low quality. Improve it, or wait.",
    132016: "Meta disabled the template for low quality. Make a new one.",
    132018: "A text for the template has a line break, a tab or more than 4 spaces in a row, or a button is wrong.",
    133010: "The number is not registered with the Cloud API. Register it with its PIN.",
    138000: "Calling is not enabled for the number. Switch it on in WhatsApp Manager.",
    138001: "The person can't be called: no WhatsApp on this number, or an old app.",
    138002: "The number has as many calls as Meta allows at once. Call later.",
    138003: "The person is in another call with the business. The server tries again by itself.",
    138005: "The number has made as many calls as Meta allows in a day. Call tomorrow.",
    138006: "The person has not allowed calls, or no longer. The server asks them.",
    138007: "The connection was not set up in time. Look at the server's load.",
    138009: "The person was asked for permission as often as Meta allows. Wait a day, or until they call.",
    138012: "The person was called as often as Meta allows in a day. Meta's details say when to go on.",
    138013: "Meta does not offer calls of the business for the country of this number.",
    138014: "Meta has suspended calls of the number for low quality. See its status in WhatsApp Manager.",
    138015: "The number's messaging limit is below 2,000: Meta lets it make no calls yet.",
    138017: "The person has allowed calls for good: nobody need be asked.",
    138018: "The app does not get the webhook field calls. Subscribe to it in the app dashboard.",
    138021: "Nothing of ours was heard at the relay. Open outbound UDP.",
}
"""What an operator can do, by Meta's code."""


def decide(code: int | None, http_status: int | None) -> Outcome:
    """The outcome of a request that Meta answered with an error."""
    if code in _REFUSED:
        return Outcome.REFUSED
    if code in _UNKNOWN:
        return Outcome.UNKNOWN
    if code in _PERMANENT_5XX:
        return Outcome.PERMANENT
    if http_status == 429:
        return Outcome.REFUSED
    if http_status is None or http_status >= 500 or http_status == 408:
        return Outcome.UNKNOWN
    return Outcome.PERMANENT


def is_token_dead(code: int | None, http_status: int | None) -> bool:
    """Whether the token can't be used for anything any more."""
    return http_status == 401 if code is None else code in (0, 190)


class GraphError(Exception):
    """A call of the Graph API failed. ``code`` is Meta's; None when no answer of Meta could be read."""

    def __init__(
        self,
        title: str,
        *,
        outcome: Outcome,
        code: int | None = None,
        http_status: int | None = None,
        subcode: int | None = None,
        details: str | None = None,
        fbtrace_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """``retry_after`` is in seconds, from the header ``Retry-After``."""
        self.title = title
        self.outcome = outcome
        self.code = code
        self.http_status = http_status
        self.subcode = subcode
        self.details = details
        self.fbtrace_id = fbtrace_id
        self.retry_after = retry_after
        super().__init__(f"{title}: {details}" if details and details != title else title)

    @property
    def token_dead(self) -> bool:
        """Whether the token can't be used for anything any more."""
        return is_token_dead(self.code, self.http_status)

    @property
    def token_expired(self) -> bool:
        """Whether Meta itself says that the token is dead: a 401 without a code may be a proxy's."""
        return self.code in (0, 190)

    @property
    def lacks_permission(self) -> bool:
        """Whether the token lacks a permission, or not any more: it may get it back."""
        return self.code is not None and (self.code == 10 or 200 <= self.code <= 299)

    @property
    def may_last(self) -> bool:
        """Whether the message itself may be the cause: then it is not tried for ever."""
        return self.code in _OF_ONE_MESSAGE

    @property
    def is_lost(self) -> bool:
        """Whether nothing came that Meta itself has said: the message may have arrived."""
        return self.code is None

    @property
    def advice(self) -> str | None:
        """What an operator can do, where that is known."""
        if self.code is None:
            return None
        return ADVICE[10] if self.lacks_permission else ADVICE.get(self.code)

    def retry_delay(self, attempt: int) -> timedelta:
        """How long to wait before the repetition number ``attempt`` (from 0)."""
        code = 10 if self.lacks_permission else self.code
        return timedelta(seconds=max(retry_seconds(code, attempt), self.retry_after or 0.0))


def retry_seconds(code: int | None, attempt: int) -> float:
    """How long to wait before the repetition number ``attempt`` (from 0) of what Meta refused with ``code``."""
    if code == 131056:  # Meta: pair rate limit, retry after 4^X seconds
        return float(min(4.0 ** min(attempt, 6), _LONGEST_DELAY))
    first = _FIRST_DELAY.get(code or -1, 1.0)
    return float(min(first * 2.0 ** min(attempt, 12), _LONGEST_DELAY if first > 1 else LONGEST_OUTAGE_DELAY))


def unreachable(reason: BaseException) -> GraphError:
    """The error of a request that never left: no connection could be made."""
    return GraphError("Meta can't be reached", outcome=Outcome.REFUSED, details=_named(reason))


def unanswered(reason: BaseException) -> GraphError:
    """The error of a request that may have arrived, and whose answer did not."""
    return GraphError("Meta did not answer", outcome=Outcome.UNKNOWN, details=_named(reason))


def read_error(http_status: int, body: bytes, retry_after: str | None = None) -> GraphError:
    """The error of an answer. Bodies that are not Meta's (of a proxy, cut off) are judged by the status alone."""
    error = _error_object(body)
    code = error.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    return GraphError(
        _text(error.get("message")) or f"HTTP {http_status} without an explanation",
        outcome=decide(code, http_status),
        code=code,
        http_status=http_status,
        subcode=error["error_subcode"] if isinstance(error.get("error_subcode"), int) else None,
        details=_text(details) or _text(error.get("error_user_msg")),
        fbtrace_id=_text(error.get("fbtrace_id")),
        retry_after=float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None,
    )


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _text(value: object) -> str | None:
    """What Meta says, without the token that it quotes when it can't read it ("Malformed access token ...")."""
    return _TOKEN.sub("[token]", clean_text(value)) if isinstance(value, str) and value else None


def _named(reason: BaseException) -> str:
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
