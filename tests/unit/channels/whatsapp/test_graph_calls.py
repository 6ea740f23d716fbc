from __future__ import annotations

import json
from typing import Any

import pytest

from greenline.channels.whatsapp.graph_calls import CallPermission, GraphCalls, read_permission
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.settings import Settings
from support.calling import permitted
from support.graph_stand_in import meta_error
from support.scripted import Answer, Request, ScriptedServer, answer, scripted


async def asked(reply: Answer, method: str, *given: Any, **named: Any) -> tuple[Any, ScriptedServer]:
    """What a method of the client gives, and the server that it asked."""
    async with scripted(lambda request: reply) as server:
        client = GraphCalls(Settings(graph_url=server.url))
        try:
            return await getattr(client, method)("100", "EAAtoken", *given, **named), server
        finally:
            await client.aclose()


def only(server: ScriptedServer) -> Request:
    (request,) = server.requests
    assert request.headers["authorization"] == "Bearer EAAtoken"
    return request


async def test_an_answer_carries_its_description() -> None:
    _, server = await asked(answer({"success": True}), "act", "pre_accept", "wacid.1", "v=0\r\n")
    request = only(server)
    assert (request.method, request.target) == ("POST", "/v23.0/100/calls")
    assert request.json == {
        "messaging_product": "whatsapp",
        "action": "pre_accept",
        "call_id": "wacid.1",
        "session": {"sdp_type": "answer", "sdp": "v=0\r\n"},
    }


async def test_an_end_carries_none() -> None:
    _, server = await asked(answer({"success": True}), "act", "terminate", "wacid.1")
    assert only(server).json == {"messaging_product": "whatsapp", "action": "terminate", "call_id": "wacid.1"}


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ({"wa_id": "15551230000", "bsuid": "US.1"}, {"to": "+15551230000"}),
        ({"wa_id": None, "bsuid": "US.1"}, {"recipient": "US.1"}),
    ],
)
async def test_a_call_names_the_person(ids: dict[str, Any], named: dict[str, str]) -> None:
    reply = answer({"calls": [{"id": "wacid.9"}]})
    wacid, server = await asked(reply, "connect", **ids, sdp="v=0", callback="call_1")
    assert wacid == "wacid.9"
    body = only(server).json
    assert {key: body[key] for key in named} == named
    assert body["biz_opaque_callback_data"] == "call_1"
    assert body["session"]["sdp_type"] == "offer"


@pytest.mark.parametrize("body", [{}, {"calls": []}, {"calls": [{}]}, {"calls": {"id": "x"}}, {"calls": [{"id": 5}]}])
async def test_an_answer_without_a_call_leaves_the_outcome_open(body: dict[str, Any]) -> None:
    with pytest.raises(GraphError) as caught:
        await asked(answer(body), "connect", wa_id="1", bsuid=None, sdp="v=0", callback="x")
    assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [(138006, 401, Outcome.PERMANENT), (138002, 429, Outcome.REFUSED), (138004, 500, Outcome.UNKNOWN)],
)
async def test_refusals_say_what_became_of_the_call(code: int, status: int, outcome: Outcome) -> None:
    with pytest.raises(GraphError) as caught:
        await asked(meta_error(code, status), "act", "accept", "wacid.1", "v=0")
    assert (caught.value.code, caught.value.outcome, caught.value.token_dead) == (code, outcome, False)


async def test_the_permission_is_asked_for_by_either_id() -> None:
    known, server = await asked(answer(permitted("temporary")), "permission", wa_id=None, bsuid="US.1")
    assert only(server).target == "/v23.0/100/call_permissions?recipient=US.1"
    assert known.may_call


@pytest.mark.parametrize(
    ("said", "may_call", "may_ask"),
    [
        (permitted("temporary"), True, False),
        (permitted("permanent"), True, False),
        (permitted("permanent", call=False), False, False),
        (permitted("no_permission"), False, True),
        (permitted("no_permission", ask=False), False, False),
        (permitted("granted"), False, True),
        ({}, False, False),
        ({"permission": "temporary", "actions": "all"}, False, False),
        ({"permission": {"status": "temporary"}, "actions": [None, {"action_name": "start_call"}]}, False, False),
    ],
)
def test_what_meta_does_not_allow_is_not_done(said: dict[str, Any], may_call: bool, may_ask: bool) -> None:
    known = read_permission(json.loads(json.dumps(said)))
    assert (known.may_call, known.may_ask) == (may_call, may_ask)


def test_a_used_up_limit_is_named_with_its_end() -> None:
    said = permitted("temporary", call=False)
    said["actions"][1]["limits"] = [
        {"time_period": "PT24H", "max_allowed": 100, "current_usage": 100, "limit_expiration_time": 1790100000}
    ]
    assert read_permission(said) == CallPermission(
        may_call=False,
        may_ask=False,
        granted=True,
        why_not="Meta's limit of 100 calls to this person in PT24H is used up until 2026-09-22T18:00:00+00:00.",
    )
