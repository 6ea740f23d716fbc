"""What stands in a text beside its words: audio tags, such as ``[laughs]``, and two of SSML.

Agents that were written for ElevenLabs have them in prompts and first messages, and their models write them on. Each
synthesiser gets what it acts on; the rest would be read aloud, or swallow the word that it is about.
"""

from __future__ import annotations

import re
from typing import Final

_TAG: Final = re.compile(r"\s*\[[^\W\d_]+(?:[ '-][^\W\d_]+){0,4}\](?!\()")
"""Up to five plain words; what a round bracket follows is a link."""
_BREAK: Final = re.compile(r"\s*<break\b(?:[^<>]*?\btime\s*=\s*[\"']?([0-9.]+)(m?)s)?[^<>]*>\s*", re.IGNORECASE)
_PHONEME: Final = re.compile(r"</?phoneme\b[^<>]*>", re.IGNORECASE)
_EXPRESSIVE: Final = "elevenlabs:eleven_v3"
_BREAKS: Final = "elevenlabs:"
"""All of its models know ``break``, except those that take audio tags for it."""
_PHONEMES: Final = frozenset(f"elevenlabs:eleven_{name}" for name in ("flash_v2", "turbo_v2", "monolingual_v1"))
"""The other models leave the word out that stands in ``phoneme``."""
_SHORT, _LONG = 0.7, 1.5
"""Seconds below and above which a pause is called so."""


def takes_tags(synthesiser: str) -> bool:
    """Whether a synthesiser of this name speaks as tags say (reference: ``expressive_mode``, for v3 models only)."""
    return synthesiser.startswith(_EXPRESSIVE)


def readable(synthesiser: str, text: str) -> str:
    """``text`` with no more tags than a synthesiser of this name acts on."""
    if "[" in text and not takes_tags(synthesiser):
        text = untagged(text)
    if "<" not in text:
        return text
    if synthesiser not in _PHONEMES:
        text = _PHONEME.sub("", text)
    if takes_tags(synthesiser):
        text = _BREAK.sub(_named_pause, text)
    elif not synthesiser.startswith(_BREAKS):
        text = _BREAK.sub(_comma, text)
    return text.strip()


def untagged(text: str) -> str:
    """``text`` for a voice that would read tags aloud."""
    return _TAG.sub("", text).strip() if _TAG.search(text) else text


def _named_pause(found: re.Match[str]) -> str:
    seconds = _seconds(found)
    return f" [{'short pause' if seconds < _SHORT else 'long pause' if seconds > _LONG else 'pause'}] "


def _comma(found: re.Match[str]) -> str:
    """What makes any voice pause, where nothing does already."""
    before = found.string[: found.start()].rstrip()
    return ", " if before and before[-1].isalnum() else " "


def _seconds(found: re.Match[str]) -> float:
    try:
        return float(found[1]) / (1000 if found[2] else 1)
    except (TypeError, ValueError):
        return 1.0
