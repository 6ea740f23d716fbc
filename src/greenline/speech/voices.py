"""The name of a voice at the provider that speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_REFERENCE_ID: Final = re.compile(r"[A-Za-z0-9]{20}")
"""How the reference names voices: no other provider knows them."""


def provider_voice(mapping: Mapping[str, str], provider: str, voice_id: str) -> str:
    """The voice for an agent's ``voice_id``; empty for the provider's default.

    ``mapping`` (``GREENLINE_VOICE_MAP``) leads from a voice id, or ``*``, to ``provider:voice``, for one provider, or
    to a voice for all. What is not in it is the provider's own name, unless it is an id of the reference.
    """
    for name in (voice_id, "*"):
        owner, colon, voice = mapping.get(name, "").partition(":")
        if colon and owner == provider:
            return voice
        if owner and not colon:
            return owner
    if provider != "elevenlabs" and _REFERENCE_ID.fullmatch(voice_id):
        return ""
    return voice_id
