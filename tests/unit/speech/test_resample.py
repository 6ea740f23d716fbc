from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.speech.resample import Resampler, resample
from support.sounds import noise, pitch, rms, sine

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)


@pytest.mark.parametrize("source", RATES)
@pytest.mark.parametrize("target", RATES)
def test_a_tone_keeps_its_pitch_its_level_and_its_length(source: int, target: int) -> None:
    tone = sine(1.0, source)
    out = resample(tone, source, target)
    assert len(out) / 2 / target == pytest.approx(1.0, abs=0.002)
    assert pitch(out, target) == pytest.approx(440, abs=2)
    assert rms(out) == pytest.approx(rms(tone), rel=0.02)


def test_what_a_lower_rate_can_not_hold_does_not_come_back_as_another_tone() -> None:
    out = resample(sine(1.0, 48_000, hertz=11_000), 48_000, 16_000)
    assert rms(out) < 0.02 * rms(sine(1.0, 48_000))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=30))
def test_pieces_of_any_size_sound_as_the_whole(sizes: list[int]) -> None:
    sound = noise(1.0, 48_000)[: sum(sizes) // 2 * 2]
    resampler = Resampler(48_000, 16_000)
    out, at = b"", 0
    for size in sizes:
        out += resampler.push(sound[at : at + size])
        at += size
    assert out + resampler.flush() == resample(sound, 48_000, 16_000)


def test_the_delay_is_about_a_millisecond() -> None:
    resampler = Resampler(48_000, 16_000)
    out = resampler.push(sine(0.02, 48_000))
    assert len(out) / 2 / 16_000 >= 0.018


def test_a_reset_lets_nothing_of_the_cut_sound_through() -> None:
    resampler = Resampler(24_000, 16_000)
    resampler.push(sine(0.1, 24_000))
    resampler.reset()
    assert rms(resampler.push(bytes(4_800)) + resampler.flush()) == 0


def test_equal_rates_pass_through() -> None:
    resampler = Resampler(16_000, 16_000)
    assert resampler.push(b"abc") == b"ab"
    assert resampler.push(b"d") == b"cd"
    assert resampler.flush() == b""
