"""The text form of every message type of WhatsApp (Meta: messages webhook reference).

What the person wrote stands as it is; what the channel adds stands in square brackets, in plain words, so that
a model and a reader of the transcript understand it alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from greenline.channels.choices import chosen
from greenline.channels.whatsapp.vcard import read_vcard
from greenline.text import clean_data

Message: TypeAlias = Mapping[str, Any]

MAX_FORM_FIELDS: Final = 50


@dataclass(frozen=True, slots=True)
class Description:
    """A message in words. ``about`` is the wamid of the message that it changes or reacts to."""

    text: str = field(repr=False)
    silent: bool = False
    unsupported: bool = False
    about: str | None = None


def describe(kind: str, message: Message) -> Description:
    """What ``message`` of type ``kind`` says. Never raises; unknown types are ``unsupported``."""
    form = FORMS.get(kind)
    found = form(message) if form else Description(f"[A message of the type “{kind[:100]}”]", unsupported=True)
    lead = "" if found.silent else "".join(f"{line}\n" for line in _circumstances(message))
    return Description(lead + found.text, found.silent, found.unsupported, found.about) if lead else found


def _circumstances(message: Message) -> list[str]:
    """How the message came about: forwarded, from an advertisement, about a product."""
    lines = []
    context, referral = _object(message.get("context")), _object(message.get("referral"))
    if context.get("forwarded") or context.get("frequently_forwarded"):
        lines.append("[Forwarded]")
    product = _object(context.get("referred_product"))
    if product:
        lines.append(f"[About the product {_words(product, 'product_retailer_id') or 'of the catalogue'}]")
    if referral:
        said = _join(" – ", _words(referral, "headline"), _words(referral, "body"))
        source = "a post" if referral.get("source_type") == "post" else "an advertisement"
        lines.append(f"[Came from {source}: {said}]" if said else f"[Came from {source}]")
    return lines


def _text(message: Message) -> Description:
    body = _words(_object(message.get("text")), "body")
    return Description(body) if body else Description("[An empty message]", unsupported=True)


def _image(message: Message) -> Description:
    return _media(message, "image", "[Image]")


def _sticker(message: Message) -> Description:
    return _media(message, "sticker", "[Sticker]")


def _document(message: Message) -> Description:
    name = _words(_object(message.get("document")), "filename")
    return _media(message, "document", f"[Document: {name}]" if name else "[Document]")


def _video(message: Message) -> Description:
    # The reference drops videos: without words there is nothing to answer.
    caption = _words(_object(message.get("video")), "caption")
    return Description(_join("\n", "[Video, which can't be watched here]", caption), unsupported=not caption)


def _audio(message: Message) -> Description:
    # The words that recognition finds stand in its place; a voicemail bears the id of its call.
    name = "Voice message" if _object(message.get("audio")).get("voice") else "Audio file"
    return _media(message, "audio", "[Voicemail]" if str(message.get("id")).startswith("wacid.") else f"[{name}]")


def _media(message: Message, kind: str, name: str) -> Description:
    media = _object(message.get(kind))
    text = _join("\n", name, _words(media, "caption"))
    if media.get("id"):
        return Description(text)
    return Description(f"{text}\n[It could not be received: Meta gave no file]", unsupported=not media.get("caption"))


def _location(message: Message) -> Description:
    place = _object(message.get("location"))
    position = _join(", ", _words(place, "latitude"), _words(place, "longitude"))
    named = _join(", ", _words(place, "name"), _words(place, "address"), _words(place, "url"))
    return Description(f"[Location: {_join(', ', named, position and f'at {position}') or 'not given'}]")


def _contacts(message: Message) -> Description:
    contacts = [_contact(_object(contact)) for contact in _list(message.get("contacts"))]
    return Description("\n".join(contacts) or "[Contact without details]")


def _contact(contact: Message) -> str:
    """What the fields tell, and what only the vCard does: an answer to a request for it may bring nothing else."""
    name, org, card = _object(contact.get("name")), _object(contact.get("org")), read_vcard(_words(contact, "vcard"))
    full = _words(name, "formatted_name") or _join(" ", _words(name, "first_name"), _words(name, "last_name"))
    phones = [
        _words(_object(item), "phone") or _words(_object(item), "wa_id") for item in _list(contact.get("phones"))
    ]
    emails = [_words(_object(item), "email") for item in _list(contact.get("emails"))]
    links = [_words(_object(item), "url") for item in _list(contact.get("urls"))]
    places = [
        _join(", ", *(_words(_object(item), part) for part in ("street", "zip", "city", "country")))
        for item in _list(contact.get("addresses"))
    ]
    parts = _join(
        ", ",
        full or card.name or "no name",
        _join(" ", _words(org, "title") or card.title, _words(org, "company") or card.organisation),
        *(phone and f"phone {phone}" for phone in (phones if any(phones) else card.phones)),
        *(email and f"e-mail {email}" for email in (emails if any(emails) else card.emails)),
        *links,
        *(place and f"address {place}" for place in places),
    )
    asked = _words(contact, "origin") == "contact_request"
    return f"[Contact, as asked for: {parts}]" if asked else f"[Contact: {parts}]"


def _reaction(message: Message) -> Description:
    reaction = _object(message.get("reaction"))
    emoji, about = _words(reaction, "emoji"), _words(reaction, "message_id") or None
    if not emoji:
        return Description("[Took a reaction back]", silent=True, about=about)
    return Description(f"[Reacted with {emoji}]", about=about)


def _order(message: Message) -> Description:
    order = _object(message.get("order"))
    lines = [_product(_object(item)) for item in _list(order.get("product_items"))]
    head = f"[Order from the catalogue {_words(order, 'catalog_id')}".rstrip()
    return Description(_join("\n", f"{head}: {'; '.join(lines) or 'no items'}]", _words(order, "text")))


def _product(item: Message) -> str:
    price = _join(" ", _words(item, "item_price"), _words(item, "currency"))
    return f"{_words(item, 'quantity') or '1'} × {_words(item, 'product_retailer_id') or 'unnamed item'}" + (
        f" at {price} each" if price else ""
    )


def _button(message: Message) -> Description:
    button = _object(message.get("button"))
    return Description(chosen(_words(button, "text"), _words(button, "payload")))


def _interactive(message: Message) -> Description:
    interactive = _object(message.get("interactive"))
    kind = _words(interactive, "type")
    reply = _object(interactive.get(kind))
    if kind == "button_reply":
        return Description(chosen(_words(reply, "title"), _words(reply, "id")))
    if kind == "list_reply":
        title = _join(" – ", _words(reply, "title"), _words(reply, "description"))
        return Description(chosen(title, _words(reply, "id"), "Chosen from the list"))
    if kind == "nfm_reply":
        return Description(_form(reply))
    if kind == "call_permission_reply":
        return Description(f"[Answer to the call permission request: {_words(reply, 'response')}]", silent=True)
    return Description(f"[An answer of the type “{kind[:100]}”]", unsupported=True)


def _form(reply: Message) -> str:
    """A filled-in form: what the business's own form asked, by the names of its fields."""
    fields = [
        f"{name}: {_plain(value)}"
        for name, value in _answers(_words(reply, "response_json")).items()
        if name != "flow_token" and value not in (None, "", [], {})
    ]
    name = _words(reply, "name")
    return "\n".join([f"[Filled-in form{f' “{name}”' if name else ''}]", *fields[:MAX_FORM_FIELDS]])


