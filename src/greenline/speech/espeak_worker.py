"""The process in which eSpeak NG speaks: a program of its own, run by its path, that needs nothing of Greenline.

It is apart because the library ends its process when it is unhappy, computes without letting other threads run, and
is under the GPL. A line of standard input is a request, such as
``{"id": 1, "text": "...", "voices": ["de-at", "de"], "wpm": 170}``: the first of the voices that is there speaks.
Standard output is a sequence of frames: `HEADER`, then ``length`` bytes. The first frame is `HELLO`, with the rate.
Each stretch of speech, from the beginning of a word to that of the next, is a frame `SPEECH` with the place in the
text that it speaks; `END` closes a request, `FAILED` closes it with a reason. The program ends with its input.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import espeakng_loader

HEADER = struct.Struct("<IBIII")
"""Request id, kind, first character, character after the last, length in bytes."""
HELLO, SPEECH, END, FAILED = range(4)

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_BUFFER_MS = 40
_WORD = 1
_RATE = 1
_UTF8 = 1
_BY_CHARACTER = 1


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def send(out: Any, request: int, kind: int, data: bytes = b"", first: int = 0, last: int = 0) -> None:
    """Write a frame."""
    out.write(HEADER.pack(request, kind, first, last, len(data)) + data)
    out.flush()


class Utterance:
    """Cuts the sound of one request where its words begin. ``emit`` gets sound and the place of its text."""

    def __init__(self, characters: int, emit: Callable[[bytes, int, int], None]) -> None:
        self._characters = characters
        self._emit = emit
        self._sound = bytearray()
        self._sent = 0
        self._first = 0

    def hear(self, pcm: bytes) -> None:
        """Add what the library made."""
        self._sound += pcm

    def word(self, position: int, sample: int) -> None:
        """A word begins at the character ``position`` and at ``sample``: what came before it is whole."""
        if self._first < position < self._characters:
            self._cut(max(0, sample - self._sent) * 2, position)

    def end(self) -> None:
        """All of it was made."""
        self._cut(len(self._sound), self._characters)

    def _cut(self, length: int, position: int) -> None:
        sound = bytes(self._sound[:length])
        if sound:
            self._emit(sound, self._first, position)
            del self._sound[:length]
            self._sent += len(sound) // 2
            self._first = position


class Engine:
    """The library, loaded and ready."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, _DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError(f"eSpeak NG has no voice data at {data.decode()}")
        self._utterance: Utterance | None = None
        self._callback = _CALLBACK(self._on_sound)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voices: list[str], wpm: int, emit: Callable[[bytes, int, int], None]) -> None:
        """Say ``text``. Raises ``LookupError`` when none of the voices is there."""
        if all(self._library.espeak_SetVoiceByName(voice.encode()) != 0 for voice in voices):
            raise LookupError(f"eSpeak NG has no voice {voices[-1]!r}")
        self._library.espeak_SetParameter(_RATE, wpm, 0)
        self._utterance = Utterance(len(text), emit)
        raw = text.encode() + b"\0"
        status = self._library.espeak_Synth(raw, len(raw), 0, _BY_CHARACTER, 0, _UTF8, None, None)
        if status != 0:
            raise RuntimeError(f"eSpeak NG refused the text with status {status}")
        self._utterance.end()

    def _on_sound(self, wave: Any, count: int, events: Any) -> int:
        if self._utterance is not None:
            if wave and count > 0:
                self._utterance.hear(ctypes.string_at(wave, count * 2))
            for event in _events(events):
                if event.type == _WORD:
                    self._utterance.word(event.text_position - 1, event.audio_position * self.rate // 1_000)
        return 0


def _events(events: Any) -> Iterator[_Event]:
    place = 0
    while events[place].type != 0:
        yield events[place]
        place += 1


def main() -> None:
    """Answer requests until the input ends."""
    out = sys.stdout.buffer
    engine = Engine()
    send(out, 0, HELLO, struct.pack("<I", engine.rate))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        number = request["id"]

        def emit(pcm: bytes, first: int, last: int, number: int = number) -> None:
            send(out, number, SPEECH, pcm, first, last)

        try:
            engine.speak(request["text"], request["voices"], request["wpm"], emit)
        except (LookupError, RuntimeError) as error:
            send(out, number, FAILED, str(error).encode())
        else:
            send(out, number, END)


if __name__ == "__main__":
    main()
