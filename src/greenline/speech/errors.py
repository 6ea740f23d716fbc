"""What goes wrong with speech. A channel turns it into words for the person and a failure for the operator."""

from __future__ import annotations


class SpeechError(Exception):
    """A provider of speech failed. ``provider`` is its name, the text is for an operator and holds no secret.

    ``of_request`` is whether this one request was at fault, as with an unknown voice: others may go well.
    """

    def __init__(self, provider: str, text: str, *, of_request: bool = False) -> None:
        super().__init__(f"{provider}: {text}")
        self.provider = provider
        self.of_request = of_request


class RecognitionError(SpeechError):
    """Speech could not be turned into text."""


class SynthesisError(SpeechError):
    """Text could not be turned into speech."""


class SpeechNotConfigured(SpeechError):
    """A provider was asked for that lacks a key, an address or weights; the text names the setting."""


class AudioError(SpeechError):
    """Bytes that hold no sound that can be read, or more of it than is taken. ``provider`` is ``audio``."""

    def __init__(self, text: str) -> None:
        super().__init__("audio", text)
