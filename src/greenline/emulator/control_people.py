"""Control: people, what they send, what they tap, and what their phone shows."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from greenline.emulator import taps
from greenline.emulator.control_answers import (
    ChatShown,
    People,
    PersonShown,
    Said,
    WasCounted,
    WasPlayed,
    WasRead,
    binary,
    refusals,
    unchecked,
)
from greenline.emulator.control_models import (
    Feedback,
    FileIn,
    NewPerson,
    NewUserId,
    PersonChange,
    PersonMessage,
    Play,
    React,
    Read,
    Tap,
    known,
)
from greenline.emulator.control_router import Emulated, control_router
from greenline.emulator.errors import MetaError
from greenline.emulator.fault_kinds import MediaExpired
from greenline.emulator.media import LARGEST_INBOUND, RECEIVED_SECONDS
from greenline.emulator.meta import Meta
from greenline.emulator.world import Chat, Message, Number, Person, World, digits

router = control_router()


@router.post("/people", response_model=PersonShown, responses=refusals(409))
async def add(meta: Emulated, body: NewPerson | None = None) -> dict[str, Any]:
    """Make somebody with WhatsApp; 409 for a phone number that somebody has."""
    body = body or NewPerson()
    phone = body.phone or _free_phone(meta.world)
    _refuse_taken(meta.world, phone)
    person = Person(
        id=f"person_{len(meta.world.people) + 1}", user_id=f"US.{digits(16)}", **{**body.model_dump(), "phone": phone}
    )
    meta.world.people[person.id] = person
    return person.shown()


@router.get("/people", response_model=People)
async def people(meta: Emulated) -> dict[str, Any]:
    """Show everybody."""
    return {"people": [person.shown() for person in meta.world.people.values()]}


@router.patch("/people/{person_id}", response_model=PersonShown, responses=refusals(404, 409))
async def change(meta: Emulated, person_id: str, body: PersonChange) -> dict[str, Any]:
    """Change a person: go offline, block the business, take another number, of which businesses are told."""
    person = known(meta.world.people, person_id)
    changes = body.model_dump(exclude_none=True)
    phone = changes.pop("phone", None)
    if phone and phone != person.phone:
        _refuse_taken(meta.world, phone, person)
    if changes.get("blocks_business") and not person.blocks_business:
        meta.block(person)
    for name, value in changes.items():
        setattr(person, name, value)
    if phone and phone != person.phone:
        meta.identities.change_number(person, phone)
    if changes.get("online"):
        meta.carrier.go_online(person)
    return person.shown()


@router.post("/people/{person_id}/user_id", response_model=PersonShown, responses=refusals(404))
async def change_user_id(meta: Emulated, person_id: str, body: NewUserId | None = None) -> dict[str, Any]:
    """Give a person another business-scoped id; the business is told in one way, or in both."""
    person = known(meta.world.people, person_id)
    meta.identities.change_user_id(person, (body or NewUserId()).told)
    return person.shown()


@router.post("/people/{person_id}/messages", response_model=Said, responses=refusals(404, 409))
async def say(meta: Emulated, request: Request, person_id: str, body: PersonMessage) -> dict[str, Any]:
    """Send something as a person; 409 for the answer to a request for calls that has expired."""
    person, number = known(meta.world.people, person_id), known(meta.world.numbers, body.phone_number_id)
    message = body.model_dump(exclude={"phone_number_id", "file"}, exclude_none=True)
    if body.file is not None:
        media, errors = _media(meta, number, body.file, f"{request.url.scheme}://{request.url.netloc}")
        message[body.type] = {**message.get(body.type, {}), **media}
        message |= {"errors": errors} if errors else {}
    return {"message_id": meta.say(person, number, message)}


@router.post("/people/{person_id}/read", response_model=WasRead, responses=refusals(404))
async def read(meta: Emulated, person_id: str, body: Read) -> dict[str, int]:
    """Read the messages of a business up to one, or all: blue ticks, if the person sends receipts."""
    return {"read": meta.carrier.read(_chat(meta, person_id, body.phone_number_id), body.message_id)}


@router.post("/people/{person_id}/play", response_model=WasPlayed, responses=refusals(404))
async def play(meta: Emulated, person_id: str, body: Play) -> dict[str, bool]:
    """Play a voice note of a business; `first` tells whether its status goes out."""
    chat = _chat(meta, person_id, body.phone_number_id)
    return {"first": meta.carrier.play(chat, _message(chat, body.message_id))}


@router.get("/media/{media_id}", response_class=Response, responses=binary("*/*", "The bytes.") | refusals(404))
async def media(meta: Emulated, media_id: str) -> Response:
    """Fetch a file as the phone keeps it: without a token, and after Meta has forgotten it."""
    file = meta.media.find(media_id, 0.0)
    if file is None:
        raise HTTPException(404, f"No file {media_id}.")
    return Response(file.data, media_type=file.mime_type)


@router.post("/people/{person_id}/tap", response_model=Said, responses=refusals(404, 409))
async def tap(meta: Emulated, person_id: str, body: Tap) -> dict[str, Any]:
    """Tap a button or a row; 409 for a button that tells the business nothing, as one that opens a page."""
    chat = _chat(meta, person_id, body.phone_number_id)
    tapped = _message(chat, body.message_id)
    message = taps.reply(tapped, button_id=body.button_id, row_id=body.row_id, index=body.index)
    message["context"] = {"from": chat.number.wa_id, "id": tapped.id}
    return {"message_id": meta.say(chat.person, chat.number, message)}


@router.post("/people/{person_id}/react", response_model=Said, responses=refusals(404))
async def react(meta: Emulated, person_id: str, body: React) -> dict[str, Any]:
    """React to a message, or take a reaction back."""
    chat = _chat(meta, person_id, body.phone_number_id)
    reaction = {"message_id": body.message_id, **({"emoji": body.emoji} if body.emoji else {})}
    return {"message_id": meta.say(chat.person, chat.number, {"type": "reaction", "reaction": reaction})}


@router.get("/people/{person_id}/chats/{phone_number_id}", response_model=ChatShown, responses=refusals(404))
async def chat(meta: Emulated, person_id: str, phone_number_id: str) -> Response:
    """Show the screen of a person's chat with a number."""
    shown = _chat(meta, person_id, phone_number_id)
    now, messages = meta.clock.now(), [message.shown() for message in shown.screen]
    return unchecked(
        {"messages": messages, "typing": shown.typing_until > now, "window_open": shown.window_until > now}
    )


