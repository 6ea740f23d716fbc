"""What the business is told of calls: by whom, in which form, and what Meta adds in a person's name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenline.channels.webrtc.media import MediaCall
from greenline.emulator.calls.recording import chime
from greenline.emulator.errors import MetaError
from greenline.emulator.fault_kinds import CallBatch, CallEndFirst, CallSwapped, CallUndirected
from greenline.emulator.meta import Meta
from greenline.emulator.world import Account, App, Number, Person
from support.wait import eventually


class Town:
    """A business with one number, two people, and all that is told to a callback where nobody listens."""

    def __init__(self) -> None:
        self.meta = Meta()
        app = App("app", "secret", "verify", callback_url="http://127.0.0.1:9/")
        self.number = Number("1", "2", "+1 555-0100", "Fern", settings={"calling": {"status": "ENABLED"}})
        self.meta.world.apps["app"] = app
        self.meta.world.accounts["2"] = Account("2", "Fern", subscribed={"app": None})
        self.meta.world.numbers["1"] = self.number
        self.ann = Person("ann", "Ann", "15550100001", "US.1")
        self.ben = Person("ben", "Ben", "15550100002", "US.2", hides_phone=True)
        self.meta.world.people |= {"ann": self.ann, "ben": self.ben}

    def told(self, field: str, kind: str) -> list[dict[str, Any]]:
        """Everything of one kind that was told, in its order."""
        bodies = [json.loads(delivery.body) for delivery in self.meta.webhooks.deliveries]
        changes = [change for body in bodies for change in body["entry"][0]["changes"] if change["field"] == field]
        return [item for change in changes for item in change["value"].get(kind, [])]

    async def call(self, person: Person) -> str:
        """A person calls and hangs up at once."""
        call = await self.meta.desk.dial(person, self.number)
        self.meta.desk.hang_up(call)
        await eventually(lambda: call.ended_at is not None)
        return call.id


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    made = Town()
    yield made
    await made.meta.aclose()


async def test_a_person_who_hides_the_phone_is_known_by_the_business_scoped_id(town: Town) -> None:
    await town.call(town.ben)
    begun, ended = town.told("calls", "calls")
    assert (begun["from_user_id"], begun["to"], begun["event"]) == ("US.2", "15550100", "connect")
    assert "from" not in begun
    assert (ended["event"], ended["status"]) == ("terminate", "COMPLETED")
    assert "duration" not in ended, "nobody answered"


async def test_a_call_names_the_person_in_every_way_that_a_message_does(town: Town) -> None:
    town.ann.username, town.ann.parent_user_id = "ann.1", "US.ENT.9"
    await town.call(town.ann)
    contacts, (begun, _) = town.told("calls", "contacts"), town.told("calls", "calls")
    assert contacts[0] == town.ann.contact(hidden=False)
    assert contacts[0]["profile"] == {"name": "Ann", "username": "ann.1"}
    assert (begun["from_user_id"], begun["from_parent_user_id"]) == ("US.1", "US.ENT.9")


async def test_the_payload_of_a_button_is_told_with_the_call(town: Town) -> None:
    by_button = await town.meta.desk.dial(town.ann, town.number, cta_payload="order 17")
    plain = await town.call(town.ben)
    begun = {told["id"]: told for told in town.told("calls", "calls") if told["event"] == "connect"}
    assert begun[by_button.id]["cta_payload"] == "order 17"
    assert not {"cta_payload", "deeplink_payload"} & set(begun[plain])


async def test_swapped_ends_and_a_missing_direction(town: Town) -> None:
    town.meta.faults.add(CallSwapped(match={"event": "connect"}))
    town.meta.faults.add(CallUndirected(match={"event": "terminate"}))
    await town.call(town.ann)
    begun, ended = town.told("calls", "calls")
    assert (begun["from"], begun["to"], begun["to_user_id"]) == ("15550100", "15550100001", "US.1")
    assert (ended["from"], "direction" in begun, "direction" in ended) == ("15550100001", True, False)


async def test_the_end_is_told_first(town: Town) -> None:
    town.meta.faults.add(CallEndFirst())
    await town.call(town.ann)
    await eventually(lambda: len(town.told("calls", "calls")) == 2)
    assert [call["event"] for call in town.told("calls", "calls")] == ["terminate", "connect"]


async def test_several_calls_share_a_webhook(town: Town) -> None:
    town.meta.faults.add(CallBatch(size=4, seconds=60))
    await town.call(town.ann)
    await town.call(town.ben)
    (delivery,) = town.meta.webhooks.deliveries
    value = json.loads(delivery.body)["entry"][0]["changes"][0]["value"]
    assert [call["event"] for call in value["calls"]] == ["connect", "terminate"] * 2
    assert [contact["user_id"] for contact in value["contacts"]] == ["US.1", "US.2"]


async def test_a_persons_call_permits_to_call_back(town: Town) -> None:
    town.meta.change_calling(town.number, {"callback_permission_status": "ENABLED"})
    call_id = await town.call(town.ann)
    (message,) = town.told("messages", "messages")
    reply = message["interactive"]["call_permission_reply"]
    assert (reply["response"], reply["response_source"], reply["is_permanent"]) == ("accept", "automatic", False)
    assert message["context"]["id"] == call_id
    permission = town.meta.desk.permissions.of(town.ann, town.number)
    assert permission.status(town.meta.clock.now()) == "temporary"
    await town.call(town.ann)
    assert len(town.told("messages", "messages")) == 1, "what is permitted is not permitted again"
    town.meta.clock.advance(7 * 86_400)
    assert permission.status(town.meta.clock.now()) == "no_permission"


async def declined(town: Town) -> dict[str, Any]:
    """The business calls Ann, who declines; returns what it offered."""
    town.meta.config.call_connect_delay = 0.0
    media = MediaCall(on_pcm=lambda pcm: None, on_digit=lambda key: None)
    session = {"sdp_type": "offer", "sdp": await media.offer()}
    offer = {"messaging_product": "whatsapp", "action": "connect", "to": town.ann.phone, "session": session}
    (made,) = (await town.meta.desk.act(town.number, offer))["calls"]
    call = town.meta.desk.calls[made["id"]]
    await eventually(lambda: call.state == "ringing")
    town.meta.desk.decline(call)
    await eventually(lambda: call.state == "ended")
    await media.close()
    return offer


async def test_the_fourth_call_that_nobody_takes_withdraws_the_permission(town: Town) -> None:
    permission = town.meta.desk.permissions.of(town.ann, town.number)
    permission.permanent, permission.unanswered = True, 3
    offer = await declined(town)
    await eventually(lambda: town.told("messages", "messages"))
    (message,) = town.told("messages", "messages")
    assert message["interactive"]["call_permission_reply"] == {"response": "reject", "response_source": "automatic"}
    assert "context" not in message
    assert [status["status"] for status in town.told("calls", "statuses")] == ["RINGING", "REJECTED"]
    with pytest.raises(MetaError, match="#138006"):
        await town.meta.desk.act(town.number, offer)


@pytest.mark.parametrize(("response", "status"), [("reject", "no_permission"), ("accept", "permanent")])
async def test_who_has_not_taken_two_calls_is_asked_whether_there_shall_be_more(
    town: Town, response: str, status: str
) -> None:
    permission = town.meta.desk.permissions.of(town.ann, town.number)
    permission.permanent, permission.unanswered = True, 1
    await declined(town)
    (asked,) = town.meta.world.chat(town.ann, town.number).screen
    assert asked.asks_to_call
    assert town.told("messages", "messages") == []
    assert permission.status(town.meta.clock.now()) == "permanent"
    reply = {"response": response, "response_source": "user_action", "is_permanent": response == "accept"}
    interactive = {"type": "call_permission_reply", "call_permission_reply": reply}
    body = {"type": "interactive", "interactive": interactive, "context": {"id": asked.id}}
    town.meta.say(town.ann, town.number, body)
    assert permission.status(town.meta.clock.now()) == status
    assert not asked.asks_to_call
    await eventually(lambda: town.told("messages", "messages"))
    (message,) = town.told("messages", "messages")
    assert message["interactive"]["call_permission_reply"]["response"] == response
    assert "context" not in message, "it is no answer to a request of the business"


async def test_a_message_is_left_after_a_call_that_was_rejected(town: Town) -> None:
    town.number.settings["calling"] |= {"voicemail": {"status": "ENABLED", "triggers": ["REJECT"], "audio": {}}}
    call = await town.meta.desk.dial(town.ann, town.number)
    with pytest.raises(ValueError, match="follows a call"):
        town.meta.desk.leave_voicemail(call, chime())
    await town.meta.desk.act(town.number, {"messaging_product": "whatsapp", "action": "reject", "call_id": call.id})
    await eventually(lambda: call.ended_by is not None)
    town.meta.desk.leave_voicemail(call, chime())
    (message,) = town.told("messages", "messages")
    assert (message["id"], message["type"]) == (call.id, "audio")
    media = town.meta.media.find(message["audio"]["id"], town.meta.clock.now(), town.number.id)
    assert media is not None
    assert media.data.startswith(b"OggS")


async def test_a_number_with_all_its_calls_is_not_rung(town: Town) -> None:
    town.meta.config.call_concurrency = 1
    await town.meta.desk.dial(town.ann, town.number)
    assert town.meta.desk.why_not(town.ben, town.number) == "The business has as many calls as it may have."
    town.meta.desk.permissions.of(town.ben, town.number).permanent = True
    offer = {"messaging_product": "whatsapp", "action": "connect", "to": town.ben.phone}
    with pytest.raises(MetaError, match="#138002"):
        await town.meta.desk.act(town.number, offer)


async def test_a_call_that_rings_is_rejected_and_not_terminated(town: Town) -> None:
    call = await town.meta.desk.dial(town.ann, town.number)
    action = {"messaging_product": "whatsapp", "action": "terminate", "call_id": call.id}
    with pytest.raises(MetaError, match=r"#100.*reject it"):
        await town.meta.desk.act(town.number, action)
    await town.meta.desk.act(town.number, {**action, "action": "reject"})
    await eventually(lambda: call.ended_by == "business_rejected")


async def test_who_is_in_a_call_dials_nobody_until_it_is_over(town: Town) -> None:
    desk, other = town.meta.desk, Number("3", "2", "+1 555-0101", "Moss", settings=town.number.settings)
    assert desk.why_not(town.ann, other) is None
    call = await desk.dial(town.ann, town.number)
    for number in (town.number, other):
        assert desk.why_not(town.ann, number) == "Another call is under way on this phone: it must end first."
    assert desk.why_not(town.ben, town.number) is None
    desk.hang_up(call)
    await eventually(lambda: call.ended_at is not None)
    assert desk.why_not(town.ann, town.number) is None


async def test_a_phone_that_rings_dials_nobody_before_the_call_is_declined(town: Town) -> None:
    desk = town.meta.desk
    desk.permissions.of(town.ann, town.number).permanent = True
    town.meta.config.call_connect_delay = 0.0
    media = MediaCall(on_pcm=lambda pcm: None, on_digit=lambda key: None)
    session = {"sdp_type": "offer", "sdp": await media.offer()}
    offer = {"messaging_product": "whatsapp", "action": "connect", "to": town.ann.phone, "session": session}
    (made,) = (await desk.act(town.number, offer))["calls"]
    await media.close()
    call = desk.calls[made["id"]]
    assert desk.why_not(town.ann, town.number) is None, "the phone does not know of the call yet"
    await eventually(lambda: call.state == "ringing")
    assert desk.why_not(town.ann, town.number) is not None
    desk.decline(call)
    assert desk.why_not(town.ann, town.number) is None


async def test_a_business_that_would_hear_nothing_can_not_call(town: Town) -> None:
    town.meta.world.apps["app"].fields = {"messages"}
    offer = {"messaging_product": "whatsapp", "action": "connect", "to": town.ann.phone}
    with pytest.raises(MetaError, match="#138018"):
        await town.meta.desk.act(town.number, offer)


async def test_a_persons_connected_call_resets_the_requests(town: Town) -> None:
    permission, now = town.meta.desk.permissions.of(town.ann, town.number), town.meta.clock.now()
    permission.request(now, "wamid.1")
    await town.call(town.ann)
    with pytest.raises(MetaError, match="#138009"):
        permission.request(now, "wamid.2")
    call = await town.meta.desk.dial(town.ann, town.number)
    call.started_at = town.meta.clock.now()
    town.meta.desk.hang_up(call)
    await eventually(lambda: call.ended_at is not None)
    permission.request(now, "wamid.3")
