"""Whether a business may call a person (Meta: Call permissions). One for each person and number."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, Literal, TypeAlias

from greenline.emulator.errors import MetaError

DAY: Final = 86_400.0
TEMPORARY: Final = 7 * DAY
REQUEST_SECONDS: Final = 7 * DAY
CONNECTED_A_DAY: Final = 100

Fate: TypeAlias = Literal["kept", "questioned", "withdrawn"]
"""What becomes of a permission."""


@dataclass(frozen=True)
class Limits:
    """Of a number with one person. ``requests``: seconds, how many in them, and how Meta writes the time."""

    requests: tuple[tuple[float, int, str], ...] = ((DAY, 1, "PT24H"), (7 * DAY, 2, "P7D"))
    questioned: int = 2
    """Calls in a row that nobody took, after which the person is asked whether the business may go on."""
    unanswered: int = 4
    """Those after which the permission is withdrawn."""


TEST_NUMBER: Final = Limits(((DAY, 25, "PT24H"), (7 * DAY, 100, "P7D")), questioned=5, unanswered=10)


class Unanswerable(Exception):
    """The answer to a request that a newer one replaced or that is too old, or an answer that can't be read."""


@dataclass
class Permission:
    """The state of one pair; moments by the emulator's clock, in seconds."""

    limits: Limits = Limits()
    permanent: bool = False
    until: float = 0.0
    requests: list[float] = field(default_factory=list)
    request_id: str = ""
    """The last request; a newer one replaces it."""
    request_until: float = inf
    """Until when it can be answered, and the answer changed: a week after its delivery, then after the answer."""
    connected: list[float] = field(default_factory=list)
    unanswered: int = 0

    def status(self, now: float) -> str:
        """``no_permission``, ``temporary`` or ``permanent``."""
        if self.permanent:
            return "permanent"
        return "temporary" if self.until > now else "no_permission"

    def request(self, now: float, wamid: str) -> None:
        """The business asks by a message. Raises `MetaError` 138009 or 138017."""
        if self.permanent:
            raise MetaError(138017, "The person has given a permanent permission already.")
        for seconds, most, _ in self.limits.requests:
            if sum(moment > now - seconds for moment in self.requests) >= most:
                raise MetaError(138009, "The limit of permission requests to this person is reached.")
        self.requests.append(now)
        self.request_id, self.request_until = wamid, inf

    def delivered(self, now: float, wamid: str) -> None:
        """The request reached the phone."""
        if wamid == self.request_id:
            self.request_until = now + REQUEST_SECONDS

    def answer(self, reply: dict[str, Any], now: float, wamid: str | None = None) -> None:
        """The person answers the request ``wamid``, or (None) changes the permission in the business's profile.

        Raises `Unanswerable`.
        """
        try:
            until = float(reply.get("expiration_timestamp") or now + TEMPORARY)
        except (TypeError, ValueError) as error:
            raise Unanswerable("expiration_timestamp is no moment.") from error
        if wamid is not None:
            if wamid != self.request_id or now >= self.request_until:
                raise Unanswerable("This request to call has expired.")
            self.request_until = now + REQUEST_SECONDS
        if reply.get("response") != "accept":
            self.permanent, self.until = False, 0.0
        elif reply.get("is_permanent"):
            self.permanent = True
        else:
            self.until = until

    def may_call(self, now: float) -> None:
        """Raises `MetaError` 138006 or 138012."""
        if self.status(now) == "no_permission":
            raise MetaError(138006, "The person has not permitted calls of this business.", status=401)
        recent = [moment for moment in self.connected if moment > now - DAY]
        if len(recent) >= CONNECTED_A_DAY:
            again = int(recent[-CONNECTED_A_DAY] + DAY)
            raise MetaError(138012, f"{CONNECTED_A_DAY} calls to this person in 24 hours; the next from {again} on.")

    def ended(self, now: float, *, connected: bool) -> Fate:
        """A call of the business is over: what that does to the permission."""
        if connected:
            self.connected = [*(moment for moment in self.connected if moment > now - DAY), now]
            self.talked()
            self.unanswered = 0
            return "kept"
        self.unanswered += 1
        if self.unanswered < self.limits.unanswered:
            is_asked = self.unanswered == self.limits.questioned and self.status(now) != "no_permission"
            return "questioned" if is_asked else "kept"
        self.permanent, self.until, self.unanswered = False, 0.0, 0
        return "withdrawn"

    def talked(self) -> None:
        """A call was connected, whoever began it: the limits on requests begin anew."""
        self.requests.clear()

    def shown(self, now: float) -> dict[str, Any]:
        """As ``GET /call_permissions`` answers."""
        status = self.status(now)
        permission: dict[str, Any] = {"status": status}
        if status == "temporary":
            permission["expiration_time"] = int(self.until)
        asked = [_limit(self.requests, now, *rule) for rule in self.limits.requests]
        called = _limit(self.connected, now, DAY, CONNECTED_A_DAY, "PT24H")
        may_ask = not self.permanent and not any("limit_expiration_time" in limit for limit in asked)
        may_call = status != "no_permission" and "limit_expiration_time" not in called
        return {
            "messaging_product": "whatsapp",
            "permission": permission,
            "actions": [
                {"action_name": "send_call_permission_request", "can_perform_action": may_ask, "limits": asked},
                {"action_name": "start_call", "can_perform_action": may_call, "limits": [called]},
            ],
        }


def _limit(moments: list[float], now: float, seconds: float, most: int, period: str) -> dict[str, Any]:
    """How far a limit is used up; ``limit_expiration_time`` when it is."""
    recent = [moment for moment in moments if moment > now - seconds]
    limit: dict[str, Any] = {"time_period": period, "max_allowed": most, "current_usage": len(recent)}
    if len(recent) >= most:
        limit["limit_expiration_time"] = int(recent[-most] + seconds)
    return limit