@router.post("/people/{person_id}/feedback", response_model=WasCounted, responses=refusals(404))
async def feedback(meta: Emulated, person_id: str, body: Feedback) -> dict[str, Any]:
    """Report a message, or stop or resume the marketing of a business.

    `counted` is false for a report of something that is no template's message of the last seven days.
    """
    chat = _chat(meta, person_id, body.phone_number_id)
    if body.feedback == "report":
        return {"counted": meta.report(chat, body.message_id)}
    meta.prefer(chat, stop=body.feedback == "stop")
    return {"counted": True}


def _free_phone(world: World) -> str:
    while world.find_person(phone := f"1555{digits(7)}") is not None:
        pass
    return phone


def _refuse_taken(world: World, phone: str, person: Person | None = None) -> None:
    owner = world.find_person(phone)
    if owner is not None and owner is not person:
        raise HTTPException(409, f"{owner.name} ({owner.id}) has the number {phone}.")


def _chat(meta: Meta, person_id: str, phone_number_id: str) -> Chat:
    return meta.world.chat(known(meta.world.people, person_id), known(meta.world.numbers, phone_number_id))


def _message(chat: Chat, wamid: str) -> Message:
    message = chat.find(wamid)
    if message is None:
        raise HTTPException(404, f"No message {wamid} in this chat.")
    return message


def _media(meta: Meta, number: Number, file: FileIn, base_url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The file as the business gets it, or the error in its place (Meta: Media, largest inbound files).

    Its address stands in the message since 16 October 2025; it wants the token, and lives five minutes.
    """
    told = {"filename": file.filename, "caption": file.caption, "voice": file.voice}
    shown = {key: value for key, value in told.items() if value is not None}
    if file.unreadable or len(file.data_base64) > LARGEST_INBOUND:
        error = MetaError(131052, "The media of the sender can't be downloaded.")
        return {"mime_type": file.mime_type, **shown}, [error.in_status()]
    now = meta.clock.now()
    media = meta.media.add(number.id, file.mime_type, file.data_base64, file.filename, now + RECEIVED_SECONDS)
    dead = meta.faults.acting(MediaExpired, media_id=media.id) is not None
    return {**media.in_webhook(), "url": meta.media.address(media, base_url, now, dead=dead), **shown}, []
