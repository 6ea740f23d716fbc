"""Recordings, transcripts and voicemail: what is ordered, what is made of the sound, and who may leave a message."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest

from greenline.emulator.calls.recording import Tape, chime, ogg, read_orders, transcript, voicemail_wait
from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number

ORDER = {"status": "ENABLED", "purpose": "Quality", "announcement_language": "en_US"}
FRAME = 960


def voice(frames: int) -> bytes:
    return chime()[: frames * FRAME * 2]


def test_recording_and_transcription_are_ordered_apart() -> None:
    assert read_orders("accept", {"recording": ORDER, "transcription": {"status": "DISABLED"}}) == {"recording"}
    assert read_orders("connect", {"transcription": ORDER}) == {"transcription"}
    assert read_orders("pre_accept", {}) == frozenset()


@pytest.mark.parametrize(
    ("action", "order", "details"),
    [
        ("pre_accept", ORDER, "goes with accept or connect"),
        ("accept", {"status": "ENABLED"}, "purpose is required"),
        ("accept", {**ORDER, "purpose": "x" * 251}, "recording.purpose"),
        ("accept", {**ORDER, "announcement_language": "tlh"}, "announcement_language"),
        ("accept", "yes", "recording"),
    ],
)
def test_orders_that_are_refused(action: str, order: Any, details: str) -> None:
    with pytest.raises(MetaError, match=details) as caught:
        read_orders(action, {"recording": order})
    assert caught.value.code == 100


def test_both_sides_lie_beside_each_other() -> None:
    tape, silence = Tape(60.0), bytes(FRAME * 2)
    tape.hear(voice(10))
    for _ in range(60):
        tape.say(silence)
    for at in range(10):
        tape.say(voice(20)[at * FRAME * 2 : (at + 1) * FRAME * 2])
    sound = tape.sound()
    assert sound.shape == (70 * FRAME // 3, 2)
    told = transcript(sound, 1000.0)
    segments = [(s["id"], s["speaker"], s["channel"], s["start"], s["end"]) for s in told["transcript"]["segments"]]
    assert segments == [(0, "Business", 0, 0.0, 0.2), (1, "Customer", 1, 1.2, 1.4)]
    assert (told["transcript"]["duration"], told["transcript"]["text"]) == (1.4, "")
    with av.open(io.BytesIO(ogg(sound, 16_000)), "r") as file:
        stream = file.streams.audio[0]
        assert (stream.codec_context.name, stream.codec_context.channels) == ("opus", 2)
        decoded = sum(frame.samples for frame in file.decode(stream))
    assert decoded / 48_000 == pytest.approx(1.4, abs=0.05)


def test_a_call_in_which_nobody_spoke() -> None:
    empty = Tape(60.0).sound()
    assert ogg(empty, 16_000).startswith(b"OggS")
    assert transcript(np.zeros((16_000, 2), np.int16), 0.0)["transcript"]["segments"] == []


def test_voicemail_takes_over_after_its_own_time() -> None:
    number = Number("1", "2", "+1 555-0100", "Fern")
    assert voicemail_wait(number) is None
    audio = {"default": {"announcement_media_id": "1", "timeout_seconds": 5}}
    number.settings["calling"] = {"voicemail": {"status": "ENABLED", "triggers": ["TIMEOUT"], "audio": audio}}
    assert voicemail_wait(number) == 5.0
