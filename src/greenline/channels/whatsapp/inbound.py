"""What a person sent, as the agent and the reader of the transcript see it. Pure; takes any JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from greenline.channels.whatsapp.inbound_text import describe
from greenline.channels.whatsapp.webhook_ids import person
from greenline.conversations.events import Medium
from greenline.text import clean_data, without_depths

UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a timestamp that can't be read: it is older than every window and every rule."""
MAX_TEXT: Final = 16_000
"""Characters of one message that reach the model; Meta allows 4,096 for a text, lists of contacts can be longer."""

_LATEST: Final = 4_102_444_800  # the year 2100: later ones are no timestamps

_FILE_TYPES: Final = frozenset({"image", "sticker", "document", "audio"})
"""Types whose file is fetched. The reference drops videos."""

_MEDIUM: Final[dict[str, Medium]] = {
    "image": "image",
    "sticker": "image",
    "document": "file",
    "video": "file",
    "audio": "audio",
}

_EXTENSIONS: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
}


@dataclass(frozen=True, slots=True)
class InboundFile:
    """A file at Meta. ``sha256`` is the webhook's digest, base64; the id lives 7 days."""

    media_id: str
    kind: str
    mime_type: str
    filename: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message of a person.

    ``silent``: nothing to answer (a changed number, a removed reaction). ``unsupported``: something that can't be
    passed on. ``quoted_wamid``: the message it answers, reacts to or corrects; its text is looked up by the worker.
    ``is_voice_note``: it was spoken for this chat, not a sound file that was passed on.
    ``wa_id`` and ``bsuid`` are the person's ids from this message on; both are None in a group.
    """

    type: str
    text: str = field(repr=False)
    at: datetime
    wamid: str | None = None
    medium: Medium = "text"
    quoted_wamid: str | None = None
    files: tuple[InboundFile, ...] = ()
    silent: bool = False
    unsupported: bool = False
    is_voice_note: bool = False
    wa_id: str | None = field(default=None, repr=False)
    bsuid: str | None = field(default=None, repr=False)
    profile_name: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)

    @property
    def changed_at(self) -> datetime | None:
        """When the person got the ids that this message tells of; None of a message under ids that they have."""
        return self.at if self.type == "system" else None


def read_message(payload: object) -> InboundMessage:
    """The message of a stored event of kind ``message`` or ``standby``. Never raises."""
    try:
        payload = _object(clean_data(payload))
    except RecursionError:  # an earlier version has kept what is that deep
        payload = _object(clean_data(without_depths(payload)))
    message, contact = _object(payload.get("message")), _object(payload.get("contact"))
    kind = _text(message.get("type")) or "unknown"
    profile = _object(contact.get("profile"))
    in_group = bool(message.get("group_id"))
    wa_id, bsuid = (None, None) if in_group else person(message, contact)
    if kind == "system":
        system = _object(message.get("system"))
        wa_id, bsuid = _text(system.get("wa_id")) or wa_id, _text(system.get("user_id")) or bsuid
    files = _files(kind, message)
    description = describe(kind, message)
    text = description.text
    if in_group:
        text = f"[{_text(profile.get('name')) or _text(message.get('from')) or 'Someone'} in the group]\n{text}"
    return InboundMessage(
        type=kind[:100],
        text=text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…",
        at=read_timestamp(message.get("timestamp")),
        wamid=_text(message.get("id")),
        medium=_MEDIUM.get(kind, "text"),
        quoted_wamid=description.about or _text(_object(message.get("context")).get("id")),
        files=files,
        silent=description.silent,
        unsupported=description.unsupported and not files,
        is_voice_note=_object(message.get("audio")).get("voice") is True,
        wa_id=wa_id,
        bsuid=bsuid,
        profile_name=None if in_group else _text(profile.get("name")),
        username=None if in_group else _text(profile.get("username")),
    )


def read_preference(payload: object) -> tuple[bool, datetime] | None:
    """Of an event of kind ``user_preferences``: whether marketing is stopped, and since when.

    None for other preferences.
    """
    value = _object(_object(payload).get("value"))
    if value.get("category") != "marketing_messages":
        return None
    stopped = {"stop": True, "resume": False}.get(_text(value.get("value")) or "")
    return None if stopped is None else (stopped, read_timestamp(value.get("timestamp")))


def read_identity(payload: object) -> str | None:
    """Of an event of kind ``identity``: the person's business-scoped id from now on."""
    return _text(_object(_object(_object(payload).get("value")).get("user_id")).get("current"))


def read_timestamp(value: object) -> datetime:
    """A moment from Meta's Unix seconds, text or number; `UNKNOWN_TIME` when they can't be read."""
    try:
        seconds = int(str(value))
    except (ValueError, RecursionError):
        return UNKNOWN_TIME
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LATEST else UNKNOWN_TIME


def _files(kind: str, message: Mapping[str, Any]) -> tuple[InboundFile, ...]:
    media = _object(message.get(kind)) if kind in _FILE_TYPES else {}
    media_id = _text(media.get("id"))
    if media_id is None:
        return ()
    mime_type = (_text(media.get("mime_type")) or "application/octet-stream").split(";")[0].strip().lower()
    name = _safe_name(_text(media.get("filename"))) or f"{kind}{_EXTENSIONS.get(mime_type, '')}"
    return (InboundFile(media_id, kind, mime_type, name, _text(media.get("sha256"))),)


def _safe_name(name: str | None) -> str:
    """A file name without a path, control characters or excess length."""
    last = re.split(r"[/\\]", name or "")[-1]
    return "".join(char for char in last if char.isprintable()).strip(". ")[-200:]


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
