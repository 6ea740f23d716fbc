"""Whatever is posted is taken, or refused in Meta's envelope: bodies that are nearly right, and any JSON at all."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.meta import Emulator, emulator_here
from support.wait import until

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ROWS = [{"id": "1", "title": "One", "description": "First"}]
HEADER = {"type": "image", "image": {"link": "https://x.example/a.png"}}
CALL = {"name": "voice_call", "parameters": {"display_text": "Call", "ttl_minutes": 5, "payload": "x"}}
VALUE = {"type": "text", "text": "Ann"}
BUTTONS = [
    {"type": "QUICK_REPLY", "text": "Thanks"},
    {"type": "URL", "text": "Track", "url": "https://x.example/{{1}}"},
    {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001111"},
]


def interactive(kind: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": "Sure?"}, "action": action, **more}}


MESSAGES: list[dict[str, Any]] = [
    {"type": "text", "text": {"body": "Hi"}, "context": {"message_id": "wamid.1"}, "biz_opaque_callback_data": "x"},
    {"type": "document", "document": {"link": "https://x.example/a", "caption": "A", "filename": "a.pdf"}},
    {"type": "audio", "audio": {"id": "1", "voice": True}},
    {"type": "location", "location": {"latitude": 1, "longitude": "2", "name": "A"}},
    {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ann"}}]},
    {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "x"}},
    interactive("button", {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}, header=HEADER),
    interactive("list", {"button": "Choose", "sections": [{"title": "A", "rows": ROWS}]}, footer={"text": "F"}),
    interactive("cta_url", {"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://x.example"}}),
    interactive("voice_call", CALL),
    interactive("call_permission_request", {"name": "call_permission_request"}),
    interactive("location_request_message", {"name": "send_location"}),
    {
        "type": "template",
        "template": {
            "name": "order",
            "language": {"code": "en"},
            "components": [
                {"type": "header", "parameters": [HEADER]},
                {"type": "body", "parameters": [VALUE]},
                {"type": "button", "sub_type": "url", "index": "1", "parameters": [VALUE]},
            ],
        },
    },
    {"status": "read", "message_id": "wamid.1", "typing_indicator": {"type": "text"}},
]
TEMPLATE: dict[str, Any] = {
    "name": "order",
    "language": "en",
    "category": "UTILITY",
    "parameter_format": "POSITIONAL",
    "components": [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Hi {{1}}, it is here.", "example": {"body_text": [["Ann"]]}},
        {"type": "FOOTER", "text": "Fern"},
        {"type": "BUTTONS", "buttons": BUTTONS},
    ],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something could be put in the place of something else."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in ((*path, key), *places(item, (*path, key)))]


@st.composite
def spoilt(draw: st.DrawFn, good: list[dict[str, Any]]) -> dict[str, Any]:
    """A body that is right but for one to three values, which are something else or missing."""
    body: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(body) or [("type",)]))
        inside: Any = body
        for key in way:
            inside = inside[key]
        if isinstance(inside, dict) and draw(st.booleans()):
            inside.pop(last, None)
        else:
            inside[last] = draw(junk)
    return body


async def post(meta: Emulator, path: str, body: Any) -> None:
    """Send a body, and judge the answer."""
    answer = await meta.http.post(
        f"/v23.0/{path}",
        content=json.dumps(body),
        headers={"Authorization": f"Bearer {meta.business['token']}", "content-type": "application/json"},
    )
    assert answer.status_code < 500, (body, answer.text)
    assert ("error" in answer.json()) == (answer.status_code != 200), (body, answer.text)
    if answer.status_code != 200:
        assert {"message", "type", "code", "fbtrace_id"} <= answer.json()["error"].keys()


limits = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@limits
@given(st.lists(spoilt(MESSAGES) | junk, min_size=8, max_size=16))
async def test_no_message_breaks_the_emulator(bodies: list[Any]) -> None:
    rules = {"enforce_throughput": False, "enforce_pair_rate": False, "sent_delay": 0.0}
    async with emulator_here(**rules) as meta:
        account = meta.business["waba_id"]
        made = await meta.graph("POST", f"{account}/message_templates", TEMPLATE)
        await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
        ann = await meta.person("Ann", "15550100001")
        await meta.say(ann, "Hi")
        for body in bodies:
            if isinstance(body, dict):
                body = {"messaging_product": "whatsapp", "to": f"+{ann.wa_id}", **body}
            await post(meta, f"{meta.number}/messages", body)

        async def all_left() -> bool:
            kinds = [event["kind"] for event in (await meta.call("GET", "/events"))["events"]]
            return kinds.count("message.accepted") == kinds.count("message.sent") + kinds.count("message.failed")

        await until(all_left)


@limits
@given(st.lists(spoilt([TEMPLATE]) | junk, min_size=8, max_size=16))
async def test_no_template_breaks_the_emulator(bodies: list[Any]) -> None:
    async with emulator_here(review_verdict="PENDING") as meta:
        account = meta.business["waba_id"]
        made = await meta.graph("POST", f"{account}/message_templates", {**TEMPLATE, "name": "other"})
        for body in bodies:
            await post(meta, f"{account}/message_templates", body)
            await meta.call("POST", f"/templates/{made['id']}/review", status="APPROVED")
            await post(meta, made["id"], body)
