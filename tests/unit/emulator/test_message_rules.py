"""Meta's limits on messages, type by type."""

from typing import Any

import pytest

from greenline.emulator.errors import MetaError
from greenline.emulator.limits import check_envelope, check_message, files_of

TEXT = {"type": "text", "text": {"body": "Hi"}}
SURE = {"body": {"text": "Sure?"}}
ROW = {"id": "1", "title": "One"}


def interactive(kind: str, action: Any, **more: Any) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": kind, **SURE, "action": action, **more}}


def reply(button_id: str, title: str) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": button_id, "title": title}}


def listed(*sections: Any, **more: Any) -> dict[str, Any]:
    return interactive("list", {"button": "Choose", "sections": list(sections)}, **more)


def named(name: str, **parameters: Any) -> dict[str, Any]:
    return interactive(name, {"name": name, "parameters": parameters})


ASKS = {"name": "call_permission_request"}
BUTTON = {"buttons": [reply("y", "Yes")]}
FLOW = {"flow_message_version": "3", "flow_id": "1", "flow_cta": "Book"}
IMAGE = {"type": "image", "image": {"id": "1"}}

GOOD = [
    TEXT,
    {"type": "image", "image": {"link": "https://x.example/a.png", "caption": "A"}},
    {"text": {"body": "x" * 4096}},
    {"type": "location", "location": {"latitude": "52.1", "longitude": -180}},
    {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ann"}}] * 257},
    {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": ""}},
    {"type": "document", "document": {"link": "https://x.example/a", "filename": "Łódź.pdf", "caption": "A"}},
    interactive("button", {"buttons": [reply(str(n), "x" * 19 + str(n)) for n in range(3)]}, header=IMAGE),
    listed({"rows": [ROW]}, header={"type": "text", "text": "H"}, footer={"text": "F"}, body={"text": "x" * 4096}),
    named("cta_url", display_text="x" * 20, url="https://x.example"),
    named("flow", **FLOW),
    named("voice_call", display_text="Call us", ttl_minutes=43_200, payload="x" * 512),
    interactive("voice_call", {"name": "voice_call"}),
    interactive("location_request_message", {"name": "send_location"}),
    {"type": "interactive", "interactive": {"type": "call_permission_request", "action": ASKS}},
    interactive("product", {"catalog_id": "1"}),
]


@pytest.mark.parametrize("message", GOOD)
def test_what_keeps_to_the_limits_is_taken(message: dict[str, Any]) -> None:
    check_envelope(message)
    check_message(message)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "hologram", "hologram": {}}, 100),
        ({"type": ["text"], "text": {"body": "x"}}, 100),
        ({"type": "text"}, 131008),
        ({"type": "text", "text": "x"}, 100),
        ({"type": "text", "text": {"body": 1}}, 131008),
        ({"type": "text", "text": {"body": "x" * 4097}}, 131009),
        ({"type": "location", "location": {"latitude": 1}}, 131008),
        ({"type": "location", "location": {"latitude": "abc", "longitude": 1}}, 131009),
        ({"type": "location", "location": {"latitude": "nan", "longitude": 1}}, 131009),
        ({"type": "location", "location": {"latitude": True, "longitude": 1}}, 131009),
        ({"type": "location", "location": {"latitude": 90.1, "longitude": 1}}, 131009),
        ({"type": "location", "location": {"latitude": 1, "longitude": 999}}, 131009),
        ({"type": "location", "location": {"latitude": 10**400, "longitude": 1}}, 131009),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "Ann"}}] * 258}, 131009),
        ({"type": "contacts", "contacts": ["Ann"]}, 100),
        ({"type": "contacts", "contacts": [{"name": "Ann"}]}, 100),
        ({"type": "contacts", "contacts": [{"name": {"first_name": "Ann"}}]}, 131008),
        ({"type": "reaction", "reaction": {"emoji": "x"}}, 131008),
        ({"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": 1}}, 131009),
        ({"type": "image", "image": {"id": "1", "link": "https://x.example"}}, 131008),
        ({"type": "image", "image": {"id": ["1"]}}, 100),
        ({"type": "image", "image": {"link": "nowhere"}}, 131009),
        ({"type": "image", "image": {"link": "file:///etc/passwd"}}, 131009),
        ({"type": "image", "image": {"id": "1", "filename": "a.png"}}, 100),
        ({"type": "image", "image": {"id": "1", "caption": "x" * 1025}}, 131009),
        ({"type": "audio", "audio": {"id": "1", "caption": "x"}}, 100),
        ({"type": "interactive", "interactive": "x"}, 100),
        (interactive("hologram", {}), 100),
        (interactive("button", BUTTON, body={"text": "x" * 1025}), 131009),
        (interactive("button", BUTTON, body="Sure?"), 100),
        (interactive("button", BUTTON, body=None), 131008),
        (interactive("button", None), 131008),
        (interactive("button", "x"), 100),
        (interactive("button", {"buttons": []}), 131009),
        (interactive("button", {"buttons": ["x"]}), 100),
        (interactive("button", {"buttons": [{"type": "reply", "reply": "x"}]}), 100),
        (interactive("button", {"buttons": [{"type": "url", "reply": {"id": "1", "title": "x"}}]}), 100),
        (interactive("button", {"buttons": [reply(str(n), str(n)) for n in range(4)]}), 131009),
        (interactive("button", {"buttons": [reply("1", "x" * 21)]}), 131009),
        (interactive("button", {"buttons": [reply("x" * 257, "x")]}), 131009),
        (interactive("button", {"buttons": [reply("1", "a"), reply("1", "b")]}), 131009),
        (interactive("button", {"buttons": [reply("1", "a"), reply("2", "a")]}), 131009),
        (interactive("button", {"buttons": [reply(["1"], "a")]}), 131008),  # type: ignore[arg-type]
        (interactive("button", BUTTON, header="x"), 100),
        (interactive("button", BUTTON, header={"type": "text", "text": "x" * 61}), 131009),
        (interactive("button", BUTTON, header={"type": "audio", "audio": {"id": "1"}}), 100),
        (interactive("button", BUTTON, header={"type": "image"}), 131008),
        (interactive("button", BUTTON, footer={"text": "x" * 61}), 131009),
        (listed(), 131009),
        (listed("x"), 100),
        (listed({"rows": ["x"]}), 100),
        (listed({"rows": "x"}), 100),
        (listed({"title": "A"}), 131008),
        (listed({"rows": [ROW]}, {"rows": [{"id": "2", "title": "B"}]}), 131008),
        (listed({"title": "x" * 25, "rows": [ROW]}), 131009),
        (listed({"rows": [{"id": str(n), "title": "x"} for n in range(11)]}), 131009),
        (listed({"rows": [ROW, ROW]}), 131009),
        (listed({"rows": [{"id": "1", "title": "x" * 25}]}), 131009),
        (listed({"rows": [{"id": "x" * 201, "title": "x"}]}), 131009),
        (listed({"rows": [{**ROW, "description": "x" * 73}]}), 131009),
        (listed({"rows": [ROW]}, header=IMAGE), 100),
        (listed({"rows": [ROW]}, body={"text": "x" * 4097}), 131009),
        (interactive("list", {"button": "x" * 21, "sections": [{"rows": [ROW]}]}), 131009),
        (interactive("cta_url", {}), 131009),
        (interactive("cta_url", {"name": "cta_url"}), 131008),
        (named("cta_url", display_text="x" * 21, url="https://x.example"), 131009),
        (named("cta_url", display_text="x", url="nowhere"), 131009),
        (named("cta_url", display_text="x"), 131009),
        (named("flow", **{**FLOW, "flow_cta": "x" * 31}), 131009),
        (named("flow", **{**FLOW, "flow_message_version": "2"}), 100),
        (named("flow", **FLOW, flow_name="x"), 131008),
        (interactive("location_request_message", {}), 131009),
        (interactive("location_request_message", {"name": "send_place"}), 131009),
        (named("voice_call", display_text="x" * 21), 131009),
        (named("voice_call", ttl_minutes=0), 131009),
        (named("voice_call", ttl_minutes=43_201), 131009),
        (named("voice_call", ttl_minutes="10"), 131009),
        (named("voice_call", ttl_minutes=True), 131009),
        (named("voice_call", payload="x" * 513), 131009),
        (interactive("call_permission_request", {"name": "x"}), 131009),
        (interactive("call_permission_request", ASKS, header=IMAGE), 100),
        (interactive("call_permission_request", ASKS, footer={"text": "F"}), 100),
    ],
)
def test_what_meta_refuses_is_refused(message: dict[str, Any], code: int) -> None:
    with pytest.raises(MetaError) as refused:
        check_message(message)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "around",
    [
        {"recipient_type": "crowd"},
        {"recipient_type": "group"},
        {"recipient_type": 1},
        {"to": ["1"]},
        {"recipient": {"user": "1"}},
        {"context": "wamid.1"},
        {"context": {}},
        {"context": {"message_id": 1}},
        {"biz_opaque_callback_data": "x" * 513},
        {"biz_opaque_callback_data": {"a": 1}},
        {"type": "reaction", "context": {"message_id": "wamid.1"}},
    ],
)
def test_what_is_wrong_around_a_message_is_refused(around: dict[str, Any]) -> None:
    check_envelope({**TEXT, "context": None, "recipient_type": "individual"})
    with pytest.raises(MetaError) as refused:
        check_envelope({**TEXT, **around})
    assert refused.value.code == 100


def test_the_files_of_a_message_are_found_wherever_they_are() -> None:
    header = {"type": "header", "parameters": [{"type": "video", "video": {"id": "2"}}]}
    template = {"name": "x", "components": [header, {"type": "body"}]}
    assert list(files_of({"type": "audio", "audio": {"id": "1"}})) == [("audio", {"id": "1"})]
    assert list(files_of(interactive("button", BUTTON, header=IMAGE))) == [("image", {"id": "1"})]
    assert list(files_of({"type": "template", "template": template})) == [("video", {"id": "2"})]
    assert list(files_of(TEXT)) == []
