"""Calls of the business: permission first, then the call, and every way in which it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from greenline.agents.initiation import InitiationData
from greenline.channels.orders import NotAnswered, Order, place
from greenline.channels.whatsapp.account_models import AccountNotFound
from greenline.channels.whatsapp.calls.outbound import CallsOff, CallUnderWay, NoTemplate, OutboundCall
from greenline.channels.whatsapp.calls.store import CallRow, CallStore
from greenline.channels.whatsapp.recipient import InvalidRecipient
from greenline.channels.whatsapp.template_models import TemplateNotFound, TemplateUnusable
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, CallCharged, CallEnded, CallPermission, Ended, Started
from greenline.settings import Settings
from greenline.store.mailbox import Claim
from greenline.store.pool import Pool
from support.calling import TEMPLATE, CallChannel, another_process, calling_channel, permitted
from support.graph_stand_in import meta_error
from support.rows import NUMBER, WORKSPACE
from support.rtc_peer import RtcPeer
from support.voice import voiced_seconds
from support.wait import eventually, until

ANN = "15551230000"
RESTRICTION = {"type": "RESTRICTED_BUSINESS_INITIATED_CALLING", "reason": "low quality", "expiration": 4_102_400_000}
"""Until 2099, as Meta tells of it with the calling settings."""


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[CallChannel]:
    fast = settings.model_copy(update={"call_drain_seconds": 0.0, "lease_seconds": 3.0, "call_prices": {"1": 0.6}})
    async with calling_channel(pool, dsn, clock, fast) as one:
        yield one


async def start(channel: CallChannel, **more: Any) -> str:
    """The business asks for a call to Ann; returns the id of the conversation."""
    values = {
        "phone_number_id": NUMBER,
        "user_id": ANN,
        "template_name": "may_we_call",
        "template_language": "en",
        "agent_id": channel.agent_id,
        "initiation": InitiationData(),
        **more,
    }
    return await channel.starter.start(WORKSPACE, OutboundCall(**values))


async def picked_up(channel: CallChannel) -> RtcPeer:
    """The person, who has picked up the phone and can be heard."""
    connect = await channel.connected()
    peer = RtcPeer()
    session = {"sdp_type": "answer", "sdp": await peer.answer(connect["session"]["sdp"], setup="active")}
    await channel.tell_call("connect", "wacid.OUT1", direction="BUSINESS_INITIATED", session=session)
    await channel.tell_status("ACCEPTED")
    await channel.phase("active")
    return peer


async def test_a_person_who_agreed_is_called_and_greeted_when_they_pick_up(channel: CallChannel) -> None:
    conversation_id = await start(channel)
    connect = await channel.connected()
    assert connect["to"] == f"+{ANN}"
    assert connect["session"]["sdp_type"] == "offer"
    assert connect["biz_opaque_callback_data"].startswith("call_")
    assert channel.meta.queries == [{"user_wa_id": [ANN]}]
    peer = RtcPeer()
    answer = await peer.answer(connect["session"]["sdp"], setup="active")
    session = {"sdp_type": "answer", "sdp": answer}
    await channel.tell_call("connect", "wacid.OUT1", direction="BUSINESS_INITIATED", session=session)
    await channel.tell_status("RINGING")
    await eventually(lambda: channel.agents.voices)
    voice = channel.agents.voices[0]
    assert voice.conversation_id == conversation_id
    assert not voice.running, "nobody has picked up"
    assert not peer.heard
    await channel.tell_status("ACCEPTED")
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) >= 0.46)
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=5)
    row = await channel.ended()
    await peer.close()
    assert (row["result"], row["talk_seconds"], row["permission_state"]) == ("answered", 5, None)
    journal = await channel.journal(conversation_id)
    assert CallEnded(result="answered", reason="The person hung up.") in journal
    assert [event for event in journal if isinstance(event, CallCharged)] == [CallCharged(seconds=5, price=0.06)]
    assert await prices(channel) == [0.06]


async def test_a_machine_that_picks_up_is_voicemail_and_paid_for(channel: CallChannel) -> None:
    conversation_id = await start(channel)
    peer = await picked_up(channel)
    voice = channel.agents.voices[0]
    voice.met_voicemail = True
    voice.end("voicemail_detection tool was called: a beep")
    await channel.meta.action("terminate")
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=5)
    await channel.ended()
    await until(lambda: measured(channel, 5))
    await channel.quiet()
    await peer.close()
    assert (await channel.row())["result"] == "voicemail"
    ends = [event for event in await channel.journal(conversation_id) if isinstance(event, CallEnded)]
    assert ends == [CallEnded(result="voicemail", reason="voicemail_detection tool was called: a beep")]
    assert await prices(channel) == [0.06]


async def test_the_price_of_a_call_is_unknown_until_meta_tells_how_long_it_was(channel: CallChannel) -> None:
    await start(channel)
    peer = await picked_up(channel)
    channel.agents.voices[0].end("All was said.")
    await channel.meta.action("terminate")
    await ticking(channel, "ended")
    await channel.ended()
    await peer.close()
    assert await prices(channel) == [None]
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=61)
    await until(lambda: measured(channel, 61))
    await channel.quiet()
    assert await prices(channel) == [0.66]
    (conversation,) = await channel.conversations()
    charged = [event for event in await channel.journal(conversation["id"]) if isinstance(event, CallCharged)]
    assert charged == [CallCharged(), CallCharged(seconds=61, price=0.66)]


async def test_what_meta_tells_while_the_end_is_being_written_is_not_lost(
    channel: CallChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, told = CallStore.save, False

    async def save_and_hear(store: CallStore, claim: Claim, row: CallRow, *more: Any) -> None:
        nonlocal told
        await save(store, claim, row, *more)
        if row.phase == "ended" and not told:
            told = True
            await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=5)
            await eventually(lambda: [item for item in claim.items if "call" in item.payload])

    monkeypatch.setattr(CallStore, "save", save_and_hear)
    await start(channel)
    peer = await picked_up(channel)
    channel.agents.voices[0].end("All was said.")
    await ticking(channel, "ended")
    await until(lambda: measured(channel, 5))
    await channel.quiet()
    assert await prices(channel) == [0.06]
    await peer.close()


async def test_a_person_is_asked_and_called_as_soon_as_they_agree(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    conversation_id = await start(channel)
    await until(lambda: sent(channel))
    (request,) = channel.meta.sent
    assert request["template"] == {"name": "may_we_call", "language": {"code": "en"}}
    await channel.phase("waiting")
    assert channel.meta.names() == []
    await channel.reply(
        "accept", is_permanent=False, expiration_timestamp="1790600000", response_source="user_action"
    )
    await channel.connected()
    row = await channel.row()
    assert (row["permission_state"], row["permission_permanent"]) == ("accepted", False)
    journal = await channel.journal(conversation_id)
    assert [type(event) for event in journal if event.kind != "delivery"] == [
        Started,
        AgentMessage,
        CallPermission,
        CallPermission,
    ]
    await channel.tell_status("REJECTED")
    assert (await channel.ended())["result"] == "busy"
    assert await prices(channel) == [0.0]


async def test_who_declines_is_not_called(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    conversation_id = await start(channel)
    await channel.phase("waiting")
    await channel.reply("reject", response_source="user_action")
    row = await channel.ended()
    assert (row["permission_state"], row["reason"]) == ("declined", "User declined the call permission request.")
    (conversation,) = [one for one in await channel.conversations() if one["id"] == conversation_id]
    assert (conversation["status"], conversation["termination_reason"]) == ("failed", row["reason"])
    assert conversation["error"] == {"code": 1008, "reason": row["reason"]}
    assert channel.meta.names() == []


@pytest.mark.parametrize(("word", "state"), [("reject", "declined"), ("accept", "accepted")])
async def test_a_crash_loses_no_word_of_the_person(
    channel: CallChannel, monkeypatch: pytest.MonkeyPatch, word: str, state: str
) -> None:
    """It is in the journal before it counts as dealt with."""
    channel.meta.permission = permitted("no_permission")
    conversation_id = await start(channel)
    await channel.phase("waiting")
    save, noted = CallStore.save, list[str]()

    async def look_and_save(store: CallStore, *row: Any) -> None:
        journal = await channel.journal(conversation_id)
        noted.extend(event.state for event in journal if isinstance(event, CallPermission))
        monkeypatch.undo()
        await save(store, *row)

    monkeypatch.setattr(CallStore, "save", look_and_save)
    await channel.reply(word, is_permanent=False, response_source="user_action")
    await eventually(lambda: noted)
    assert noted == ["sent", state]


async def test_an_old_permission_that_meta_withdraws_meanwhile_is_no_answer(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    await start(channel)
    await channel.phase("waiting")
    await channel.reply("reject", response_source="automatic")
    await channel.quiet()
    assert (await channel.row())["phase"] == "waiting"
    await channel.reply("accept", is_permanent=False, response_source="user_action")
    await channel.meta.action("connect")


async def test_a_request_that_nobody_answers_expires(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    await start(channel)
    await channel.phase("waiting")
    await until(lambda: sent(channel))
    channel.clock.advance(timedelta(days=7, seconds=1))
    row = await channel.ended()
    assert (row["result"], row["permission_state"]) == ("failed", "sent")


async def test_a_request_of_which_meta_tells_nothing_expires_as_punctually(channel: CallChannel) -> None:
    """Though it is looked at only once a minute by then."""
    channel.meta.permission = permitted("no_permission")
    await start(channel)
    await channel.phase("waiting")
    await until(lambda: sent(channel))
    channel.clock.advance(timedelta(days=7, seconds=-30))

    async def looked_at() -> bool:
        due = await channel.pool.fetchval("select due_at from mailbox where kind = 'call' and owner is null")
        return due is not None and due > channel.clock.now()

    await until(looked_at)
    channel.clock.advance(timedelta(seconds=30))
    row = await channel.ended()
    assert (row["result"], row["permission_state"]) == ("failed", "sent")


async def test_a_request_that_meta_refuses_is_blocked(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    channel.meta.refuse = lambda message: meta_error(138009)
    conversation_id = await start(channel)
    await ticking(channel, "ended")
    row = await channel.ended()
    assert (row["permission_state"], row["error_code"]) == ("blocked", 138009)
    assert CallPermission(state="blocked") in await channel.journal(conversation_id)


async def test_a_request_that_meta_calls_needless_means_that_the_call_may_be_made(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    channel.meta.refuse = lambda message: meta_error(138017)
    await start(channel)
    await ticking(channel, "ringing")
    row = await channel.row()
    assert (row["permission_state"], row["permission_permanent"]) == ("accepted", True)


async def test_a_used_up_limit_is_blocked_with_its_reason(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission", ask=False)
    await start(channel)
    row = await channel.ended()
    assert row["permission_state"] == "blocked"
    assert "limit of 1 call permission requests" in row["reason"]


async def test_a_used_up_limit_of_calls_says_nothing_of_a_request(channel: CallChannel) -> None:
    channel.meta.permission = permitted("permanent", call=False)
    conversation_id = await start(channel)
    row = await channel.ended()
    assert (row["result"], row["permission_state"]) == ("failed", None)
    assert row["reason"] == "Meta allows no calls to this person now."
    assert not [event for event in await channel.journal(conversation_id) if isinstance(event, CallPermission)]


async def test_a_permission_that_has_expired_meanwhile_is_asked_for(channel: CallChannel) -> None:
    channel.meta.refuse_action = lambda body: meta_error(138006, 401) if body["action"] == "connect" else None
    await start(channel)
    await channel.phase("waiting")
    await until(lambda: sent(channel))
    channel.meta.refuse_action = lambda body: None
    await channel.reply("accept", is_permanent=True, response_source="user_action")
    await channel.meta.action("connect")


async def test_a_person_who_calls_us_grants_the_permission(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    conversation_id = await start(channel)
    await channel.phase("waiting")
    await channel.reply("accept", is_permanent=False, response_source="automatic")
    await channel.meta.action("connect")
    granted = CallPermission(state="accepted", permanent=False, by_users_call=True)
    assert granted in await channel.journal(conversation_id)


async def test_an_open_chat_is_asked_by_a_free_message_if_there_is_a_text_for_it(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    free = settings.model_copy(update={"call_permission_text": "May we ring you?"})
    async with calling_channel(pool, dsn, clock, free) as channel:
        await channel.hear("Hi")
        await channel.told(1)
        await channel.quiet()
        channel.meta.permission = permitted("no_permission")
        await start(channel)
        await channel.told(2)
        assert channel.meta.sent[1]["interactive"] == {
            "type": "call_permission_request",
            "action": {"name": "call_permission_request"},
            "body": {"text": "May we ring you?"},
        }


async def test_nobody_picks_up(channel: CallChannel) -> None:
    conversation_id = await start(channel)
    await channel.phase("ringing")
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", biz_opaque_callback_data="x")
    row = await channel.ended()
    assert row["result"] == "no_answer"
    (conversation,) = await channel.conversations()
    assert conversation["status"] == "failed"
    journal = await channel.journal(conversation_id)
    assert [event.result for event in journal if isinstance(event, CallEnded)] == ["no_answer"]
    assert sum(isinstance(event, Ended) for event in journal) == 1


async def test_a_phone_that_rings_too_long_is_given_up(channel: CallChannel) -> None:
    await start(channel)
    await channel.phase("ringing")
    await ticking(channel, "ended", seconds=10)
    assert (await channel.ended())["result"] == "no_answer"
    assert channel.meta.names() == ["connect", "terminate"]


@pytest.mark.parametrize(("code", "result"), [(138000, "failed"), (138015, "failed"), (138013, "failed")])
async def test_a_call_that_meta_refuses_fails_with_its_code(channel: CallChannel, code: int, result: str) -> None:
    channel.meta.refuse_action = lambda body: meta_error(code)
    await start(channel)
    row = await channel.ended()
    assert (row["result"], row["error_code"]) == (result, code)
    (conversation,) = await channel.conversations()
    assert conversation["error"]["code"] == code


@pytest.mark.parametrize(
    ("calling", "told"),
    [
        ({"status": "DISABLED"}, "Calling is switched off"),
        ({"status": "ENABLED", "sip": {"status": "ENABLED"}}, "over SIP"),
        (
            {"status": "ENABLED", "restrictions": {"restrictions_list": [RESTRICTION]}},
            "until 2099-12-31 .* UTC: low",
        ),
    ],
)
async def test_a_number_that_can_not_call_asks_nobody(
    channel: CallChannel, calling: dict[str, Any], told: str
) -> None:
    """Meta charges the question whether the person may be called."""
    channel.meta.calling, channel.meta.permission = calling, permitted("no_permission")
    with pytest.raises(CallsOff, match=told):
        await start(channel)
    assert (await channel.conversations(), channel.meta.sent, channel.meta.queries) == ([], [], [])


async def test_a_call_waits_until_meta_answers_questions_about_permissions_again(channel: CallChannel) -> None:
    """As one in a burst of calls does: it is no fault, however often it happens."""
    meta = channel.meta
    meta.refuse_query = lambda: meta_error(613, 429) if len(meta.queries) < 9 else None
    await start(channel)
    await ticking(channel, "ringing", seconds=0.5)
    assert len(meta.queries) == 9
    await channel.tell_status("REJECTED")
    assert (await channel.ended())["result"] == "busy"


async def test_a_call_fails_with_what_meta_said_while_it_was_away(channel: CallChannel) -> None:
    channel.meta.refuse_query = lambda: meta_error(131016, 500)
    conversation_id = await start(channel)
    await ticking(channel, "ended")
    await channel.ended()
    assert channel.meta.names() == []
    (conversation,) = await channel.conversations()
    assert conversation["id"] == conversation_id
    assert conversation["error"] == {"code": 131016, "reason": "(#131016) Title"}


@pytest.mark.parametrize(
    "restrictions",
    [
        {"restrictions_list": [{**RESTRICTION, "expiration": 1_700_000_000}]},
        {"restrictions_list": [{**RESTRICTION, "type": "RESTRICTED_USER_INITIATED_CALLING"}, "x"]},
        {"restrictions_list": None},
        "x",
    ],
)
async def test_what_does_not_restrict_calls_of_the_business_hinders_none(
    channel: CallChannel, restrictions: Any
) -> None:
    channel.meta.calling = {"status": "ENABLED", "restrictions": restrictions}
    await start(channel)
    await channel.phase("ringing")


async def test_who_is_in_another_call_while_the_process_stops_is_called_by_the_next(
    channel: CallChannel, dsn: str
) -> None:
    channel.meta.refuse_action = lambda body: meta_error(138003)
    conversation_id = await start(channel)
    await channel.phase("busy")
    await channel.calls.stop(5.0)
    assert (await channel.row())["phase"] == "checking"
    channel.meta.refuse_action = lambda body: None
    async with another_process(channel, dsn):
        await channel.connected()
        assert (await channel.row())["conversation_id"] == conversation_id
        await channel.tell_status("REJECTED")
        assert (await channel.ended())["result"] == "busy"


@pytest.mark.parametrize("days", [1, 8])
async def test_who_agreed_is_called_by_the_next_process_whatever_has_come_meanwhile(
    channel: CallChannel, dsn: str, days: int
) -> None:
    """Meta's word that an older permission is gone, or the end of the wait for an answer: Meta is asked anew."""
    channel.meta.permission = permitted("no_permission")
    channel.meta.refuse_action = lambda body: meta_error(138003)
    await start(channel)
    await channel.phase("waiting")
    await channel.reply("accept", is_permanent=True, response_source="user_action")
    await channel.phase("busy")
    await channel.calls.stop(5.0)
    await channel.reply("reject", response_source="automatic")
    channel.clock.advance(timedelta(days=days))
    channel.meta.permission = permitted("permanent")
    channel.meta.refuse_action = lambda body: None
    async with another_process(channel, dsn):
        await channel.connected()


