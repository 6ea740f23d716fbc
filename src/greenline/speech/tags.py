"""Audio tags: words in square brackets, such as ``[laughs]``, that tell an expressive voice how to speak."""

from __future__ import annotations

import re
from typing import Final

_TAG: Final = re.compile(r"\s*\[[^\W\d_]+(?:[ '-][^\W\d_]+){0,4}\](?!\()")
"""Up to five plain words; what a round bracket follows is a link."""
_EXPRESSIVE: Final = "elevenlabs:eleven_v3"


def takes_tags(synthesiser: str) -> bool:
    """Whether a synthesiser of this name speaks as tags say (reference: ``expressive_mode``, for v3 models only)."""
    return synthesiser.startswith(_EXPRESSIVE)


def untagged(text: str) -> str:
    """``text`` for a voice that would read tags aloud."""
    return _TAG.sub("", text).strip() if _TAG.search(text) else text
