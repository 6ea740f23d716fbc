"""Files of a conversation as its model is given them: themselves, or words in their place."""

from __future__ import annotations

from typing import TypeAlias

from greenline.llm.models import FilePart, TextPart

Shown: TypeAlias = FilePart | TextPart


def earlier(filename: str) -> TextPart:
    """In the place of a file that the model is not given any more (reference: ``max_files_in_memory``)."""
    return TextPart(f"[File {filename}, sent earlier]")


def lost(filename: str) -> TextPart:
    """In the place of a file that the storage can't give."""
    return TextPart(f"[The file {filename} could not be opened.]")
