"""From webhook bodies to events."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.payload import Event, Poison, parse_envelope

NUMBER = "555666777"
METADATA = {"display_phone_number": "15550001111", "phone_number_id": NUMBER}
ANN = {"profile": {"name": "Ann"}, "wa_id": "15551230000", "user_id": "US.13"}


def body(field: str = "messages", time: int | None = None, **value: Any) -> bytes:
    """An envelope with one change."""
    change = {"field": field, "value": {"messaging_product": "whatsapp", "metadata": METADATA, **value}}
    entry = {"id": "waba", "changes": [change]} | ({"time": time} if time else {})
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})


def text(wamid: str = "wamid.1", **more: Any) -> dict[str, Any]:
    message = {"from": "15551230000", "from_user_id": "US.13", "id": wamid, "timestamp": "1790000000"}
    return {**message, "type": "text", "text": {"body": "Hello"}, **more}


def events(raw: bytes) -> list[Event]:
    found = list(parse_envelope(raw))
    assert all(isinstance(event, Event) for event in found), found
    return [event for event in found if isinstance(event, Event)]


def poisons(raw: bytes) -> list[Poison]:
    return [event for event in parse_envelope(raw) if isinstance(event, Poison)]


def test_a_message_tells_whose_it_is() -> None:
    (event,) = events(body(messages=[text()], contacts=[ANN]))
    assert (event.kind, event.dedupe) == ("message", "wamid.1")
    assert (event.phone_number_id, event.business_account_id) == (NUMBER, "waba")
    assert (event.wa_id, event.bsuid, event.group_id) == ("15551230000", "US.13", None)
    assert orjson.loads(event.payload) == {"message": text(), "contact": ANN}


def test_a_person_without_a_phone_number_is_known_by_the_scoped_id() -> None:
    message = {key: value for key, value in text().items() if key != "from"}
    (event,) = events(body(messages=[message], contacts=[{"profile": {"name": "Ann"}, "user_id": "US.13"}]))
    assert (event.wa_id, event.bsuid) == (None, "US.13")


def test_a_scoped_id_in_place_of_digits_is_one() -> None:
    message = {key: value for key, value in text(**{"from": "US.13"}).items() if key != "from_user_id"}
    (event,) = events(body(messages=[message]))
    assert (event.wa_id, event.bsuid) == (None, "US.13")


def test_missing_ids_come_from_the_contact() -> None:
    message = {key: value for key, value in text().items() if not key.startswith("from")}
    (event,) = events(body(messages=[message], contacts=[ANN]))
    assert (event.wa_id, event.bsuid) == ("15551230000", "US.13")


def test_each_message_gets_its_own_contact() -> None:
    bob = {"profile": {"name": "Bob"}, "wa_id": "15559990000"}
    messages = [text("wamid.1", **{"from": "15559990000", "from_user_id": None}), text("wamid.2")]
    found = events(body(messages=messages, contacts=[ANN, bob]))
    assert [orjson.loads(event.payload)["contact"] for event in found] == [bob, ANN]


def test_a_stranger_among_several_contacts_gets_none() -> None:
    messages = [text("wamid.1", **{"from": "15550009999", "from_user_id": "US.99"}), text("wamid.2")]
    first, _ = events(body(messages=messages, contacts=[ANN]))
    assert orjson.loads(first.payload)["contact"] is None


def test_a_group_is_one_chat_whoever_writes() -> None:
    (event,) = events(body(messages=[text(group_id="group1")], contacts=[ANN]))
    assert (event.group_id, event.wa_id, event.bsuid) == ("group1", None, None)


def test_a_changed_id_leads_to_the_chat_of_the_old_one() -> None:
    system = {"type": "user_changed_number", "wa_id": "15558880000", "user_id": "US.14", "previous_user_id": "US.13"}
    message = {**text(), "type": "system", "system": system, "from_user_id": "US.14"}
    (event,) = events(body(messages=[message]))
    assert (event.wa_id, event.bsuid) == ("15551230000", "US.13")


def test_several_kinds_in_one_value() -> None:
    status = {"id": "wamid.9", "status": "read", "timestamp": "1790000000", "recipient_id": "15551230000"}
    found = events(body(messages=[text()], statuses=[status], errors=[{"code": 131035}]))
    assert [event.kind for event in found] == ["message", "status", "errors"]


def test_a_status_is_its_own_payload_and_has_a_key_for_each_recipient() -> None:
    status = {"id": "wamid.9", "status": "delivered", "timestamp": "1790000000", "recipient_id": "15551230000"}
    other = {**status, "recipient_participant_id": "15557770000", "recipient_type": "group"}
    first, second = events(body(statuses=[status, other]))
    assert orjson.loads(first.payload) == status
    assert first.dedupe == "wamid.9:delivered:15551230000"
    assert second.dedupe == "wamid.9:delivered:15557770000"


def test_a_status_for_a_person_without_a_number() -> None:
    (event,) = events(body(statuses=[{"id": "wamid.9", "status": "sent", "recipient_user_id": "US.13"}]))
    assert event.dedupe == "wamid.9:sent:US.13"


def test_a_status_is_the_same_with_and_without_the_person_beside_it() -> None:
    status = {"id": "wamid.9", "status": "sent", "timestamp": "1790000000", "recipient_id": "15551230000"}
    assert events(body(statuses=[status], contacts=[ANN])) == events(body(statuses=[status]))


def test_standby_copies_are_no_messages() -> None:
    standby = {"messages": [text()], "message_echoes": [{"id": "wamid.2"}], "statuses": [{"id": "wamid.3"}]}
    found = events(body("standby", standby=standby, contacts=[ANN]))
    assert [event.kind for event in found] == ["standby", "unknown", "unknown"]
    assert found[0].dedupe == "standby:wamid.1"
    assert found[0].wa_id == "15551230000"


def test_marketing_preferences_belong_to_the_persons_chat() -> None:
    item = {"wa_id": "15551230000", "category": "marketing_messages", "value": "stop", "timestamp": 1790000000}
    (event,) = events(body("user_preferences", user_preferences=[item]))
    assert (event.kind, event.phone_number_id, event.wa_id) == ("user_preferences", NUMBER, "15551230000")
    assert orjson.loads(event.payload)["value"] == item


def test_preferences_of_no_number_are_kept_as_unknown() -> None:
    (event,) = events(body("user_preferences", metadata={}, user_preferences=[{"wa_id": "15551230000"}]))
    assert event.kind == "unknown"


def test_a_new_scoped_id_leads_to_the_chat_of_the_old_one() -> None:
    item = {"wa_id": "15551230000", "user_id": {"previous": "US.13", "current": "US.14"}}
    (event,) = events(body("user_id_update", user_id_update=[item]))
    assert (event.kind, event.bsuid, event.wa_id) == ("identity", "US.13", "15551230000")


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("account_update", "account"),
        ("account_settings_update", "account"),
        ("phone_number_quality_update", "number"),
        ("phone_number_name_update", "number"),
        ("message_template_status_update", "template"),
        ("template_category_update", "template"),
        ("messaging_handovers", "handover"),
        ("flows", "unknown"),
        ("a_field_of_next_year", "unknown"),
    ],
)
def test_kinds_by_field(field: str, kind: str) -> None:
    (event,) = events(body(field, time=1790000000, event="X"))
    assert event.kind == kind
    payload = orjson.loads(event.payload)
    assert (payload["field"], payload["business_account_id"], payload["time"]) == (field, "waba", 1790000000)
    assert payload["value"]["event"] == "X"


def test_news_are_the_same_when_repeated_and_another_at_another_time() -> None:
    first, again, later = (
        events(body("account_update", time=time, event="ACCOUNT_RESTRICTION"))[0].dedupe for time in (1, 1, 2)
    )
    assert first == again != later


def test_events_of_a_call_have_keys_and_the_id_of_the_call() -> None:
    calls = [{"id": "wacid.1", "event": "connect"}, {"id": "wacid.1", "event": "terminate"}]
    found = events(
        body("calls", calls=calls, statuses=[{"id": "wacid.1", "status": "RINGING"}], errors=[{"code": 1}])
    )
    assert [event.kind for event in found] == ["call", "call", "call", "errors"]
    assert [event.call_id for event in found[:3]] == ["wacid.1"] * 3
    assert len({event.dedupe for event in found}) == 4
    assert found[0].dedupe == "wacid.1:event:connect"


def test_errors_beside_the_only_call_belong_to_it() -> None:
    (found,) = events(
        body(
            "calls",
            calls=[{"id": "wacid.1", "event": "terminate", "from": "15551230000"}],
            contacts=[{"wa_id": "15551230000", "user_id": "US.1"}],
            errors=[{"code": 138021}],
        )
    )
    payload = orjson.loads(found.payload)
    assert payload["errors"] == [{"code": 138021}]
    assert payload["contact"]["user_id"] == "US.1"
    assert payload["call"]["event"] == "terminate"


@pytest.mark.parametrize("call", [{"event": "connect"}, {"id": 1.5}, "wacid.1", None, {"id": {}}])
def test_an_event_of_no_call_is_set_aside(call: object) -> None:
    (found,) = parse_envelope(body("calls", calls=[call]))
    assert isinstance(found, Poison)


@pytest.mark.parametrize("kind", [{"type": "call_permission_reply"}, {}])
def test_an_answer_to_a_call_permission_request_is_told_to_the_call_as_well(kind: dict[str, str]) -> None:
    reply = {**kind, "call_permission_reply": {"response": "accept", "is_permanent": True}}
    message, permission = events(body(messages=[{**text(), "type": "interactive", "interactive": reply}]))
    assert (message.kind, permission.kind) == ("message", "call_permission")
    assert permission.dedupe == f"permission:{message.dedupe}"
    assert permission.payload == message.payload


def test_a_message_without_an_id_has_a_key_by_its_content() -> None:
    message = {key: value for key, value in text().items() if key != "id"}
    (first,), (again,) = (events(body(messages=[message])) for _ in range(2))
    assert first.dedupe == again.dedupe.strip()
    assert first.dedupe.startswith("message:")


def test_another_object_is_kept_as_unknown() -> None:
    raw = orjson.loads(body(messages=[text()]))
    (event,) = events(orjson.dumps({**raw, "object": "instagram"}))
    assert event.kind == "unknown"


def test_a_poisoned_item_leaves_its_neighbours_alone() -> None:
    messages: list[Any] = [text(f"wamid.{number}") for number in range(1000)]
    messages[500] = "not an object"
    found = list(parse_envelope(body(messages=messages)))
    assert sum(isinstance(event, Event) for event in found) == 999
    (poison,) = (event for event in found if isinstance(event, Poison))
    assert poison.body == b'"not an object"'


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"5" + b"}" * levels


@pytest.mark.parametrize("more", [b"", b',"b":"\\ud800"'], ids=["", "with a lone surrogate"])
@pytest.mark.parametrize("levels", [100, 252, 253, 500, 900])
def test_only_the_item_that_nobody_could_read_is_set_aside(levels: int, more: bytes) -> None:
    raw = body(messages=[text("wamid.1"), text("wamid.2"), text("wamid.3")])
    raw = raw.replace(b'"id":"wamid.2"', b'"id":"wamid.2","x":' + deep(levels) + more)
    found = list(parse_envelope(raw))
    set_aside = [place for place, event in enumerate(found) if isinstance(event, Poison)]
    assert (len(found), set_aside) == (3, [1] if levels > 252 else [])


@pytest.mark.parametrize("levels", [950, 980, 1013])
def test_an_item_as_deep_as_a_body_can_be_is_set_aside_alone(levels: int) -> None:
    """With its own bytes, though Python's JSON can't write them."""
    raw = body(messages=[text("wamid.1"), text("wamid.2"), text("wamid.3")])
    item = deep(levels).replace(b"5", rb'["A\"",{},[],{"b":[1.5,null,true],"c":-7}]')
    found = list(parse_envelope(raw.replace(b'"id":"wamid.2"', b'"id":"wamid.2","x":' + item)))
    first, poison, last = found
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(poison, Poison)
    assert (first.dedupe, last.dedupe) == ("wamid.1", "wamid.3")
    assert item in poison.body.replace(b" ", b"")


@pytest.mark.parametrize("name", ["statuses", "errors", "calls", "user_preferences"])
def test_items_of_other_kinds_are_set_aside_alone_too(name: str) -> None:
    items = [{"id": f"wamid.{number}", "status": "sent", "event": "connect"} for number in range(3)]
    value: dict[str, Any] = {name: items}
    raw = body("messages" if name in ("statuses", "errors") else name, **value)
    found = list(parse_envelope(raw.replace(b'"id":"wamid.1"', b'"id":"wamid.1","x":' + deep(500))))
    assert [isinstance(event, Poison) for event in found] == [False, True, False]


@pytest.mark.parametrize(
    "value",
    [
        {"messages": [5]},
        {"messages": {"id": "wamid.1"}},
        {"messages": [{"id": "wamid.1", "type": "text"}]},
        {"messages": [text()], "metadata": None},
        {"messages": [text()], "metadata": {"phone_number_id": ["1"]}},
        {"statuses": [{"status": "sent"}]},
        {"statuses": [{"id": "wamid.1"}]},
        {"statuses": "sent"},
        {"errors": [None]},
    ],
)
def test_an_item_that_cant_be_used_is_set_aside_with_its_bytes(value: dict[str, Any]) -> None:
    (poison,) = poisons(body(**value))
    assert poison.reason
    assert poison.body


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff\xfe", b"{", b"null", b"[]", b"5", b'{"entry": {}}', b"NaN", b'{"entry": NaN}', b"[" * 100_000],
)
def test_a_body_that_is_no_envelope_is_one_poison(raw: bytes) -> None:
    (poison,) = parse_envelope(raw)
    assert isinstance(poison, Poison)
    assert poison.body == raw


def test_entries_and_changes_of_the_wrong_form_are_set_aside_one_by_one() -> None:
    good = orjson.loads(body(messages=[text()]))["entry"][0]
    raw = orjson.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [7, {"id": "1"}, {"changes": [8, {"field": "messages"}, {"field": 3, "value": {}}]}, good],
        }
    )
    found = list(parse_envelope(raw))
    assert [type(event) for event in found] == [Poison] * 5 + [Event]


def test_lone_surrogates_and_nul_are_kept() -> None:
    raw = body(messages=[text(text={"body": "HERE"})]).replace(b"HERE", rb"a\ud800b\u0000c")
    (event,) = events(raw)
    assert event.payload.isascii()
    assert json.loads(event.payload)["message"]["text"]["body"] == "a\ud800b\x00c"


@pytest.mark.parametrize("wamid", ["wamid.\x00", "wamid.é", "x" * 5000, 17, ["wamid.1"], ""])
def test_an_id_that_no_key_can_hold_is_replaced_by_a_digest(wamid: Any) -> None:
    (event,) = events(body(messages=[text(wamid)]))
    assert event.dedupe.isascii()
    assert event.dedupe.isprintable()
    assert len(event.dedupe) < 600


def test_escapes_as_meta_writes_them() -> None:
    raw = json.dumps(orjson.loads(body(messages=[text(text={"body": "é@/"})]))).replace("/", r"\/").encode()
    (event,) = events(raw.replace(b"@", rb"\u0040"))
    assert orjson.loads(event.payload)["message"]["text"]["body"] == "é@/"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["messages", "standby", "user_preferences", "user_id_update", "calls", "account_update", "messaging_handovers"]
)
VALUES = st.dictionaries(
    st.sampled_from(["metadata", "messages", "statuses", "contacts", "errors", "calls", "standby", "user_id_update"]),
    JSON | st.just(METADATA) | st.just([text()]),
    max_size=6,
)


@given(st.binary(max_size=400))
def test_any_bytes_are_read(raw: bytes) -> None:
    list(parse_envelope(raw))


@given(JSON)
def test_any_json_is_read(value: object) -> None:
    list(parse_envelope(json.dumps(value).encode()))


@given(FIELDS, VALUES, JSON)
def test_any_value_is_read_and_what_comes_out_can_be_stored(field: str, value: dict[str, Any], other: object) -> None:
    envelope = {
        "object": "whatsapp_business_account",
        "entry": [{"id": other, "time": other, "changes": [{"field": field, "value": value}]}, other],
    }
    for event in parse_envelope(json.dumps(envelope).encode()):
        if isinstance(event, Event):
            json.loads(event.payload)
            for key in (event.dedupe, event.phone_number_id, event.wa_id, event.bsuid, event.group_id):
                assert key is None or (key.isascii() and key.isprintable() and len(key) < 1100)


@given(st.permutations([text(f"wamid.{number}") for number in range(6)]))
def test_the_key_of_an_event_does_not_depend_on_its_place(messages: list[dict[str, Any]]) -> None:
    alone = {events(body(messages=[message]))[0].dedupe for message in messages}
    together = {event.dedupe for event in events(body(messages=messages))}
    assert alone == together
