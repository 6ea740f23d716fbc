"""Files of a conversation as its model is given them: themselves, or words in their place."""

from __future__ import annotations

from typing import Final, TypeAlias

from greenline.llm.models import FilePart, TextPart

Shown: TypeAlias = FilePart | TextPart

MOST_BYTES: Final = 24_000_000
"""Of all files of a request, unless one alone is larger: in base64 they are 32 MB, the most that Anthropic takes."""


class Room:
    """How much a model is given of the files of a conversation: at most ``files``, the newest."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._bytes = 0

    def takes(self, size: int) -> bool:
        """Whether it is given one more of ``size`` bytes; asked from the newest to the oldest."""
        self._files -= 1
        fits = self._bytes == 0 or self._bytes + size <= MOST_BYTES
        self._bytes += size
        return fits and self._files >= 0


def earlier(filename: str) -> TextPart:
    """In the place of a file that the model is not given any more (reference: ``max_files_in_memory``)."""
    return TextPart(f"[File {filename}, sent earlier]")


def lost(filename: str) -> TextPart:
    """In the place of a file that the storage can't give."""
    return TextPart(f"[The file {filename} could not be opened.]")