async def test_webhooks_that_overtake_metas_answer_find_their_call(channel: CallChannel) -> None:
    """The relay's answer is there before the id of the call is: it waits in a mailbox of its own."""
    await channel.tell_status("REJECTED", "wacid.OUT1")
    await start(channel)
    await ticking(channel, "ended", seconds=0.3)
    assert (await channel.ended())["result"] == "busy"


async def test_news_of_a_call_that_nobody_made_end_it(channel: CallChannel) -> None:
    session = {"sdp_type": "answer", "sdp": "v=0"}
    await channel.tell_call("connect", "wacid.LOST", direction="BUSINESS_INITIATED", session=session)
    await channel.acted("terminate", step=1.0)
    assert channel.meta.actions[0] == {
        "messaging_product": "whatsapp",
        "action": "terminate",
        "call_id": "wacid.LOST",
    }
    await channel.quiet()


@pytest.mark.parametrize("callback", [{}, {"biz_opaque_callback_data": "theirs"}])
async def test_a_call_of_other_software_on_the_number_goes_on(channel: CallChannel, callback: dict[str, str]) -> None:
    """Meta tells every app that is subscribed of it; what is ours comes back with our id of it."""
    session = {"sdp_type": "answer", "sdp": "v=0"}
    await channel.tell_call("connect", "wacid.THEIRS", direction="BUSINESS_INITIATED", session=session)
    await channel.tell_status("RINGING", "wacid.THEIRS", **callback)

    async def set_aside() -> bool:
        return not await channel.pool.fetchval("select exists (select from inbox where done_at is null)")

    await channel.pass_time(set_aside, step=1.0)
    await channel.quiet()
    assert channel.meta.names() == []


