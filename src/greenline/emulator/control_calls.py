"""Control: people who call and are called, what they say and what they heard."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, HTTPException
from pydantic import BaseModel, Field
from starlette.responses import Response

from greenline.emulator.calls.call import Call
from greenline.emulator.calls.network import Network
from greenline.emulator.calls.peer import HEARD_RATE, decode_sound, wav
from greenline.emulator.calls.script import Script
from greenline.emulator.control_answers import (
    Calls,
    CallShown,
    Duration,
    SessionDescription,
    binary,
    refusals,
)
from greenline.emulator.control_models import Base64, known
from greenline.emulator.control_router import Emulated, control_router
from greenline.emulator.meta import Meta

router = control_router()


class Dial(BaseModel, extra="forbid"):
    """Whom a person calls, and what the business wrote into the button or the link by which they do."""

    phone_number_id: str
    cta_payload: str | None = Field(None, max_length=512)
    deeplink_payload: str | None = Field(None, max_length=512)


class Sound(BaseModel, extra="forbid"):
    """A sound file in base64, of any usual format."""

    data_base64: Base64


class Keys(BaseModel, extra="forbid"):
    """Keys of a telephone."""

    keys: str = Field(min_length=1, max_length=60)


class NetworkOfCall(BaseModel, extra="forbid"):
    """How packets of sound fare from now on, in both directions: shares of 1, milliseconds, seconds."""

    loss: float = Field(0.0, ge=0, le=1)
    duplicate: float = Field(0.0, ge=0, le=1)
    jitter_ms: float = Field(0.0, ge=0, le=5_000)
    gap_seconds: float = Field(0.0, ge=0, le=600)
    seed: int = 1


class Offer(BaseModel, extra="forbid"):
    """The session description of a browser, with all its candidates."""

    sdp: str


@router.post("/people/{person_id}/calls", response_model=CallShown, responses=refusals(404, 409))
async def dial(meta: Emulated, person_id: str, body: Dial) -> dict[str, Any]:
    """Call a number as a person; 409 with the reason while it takes no calls, or they are in one."""
    person, number = known(meta.world.people, person_id), known(meta.world.numbers, body.phone_number_id)
    reason = meta.desk.why_not(person, number)
    if reason is not None:
        raise HTTPException(409, reason)
    payloads = body.model_dump(include={"cta_payload", "deeplink_payload"}, exclude_none=True)
    return (await meta.desk.dial(person, number, **payloads)).shown()


@router.get("/calls", response_model=Calls)
async def calls(meta: Emulated) -> dict[str, Any]:
    """Show the calls that run, and those that are over."""
    return {"calls": [call.shown() for call in meta.desk.calls.values()]}


@router.get(
    "/calls/{call_id:path}/heard.wav",
    response_class=Response,
    responses=binary("audio/wav", "Mono, 16 kHz.") | refusals(404, 410),
)
async def heard(meta: Emulated, call_id: str) -> Response:
    """Fetch what the person heard, from the acceptance on; 410 when that had to make room for newer calls."""
    call = _call(meta, call_id)
    if call.sound_forgotten:
        raise HTTPException(410, "The sound of this call made room for newer ones; see kept_sound_seconds.")
    return Response(wav(call.heard, HEARD_RATE), media_type="audio/wav")


@router.post("/calls/{call_id:path}/say", response_model=Duration, responses=refusals(404, 409))
async def say(meta: Emulated, call_id: str, body: Sound) -> dict[str, float]:
    """Say something as the person, now; answers how long it lasts."""
    call, pcm = _call(meta, call_id), _decoded(body)
    if not call.can_speak:
        raise HTTPException(409, f"The call is {call.state}.")
    call.say(pcm)
    return {"seconds": len(pcm) / 2 / 48_000}


@router.post("/calls/{call_id:path}/voicemail", response_model=CallShown, responses=refusals(404, 409))
async def voicemail(meta: Emulated, call_id: str, body: Sound) -> dict[str, Any]:
    """Leave a message as the person after a call that nobody took; 409 with the reason where that can't be."""
    call, pcm = _call(meta, call_id), _decoded(body)
    try:
        meta.desk.leave_voicemail(call, pcm)
    except ValueError as error:
        raise HTTPException(409, str(error)) from error
    return call.shown()


@router.post("/calls/{call_id:path}/press", response_model=CallShown, responses=refusals(404, 409))
async def press(meta: Emulated, call_id: str, body: Keys) -> dict[str, Any]:
    """Press keys as the person, one after the other; speech waits meanwhile."""
    call = _call(meta, call_id)
    if call.state != "active":
        raise HTTPException(409, f"The call is {call.state}.")
    try:
        call.press(body.keys)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    return call.shown()


@router.post("/calls/{call_id:path}/accept", response_model=CallShown, responses=refusals(404))
async def accept(meta: Emulated, call_id: str) -> dict[str, Any]:
    """Take a call of the business as the person; nothing happens where it does not ring."""
    call = _call(meta, call_id)
    meta.desk.take(call)
    return call.shown()


@router.post("/calls/{call_id:path}/decline", response_model=CallShown, responses=refusals(404))
async def decline(meta: Emulated, call_id: str) -> dict[str, Any]:
    """Decline a call of the business as the person; nothing happens where it does not ring."""
    call = _call(meta, call_id)
    meta.desk.decline(call)
    return call.shown()


@router.post("/calls/{call_id:path}/hangup", response_model=CallShown, responses=refusals(404))
async def hang_up(meta: Emulated, call_id: str) -> dict[str, Any]:
    """Hang up as the person."""
    call = _call(meta, call_id)
    meta.desk.hang_up(call)
    return call.shown()


@router.post("/calls/{call_id:path}/network", response_model=CallShown, responses=refusals(404))
async def network(meta: Emulated, call_id: str, body: NetworkOfCall) -> dict[str, Any]:
    """Lose, hold up or copy packets of the call from now on; all at 0 is a good network again."""
    call = _call(meta, call_id)
    call.peer.way.set(Network(**body.model_dump()))
    call.note("network", **body.model_dump())
    return call.shown()


@router.post("/calls/{call_id:path}/script", response_model=CallShown, responses=refusals(404, 409))
async def script(meta: Emulated, call_id: str, body: Script) -> dict[str, Any]:
    """Let the person keep to a script; the call shows how far it came, and where it failed."""
    call = _call(meta, call_id)
    if call.play is not None and call.play.state == "running":
        raise HTTPException(409, "A script is running in this call.")
    meta.desk.perform(call, body)
    return call.shown()


@router.post("/calls/{call_id:path}/browser", response_model=SessionDescription, responses=refusals(404))
async def browser(meta: Emulated, call_id: str, body: Annotated[Offer, Body()]) -> dict[str, Any]:
    """Let a browser play the person by its own WebRTC, in place of the one before; answers its offer."""
    call = _call(meta, call_id)
    try:
        return {"sdp": await meta.desk.attach(call, body.sdp), "browser": call.browsers}
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


@router.get("/calls/{call_id:path}", response_model=CallShown, responses=refusals(404))
async def call(meta: Emulated, call_id: str) -> dict[str, Any]:
    """Show a call: its state, its timeline, and when the person heard a voice."""
    return _call(meta, call_id).shown()


def _call(meta: Meta, call_id: str) -> Call:
    return known(meta.desk.calls, call_id)


def _decoded(sound: Sound) -> bytes:
    try:
        return decode_sound(sound.data_base64)
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
