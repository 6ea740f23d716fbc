"""Meta's Calling API: the actions of a call, and what may be done with a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import orjson

from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_http import GraphHttp
from greenline.channels.whatsapp.graph_token import Token, TokenDied
from greenline.channels.whatsapp.inbound import UNKNOWN_TIME, read_timestamp
from greenline.settings import Settings

ACTION_SECONDS: Final = 8.0
"""A call that waits longer for Meta's word is one that the person has given up."""

CallAction: TypeAlias = Literal["pre_accept", "accept", "reject", "terminate"]


@dataclass(frozen=True, slots=True)
class CallPermission:
    """What Meta lets a business do with a person. ``why_not`` tells which limit is used up, where one is.

    Who has ``granted`` to be called need not be asked, and may not be called once the limit of calls is used up.
    """

    may_call: bool
    may_ask: bool
    granted: bool
    why_not: str = ""


class GraphCalls:
    """The calls of a number. Each method raises `GraphError`."""

    def __init__(self, settings: Settings, token_died: TokenDied | None = None) -> None:
        self._url = f"{settings.graph_url.rstrip('/')}/{settings.graph_version.strip('/')}"
        self._http = GraphHttp(min(settings.graph_timeout_seconds, ACTION_SECONDS), token_died)

    async def aclose(self) -> None:
        """Close the kept connections."""
        await self._http.aclose()

    async def act(
        self, phone_number_id: str, token: Token, action: CallAction, call_id: str, sdp: str | None = None
    ) -> None:
        """Carry out an action on a call that exists; ``sdp`` is our answer."""
        body: dict[str, Any] = {"action": action, "call_id": call_id}
        if sdp is not None:
            body["session"] = {"sdp_type": "answer", "sdp": sdp}
        await self._post(phone_number_id, token, body)

    async def connect(
        self, phone_number_id: str, token: Token, *, wa_id: str | None, bsuid: str | None, sdp: str, callback: str
    ) -> str:
        """Call a person with our offer; returns Meta's id of the call. ``callback`` comes back in its webhooks."""
        whom = {"to": f"+{wa_id}"} if wa_id else {"recipient": bsuid}
        session = {"sdp_type": "offer", "sdp": sdp}
        body = {"action": "connect", **whom, "session": session, "biz_opaque_callback_data": callback}
        answer = await self._post(phone_number_id, token, body)
        calls = answer.get("calls")
        call = calls[0] if isinstance(calls, list) and calls else None
        wacid = call.get("id") if isinstance(call, dict) else None
        if not isinstance(wacid, str) or not wacid:
            raise GraphError("Meta's answer names no call", outcome=Outcome.UNKNOWN, http_status=200)
        return wacid

    async def permission(
        self, phone_number_id: str, token: Token, *, wa_id: str | None, bsuid: str | None
    ) -> CallPermission:
        """Whether a person may be called, or asked."""
        whom = {"user_wa_id": wa_id} if wa_id else {"recipient": bsuid or ""}
        url = f"{self._url}/{quote(phone_number_id, safe='')}/call_permissions"
        answer = await self._http.call("GET", url, token=token, params=whom)
        return read_permission(answer)

    async def _post(self, phone_number_id: str, token: Token, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._url}/{quote(phone_number_id, safe='')}/calls"
        content = orjson.dumps({"messaging_product": "whatsapp", **body})
        return await self._http.call("POST", url, token=token, body=content)


def read_permission(answer: dict[str, Any]) -> CallPermission:
    """From Meta's ``permission`` and ``actions``; what is not said is not allowed."""
    permission = _object(answer.get("permission"))
    actions = answer.get("actions")
    by_name = {
        str(action.get("action_name")): action
        for action in (actions if isinstance(actions, list) else [])
        if isinstance(action, dict)
    }
    call, ask = by_name.get("start_call", {}), by_name.get("send_call_permission_request", {})
    granted = permission.get("status") in ("temporary", "permanent")
    return CallPermission(
        may_call=granted and call.get("can_perform_action") is True,
        may_ask=not granted and ask.get("can_perform_action") is True,
        granted=granted,
        why_not=_used_up("calls to this person", call) if granted else _used_up("call permission requests", ask),
    )


def _used_up(what: str, action: dict[str, Any]) -> str:
    if action.get("can_perform_action") is True:
        return ""
    limits = action.get("limits")
    for limit in limits if isinstance(limits, list) else []:
        if isinstance(limit, dict) and _number(limit.get("current_usage")) >= _number(limit.get("max_allowed")):
            until = read_timestamp(limit.get("limit_expiration_time"))
            when = "" if until == UNKNOWN_TIME else f" until {until.isoformat()}"
            return (
                f"Meta's limit of {limit.get('max_allowed')} {what} in {limit.get('time_period')} is used up{when}."
            )
    return f"Meta allows no {what} now."


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
