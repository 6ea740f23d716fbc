"""What pages show of a sound, and how a recording becomes a voice note."""

import pytest

from greenline.speech.errors import AudioError
from greenline.speech.notes import decode_recording, encode_note
from greenline.web.sound import PEAKS, sound_of, voice_note
from support.sounds import sine, sound_file


async def test_a_waveform_is_high_where_it_is_loud() -> None:
    pcm = sine(1.0, 16_000, amplitude=12_000) + bytes(32_000) + sine(1.0, 16_000, amplitude=6_000)
    sound = await sound_of(encode_note(pcm, 16_000).data)
    assert sound is not None
    assert sound.seconds == pytest.approx(3.0, abs=0.05)
    assert len(sound.peaks) == PEAKS
    first, middle, last = sound.peaks[7], sound.peaks[PEAKS // 2], sound.peaks[-7]
    assert first > 90
    assert middle < 5
    assert 40 < last < 60


@pytest.mark.parametrize("data", [b"", b"no sound", b"OggS" + bytes(100)])
async def test_what_is_no_sound_has_none(data: bytes) -> None:
    assert await sound_of(data) is None
    with pytest.raises(AudioError):
        await voice_note(data)


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("ogg", "libopus"), ("mp4", "aac")])
async def test_what_browsers_record_becomes_a_voice_note(container: str, codec: str) -> None:
    recording = sound_file(sine(2.0, 48_000), 48_000, container=container, codec=codec)
    note, mime_type = await voice_note(recording)
    assert mime_type == "audio/ogg; codecs=opus"
    assert note.startswith(b"OggS")
    assert decode_recording(note).seconds == pytest.approx(2.0, abs=0.15)


async def test_a_silent_sound_is_flat() -> None:
    sound = await sound_of(encode_note(bytes(32_000), 16_000).data)
    assert sound is not None
    assert max(sound.peaks) < 5
