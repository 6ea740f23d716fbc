"""Files of a message as a model can take them: whole, as text, or by their name."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from greenline.llm.errors import ModelError
from greenline.llm.models import FilePart, ModelRequest, StreamEvent, TextPart
from greenline.llm.traits import Traits

log = structlog.get_logger(__name__)

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
    text = text_of(part)
    if text is not None:
        return TextPart(f"File {part.filename}:\n{text}")
    return TextPart(f"[The person sent a file that you can't open: {part.filename} ({part.mime_type})]")


def text_of(part: FilePart) -> str | None:
    """What a text file says, as far as a model is told of it; None of other files."""
    if not part.mime_type.startswith("text/") and part.mime_type not in TEXTS:
        return None
    return part.data.decode("utf-8", "replace")[:MAX_TEXT_CHARACTERS]


async def with_files_if_taken(
    generate: Callable[[Traits], AsyncGenerator[StreamEvent, None]], request: ModelRequest, traits: Traits
) -> AsyncGenerator[StreamEvent, None]:
    """What ``generate`` gives. An endpoint that refuses a request with files is asked once more, with their names.

    Which files a model takes is not known of every model, and a file would be sent again with each turn.
    """
    named = replace(traits, images=False, documents=False)
    again = partial(generate, named) if _carries_files(request, traits) else None
    async with contextlib.aclosing(unless_refused(generate(traits), again, request.model)) as events:
        async for event in events:
            yield event


async def unless_refused(
    first: AsyncGenerator[StreamEvent, None],
    otherwise: Callable[[], AsyncGenerator[StreamEvent, None]] | None,
    model: str,
) -> AsyncGenerator[StreamEvent, None]:
    """What ``first`` gives or, where the endpoint refuses the request before it answers, ``otherwise``."""
    begun = False
    try:
        async with contextlib.aclosing(first):
            async for event in first:
                begun = True
                yield event
            return
    except ModelError as error:
        if begun or error.kind != "bad_request" or otherwise is None:
            raise
        log.warning("model.refused_files", model=model, error=str(error))
    async with contextlib.aclosing(otherwise()) as events:
        async for event in events:
            yield event


def carries_documents(request: ModelRequest) -> bool:
    """Whether a file is among what is asked that only some protocols can carry."""
    parts = (part for message in request.messages for part in message.parts)
    return any(isinstance(part, FilePart) and part.mime_type in DOCUMENTS for part in parts)


def _carries_files(request: ModelRequest, traits: Traits) -> bool:
    parts = (part for message in request.messages for part in message.parts)
    return any(isinstance(as_taken(part, traits), FilePart) for part in parts)


def data_url(part: FilePart) -> str:
    """The bytes as a ``data:`` address."""
    return f"data:{part.mime_type};base64,{base64.b64encode(part.data).decode()}"