async def test_an_operator_can_end_a_call_that_nobody_has_answered(channel: CallChannel, pool: Pool) -> None:
    conversation_id = await start(channel)
    await channel.phase("ringing")
    with pytest.raises(NotAnswered):
        await place(pool, channel.clock, WORKSPACE, conversation_id, Order("enable_human_takeover"))
    await place(pool, channel.clock, WORKSPACE, conversation_id, Order("end_call"))
    row = await channel.ended()
    assert (row["result"], row["reason"]) == ("no_answer", "Ended by an operator")
    assert channel.meta.names() == ["connect", "terminate"]


async def test_a_call_that_was_just_picked_up_is_not_abandoned(channel: CallChannel, pool: Pool) -> None:
    """Its voice, a scripted one here, holds no conversation yet."""
    conversation_id = await start(channel)
    peer = await picked_up(channel)
    with pytest.raises(NotAnswered):
        await place(pool, channel.clock, WORKSPACE, conversation_id, Order("enable_human_takeover"))
    await place(pool, channel.clock, WORKSPACE, conversation_id, Order("end_call"))
    await channel.meta.action("terminate")
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=5)
    assert (await channel.ended())["reason"] == "Ended by an operator"
    await peer.close()
    assert await pool.fetch("select id from mailbox where kind = 'live'") == []


