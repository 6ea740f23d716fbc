"""Who a message goes to: how recipient ids are written, and under which other ids Meta may know the person."""

from __future__ import annotations

import re
from typing import Final

from greenline.errors import BadRequest

_DIGITS: Final = re.compile(r"[1-9][0-9]{6,14}")  # E.164: at most 15 digits, country code first
_BSUID: Final = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


class InvalidRecipient(BadRequest):
    """Write the WhatsApp user id with digits only, country code first (14155552671), or as Meta's id (US.1349...)."""

    code = "invalid_whatsapp_user_id"


def is_bsuid(user_id: str) -> bool:
    """Whether ``user_id`` is a business-scoped id of Meta's, plain or of a parent portfolio."""
    return _BSUID.fullmatch(user_id) is not None


def check_recipient(user_id: str) -> str:
    """``user_id`` if it is a recipient id as the API writes it. Raises `InvalidRecipient` with what to write."""
    if _DIGITS.fullmatch(user_id) or is_bsuid(user_id):
        return user_id
    digits = re.sub(r"[+()\-.\s]", "", user_id)
    if _DIGITS.fullmatch(digits):
        raise InvalidRecipient(
            f"Write the WhatsApp user id as {digits}: digits only, country code first, no plus, spaces or dashes."
        )
    raise InvalidRecipient


def aliases(wa_id: str) -> tuple[str, ...]:
    """Other digits under which the same person may be known.

    Brazilian mobile numbers have a ninth digit that ids of older accounts lack, Mexican ids carry a 1 after the
    country code, Argentinian ones a 9. Meta writes the one or the other, whatever was dialled.
    """
    if found := re.fullmatch(r"55([1-9][0-9])9?([6-9][0-9]{7})", wa_id):
        both = (f"55{found[1]}9{found[2]}", f"55{found[1]}{found[2]}")
    elif found := re.fullmatch(r"521?([0-9]{10})", wa_id):
        both = (f"521{found[1]}", f"52{found[1]}")
    elif found := re.fullmatch(r"549?([0-9]{10})", wa_id):
        both = (f"549{found[1]}", f"54{found[1]}")
    else:
        return ()
    return tuple(other for other in both if other != wa_id)


def to_e164(display_number: str) -> str:
    """A number as Meta displays it (``+1 415-555-2671``, ``15550001111``), country code included, with its plus."""
    return "+" + re.sub(r"[^0-9]", "", display_number)
