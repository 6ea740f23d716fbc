from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from greenline.speech.errors import AudioError
from greenline.speech.notes import NOTE_BYTES, NOTE_MIME_TYPE, decode_recording, encode_note
from greenline.speech.wav import encode_wav
from support.sounds import mixed, noise, pitch, rms, sine, sound_file


@dataclass(frozen=True)
class Page:
    """A page of an Ogg file (RFC 3533)."""

    flags: int
    position: int
    number: int
    body: bytes


def pages(data: bytes) -> Iterator[Page]:
    at = 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        segments = data[at + 27 : at + 27 + data[at + 26]]
        start = at + 27 + len(segments)
        yield Page(
            data[at + 5],
            struct.unpack_from("<q", data, at + 6)[0],
            struct.unpack_from("<I", data, at + 18)[0],
            data[start : start + sum(segments)],
        )
        at = start + sum(segments)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.217])
def test_a_note_says_how_long_it_is_to_the_sample(rate: int, seconds: float) -> None:
    pcm = sine(seconds, rate)
    note = encode_note(pcm, rate)
    assert note.mime_type == NOTE_MIME_TYPE
    assert note.seconds == len(pcm) / 2 / rate
    head, *rest = pages(note.data)
    channels, skipped = head.body[9], struct.unpack_from("<H", head.body, 10)[0]
    assert head.body.startswith(b"OpusHead")
    assert channels == 1
    assert (rest[-1].position - skipped) / 48_000 == pytest.approx(note.seconds, abs=0.0005)
    assert rest[-1].flags & 4, "the last page must close the stream"


def test_pages_of_a_note_are_numbered_and_their_times_grow() -> None:
    found = list(pages(encode_note(sine(10.0, 16_000), 16_000).data))
    assert [page.number for page in found] == list(range(len(found)))
    assert sorted(page.position for page in found) == [page.position for page in found]


def test_a_note_sounds_as_what_was_spoken() -> None:
    pcm = sine(2.0, 22_050)
    heard = decode_recording(encode_note(pcm, 22_050).data)
    assert heard.codec == "opus"
    assert heard.seconds == pytest.approx(2.0, abs=0.001)
    assert pitch(heard.pcm, 16_000) == pytest.approx(440, abs=2)
    assert rms(heard.pcm) == pytest.approx(rms(pcm), rel=0.1)


@pytest.mark.parametrize("minutes", [2.5, 5.0])
def test_a_long_note_takes_a_lower_bit_rate_and_keeps_its_play_icon(minutes: float) -> None:
    second = mixed(sine(1.0, 16_000), noise(1.0, 16_000))
    pcm = second * int(60 * minutes)
    note = encode_note(pcm, 16_000)
    assert len(note.data) <= NOTE_BYTES
    assert note.seconds == pytest.approx(60 * minutes)


def test_no_sound_makes_no_note() -> None:
    with pytest.raises(AudioError, match="no sound"):
        encode_note(b"", 16_000)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "name"),
    [
        ("ogg", "libopus", 48_000, "opus"),
        ("adts", "aac", 44_100, "aac"),
        ("mp4", "aac", 44_100, "aac"),
        ("amr", "libopencore_amrnb", 8_000, "amrnb"),
        ("mp3", "libmp3lame", 44_100, "mp3"),
        ("wav", "pcm_s16le", 16_000, "pcm_s16le"),
    ],
)
def test_what_whatsapp_takes_is_heard(container: str, codec: str, rate: int, name: str) -> None:
    pcm = sine(1.5, rate)
    file = sound_file(pcm, rate, container=container, codec=codec)
    heard = decode_recording(file)
    assert heard.codec in (name, f"{name}float")
    assert heard.seconds == pytest.approx(1.5, abs=0.1)
    assert pitch(heard.pcm, 16_000) == pytest.approx(440, abs=3)
    assert rms(heard.pcm) == pytest.approx(rms(pcm), rel=0.3)


def test_a_wav_of_ours_is_heard_as_it_was() -> None:
    pcm = sine(0.5, 16_000)
    assert decode_recording(encode_wav(pcm, 16_000)).pcm == pcm


def test_a_note_that_was_cut_is_heard_as_far_as_it_goes() -> None:
    whole = encode_note(sine(10.0, 16_000), 16_000).data
    heard = decode_recording(whole[: len(whole) // 2])
    assert 2 < heard.seconds < 8


@pytest.mark.parametrize(
    "junk",
    [b"", b"x", b"OggS" + bytes(100), bytes(10_000), b"<html>gone</html>", b"RIFF" + bytes(60), b"\xff\xfb" * 9],
)
def test_bytes_without_sound_are_refused_in_words(junk: bytes) -> None:
    with pytest.raises(AudioError, match="audio: "):
        decode_recording(junk)


def test_no_cut_and_no_flipped_byte_gets_past_as_anything_but_sound_or_refusal() -> None:
    whole = encode_note(noise(0.3, 16_000), 16_000).data
    for at in range(0, len(whole), 7):
        for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            with contextlib.suppress(AudioError):
                assert decode_recording(broken).pcm


def test_a_file_that_unfolds_to_too_much_is_refused() -> None:
    note = encode_note(bytes(16_000 * 2 * 40), 16_000)
    with pytest.raises(AudioError, match="longer than 30 seconds"):
        decode_recording(note.data, max_seconds=30)