def _answers(written: str) -> dict[str, Any]:
    """JSON within the JSON of the message, which a person's device writes: none where nobody can read it."""
    try:
        found = orjson.loads(written)
        orjson.dumps(found)  # it does not go down as far as it reads
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return {}
    return _object(clean_data(found))


def _plain(value: object) -> str:
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return _words({"value": value}, "value")


def _system(message: Message) -> Description:
    system = _object(message.get("system"))
    return Description(f"[{_words(system, 'body') or 'The person changed their number or id'}]", silent=True)


def _welcome(message: Message) -> Description:
    return Description("[Opened the chat for the first time]")


def _edit(message: Message) -> Description:
    edit = _object(message.get("edit"))
    about = _words(edit, "original_message_id") or None
    inner = _object(edit.get("message"))
    kind = _words(inner, "type") or "text"
    inside = describe(kind, inner) if kind not in ("edit", "revoke") else Description("", unsupported=True)
    return Description(
        f"[Changed an earlier message to:]\n{inside.text}", unsupported=inside.unsupported, about=about
    )


def _revoke(message: Message) -> Description:
    about = _words(_object(message.get("revoke")), "original_message_id") or None
    return Description("[Deleted an earlier message]", silent=True, about=about)


def _unsupported(message: Message) -> Description:
    kind = _words(_object(message.get("unsupported")), "type")
    return Description(f"[Unsupported message{f': {kind[:100]}' if kind else ''}]", unsupported=True)


FORMS: Final[dict[str, Callable[[Message], Description]]] = {
    "text": _text,
    "image": _image,
    "sticker": _sticker,
    "document": _document,
    "video": _video,
    "audio": _audio,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "order": _order,
    "button": _button,
    "interactive": _interactive,
    "system": _system,
    "request_welcome": _welcome,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
    "unknown": _unsupported,
}
"""By Meta's type of the message."""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(values: Message, key: str) -> str:
    """A text or number as text, stripped; empty for everything else."""
    value = values.get(key)
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) and abs(value) < 1e30 else ""


def _join(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)
