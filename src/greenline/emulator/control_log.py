"""Control: what exists and what happened."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.responses import Response, StreamingResponse

from greenline.emulator.control_answers import (
    Attempt,
    Deliveries,
    Events,
    GraphCalls,
    State,
    WebhooksShown,
    binary,
    refusals,
    unchecked,
)
from greenline.emulator.control_models import Raw, known
from greenline.emulator.control_router import Emulated, control_router
from greenline.emulator.webhooks import sign, wire_form

router = control_router()
_EVENT_STREAM: Final = binary("text/event-stream", "Events without end.")


@router.get("/state", response_model=State)
async def state(meta: Emulated) -> dict[str, Any]:
    """Show what exists, and what is still to be told."""
    return {
        "now": meta.clock.now(),
        "apps": [{"id": a.id, "callback_url": a.callback_url} for a in meta.world.apps.values()],
        "accounts": [
            {"id": a.id, "name": a.name, "subscribed": list(a.subscribed)} for a in meta.world.accounts.values()
        ],
        "numbers": [
            {"id": n.id, "display": n.display, "account_id": n.account_id} for n in meta.world.numbers.values()
        ],
        "people": [person.shown() for person in meta.world.people.values()],
        "pending_webhooks": meta.webhooks.pending(),
        "last_event": meta.journal.last,
    }


@router.get("/events", response_model=Events)
async def events(meta: Emulated, after: int = 0, wait: float = 0.0) -> Response:
    """Show the log after a number; waits up to `wait` seconds, 60 at most, for something new."""
    found = await meta.journal.wait(after, min(wait, 60.0))
    last = found[-1]["seq"] if found else max(after, meta.journal.last if not after else 0)
    return unchecked({"events": found, "last": last})


@router.get("/stream", response_class=StreamingResponse, responses=_EVENT_STREAM)
async def stream(meta: Emulated, after: int = 0) -> StreamingResponse:
    """Stream the log as Server-Sent Events, whose data are the events of `/events`."""

    async def lines() -> AsyncIterator[str]:
        seen = after
        while True:
            for event in await meta.journal.wait(seen, 15.0):
                seen = event["seq"]
                yield f"id: {seen}\ndata: {json.dumps(event)}\n\n"
            yield ": still here\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@router.get("/deliveries", response_model=Deliveries)
async def deliveries(meta: Emulated, person_id: str | None = None, phone_number_id: str | None = None) -> Response:
    """Show what reached people, and how often for each id of the business."""
    found = [
        d
        for d in meta.carrier.evidence
        if person_id in (None, d["person_id"]) and phone_number_id in (None, d["phone_number_id"])
    ]
    counts: dict[str, int] = {}
    for delivery in found:
        key = str(delivery["biz_opaque_callback_data"])
        counts[key] = counts.get(key, 0) + 1
    forgotten = meta.carrier.evidence.forgotten
    return unchecked({"deliveries": found, "counts": counts, "forgotten": forgotten})


@router.get("/graph-calls", response_model=GraphCalls)
async def graph_calls(meta: Emulated) -> Response:
    """Show every Graph call: what it `sends`, its answer (`status` null: none), which `faults` acted on it."""
    return unchecked({"calls": list(meta.graph_calls), "forgotten": meta.graph_calls.forgotten})


@router.get("/webhooks", response_model=WebhooksShown)
async def webhooks(meta: Emulated) -> Response:
    """Show every webhook, with the result of each attempt."""
    kept = meta.webhooks.deliveries
    found = [delivery.shown() for delivery in kept]
    return unchecked({"deliveries": found, "pending": meta.webhooks.pending(), "forgotten": kept.forgotten})


@router.post("/webhooks/raw", response_model=Attempt, responses=refusals(404))
async def raw(meta: Emulated, body: Raw) -> dict[str, Any]:
    """Send exact bytes to the callback once, signed or forged, and report its answer."""
    owner = known(meta.world.apps, body.app_id or next(iter(meta.world.apps), ""))
    data = body.body_base64 if body.body_base64 is not None else wire_form(body.envelope)
    headers = sign(owner.secret, data)
    if body.signature is not None:
        headers = {"X-Hub-Signature-256": body.signature} if body.signature else {}
    return await meta.webhooks.send_raw(owner, owner.callback_url or "", data, headers)
