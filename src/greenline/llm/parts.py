"""Files of a message as a model can take them: whole, as text, or by their name."""

from __future__ import annotations

import base64
from typing import Final

from greenline.llm.models import FilePart, TextPart
from greenline.llm.traits import Traits

IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
DOCUMENTS: Final = frozenset({"application/pdf"})
TEXTS: Final = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
MAX_TEXT_CHARACTERS: Final = 100_000
"""About 25,000 tokens: a text file must leave room for the conversation."""


def as_taken(part: TextPart | FilePart, traits: Traits) -> TextPart | FilePart:
    """The part itself, or a text in its place."""
    if isinstance(part, TextPart) or (part.mime_type in IMAGES and traits.images):
        return part
    if part.mime_type in DOCUMENTS and traits.documents:
        return part
    if part.mime_type.startswith("text/") or part.mime_type in TEXTS:
        text = part.data.decode("utf-8", "replace")
        return TextPart(f"File {part.filename}:\n{text[:MAX_TEXT_CHARACTERS]}")
    return TextPart(f"[The person sent a file that you can't open: {part.filename} ({part.mime_type})]")


def data_url(part: FilePart) -> str:
    """The bytes as a ``data:`` address."""
    return f"data:{part.mime_type};base64,{base64.b64encode(part.data).decode()}"
