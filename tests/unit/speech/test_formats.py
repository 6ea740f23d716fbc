from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.speech.errors import AudioError
from greenline.speech.formats import AudioFormat, audio_format, pcm_from_ulaw, ulaw_from_pcm
from support.sounds import rms, samples, sine


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_names_of_pcm_are_those_of_the_reference(rate: int) -> None:
    known = audio_format(f"pcm_{rate}")
    assert (known.encoding, known.rate, known.bytes_per_second) == ("pcm", rate, 2 * rate)
    assert str(known) == f"pcm_{rate}"


def test_ulaw_is_a_byte_a_sample() -> None:
    assert audio_format("ulaw_8000") == AudioFormat("ulaw", 8_000)
    assert audio_format("ulaw_8000").bytes_per_second == 8_000


@pytest.mark.parametrize("name", ["", "pcm", "pcm_11025", "ulaw_16000", "mp3_44100", "PCM_16000"])
def test_other_names_are_refused_with_the_list_of_known_ones(name: str) -> None:
    with pytest.raises(AudioError, match=r"pcm_8000.*ulaw_8000"):
        audio_format(name)


@pytest.mark.parametrize(
    ("sample", "code"),
    [(0, 0xFF), (-1, 0x7F), (32_767, 0x80), (-32_768, 0x00), (8_031, 0xA0), (4, 0xFE), (1_000, 0xCE), (-1_000, 0x4E)],
)
def test_ulaw_has_the_codes_of_g711(sample: int, code: int) -> None:
    assert ulaw_from_pcm(np.array([sample], "<i2").tobytes()) == bytes([code])


def test_every_code_comes_back_as_itself_except_the_second_zero() -> None:
    codes = bytes(range(256))
    again = ulaw_from_pcm(pcm_from_ulaw(codes))
    assert [code for code, other in zip(codes, again, strict=True) if code != other] == [0x7F]


@given(st.binary(min_size=2, max_size=400).filter(lambda raw: len(raw) % 2 == 0))
def test_ulaw_keeps_each_sample_within_a_thirtieth(pcm: bytes) -> None:
    before = samples(pcm).clip(-32_635, 32_635)
    after = samples(pcm_from_ulaw(ulaw_from_pcm(pcm)))
    assert (np.abs(after - before) <= np.maximum(8, np.abs(before) / 30)).all()


def test_ulaw_keeps_the_level_of_a_tone() -> None:
    tone = sine(0.5, 8_000)
    ulaw = audio_format("ulaw_8000")
    assert rms(ulaw.to_pcm(ulaw.from_pcm(tone))) == pytest.approx(rms(tone), rel=0.01)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(AudioError, match="two bytes a sample"):
        audio_format("pcm_16000").to_pcm(b"abc")