async def test_an_operator_can_end_a_call_that_waits_for_permission(channel: CallChannel, pool: Pool) -> None:
    channel.meta.permission = permitted("no_permission")
    conversation_id = await start(channel)
    await channel.phase("waiting")
    await place(pool, channel.clock, WORKSPACE, conversation_id, Order("end_call"))
    assert (await channel.ended())["reason"] == "Ended by an operator"
    await channel.reply("accept", is_permanent=True, response_source="user_action")
    await channel.quiet()
    assert channel.meta.names() == [], "who agrees later is not called"
    await start(channel)  # and may be called anew


async def test_one_call_at_a_time_to_a_person(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    await start(channel)
    with pytest.raises(CallUnderWay):
        await start(channel)
    assert len(await channel.conversations()) == 1


async def test_a_call_that_waits_for_permission_is_no_conversation_by_text(channel: CallChannel) -> None:
    channel.meta.permission = permitted("no_permission")
    await start(channel)
    await channel.phase("waiting")
    await channel.hear("What is this?")
    await until(lambda: sent(channel, 2))
    await channel.quiet()
    voice, text = await channel.conversations()
    assert (voice["text_only"], voice["status"]) == (False, "initiated")
    assert (text["text_only"], text["status"]) == (True, "in-progress")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"user_id": "+1 555"}, InvalidRecipient),
        ({"phone_number_id": "1"}, AccountNotFound),
        ({"template_name": "other"}, TemplateNotFound),
        ({"template_name": None}, NoTemplate),
    ],
)
async def test_what_is_wrong_is_said_before_anything_happens(
    channel: CallChannel, change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await start(channel, **change)
    assert await channel.conversations() == []


async def test_a_template_that_asks_for_nothing_is_refused(channel: CallChannel) -> None:
    channel.meta.templates = [{**TEMPLATE, "components": [{"type": "BODY", "text": "Hello"}]}]
    with pytest.raises(TemplateUnusable, match="CALL_PERMISSION_REQUEST"):
        await start(channel)


async def sent(channel: CallChannel, count: int = 1) -> bool:
    return len(channel.meta.sent) >= count


async def prices(channel: CallChannel) -> list[float | None]:
    return [conversation["call_price"] for conversation in await channel.conversations()]


async def measured(channel: CallChannel, seconds: int) -> bool:
    return bool((await channel.row())["talk_seconds"] == seconds)


async def ticking(channel: CallChannel, phase: str, *, seconds: float = 1.0) -> None:
    """Let the time pass until the call is in a phase."""

    async def there() -> bool:
        return (await channel.row()).get("phase") == phase

    await channel.pass_time(there, step=seconds)
