from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from av import AudioFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.speech.resample import FrameResampler, Resampler, resample
from support.sounds import noise, pitch, rms, sine

RATES = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
TASKS: Final = Path("/proc/self/task")


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


@pytest.mark.skipif(not TASKS.exists(), reason="the threads of a library are seen on Linux")
def test_a_resampler_has_no_threads_of_its_own() -> None:
    """FFmpeg starts one for each core, with nothing to do; a call has several resamplers."""
    before = len(list(TASKS.iterdir()))
    resamplers = [Resampler(24_000, 16_000) for _ in range(5)]
    assert all(resampler.push(sine(0.1, 24_000)) for resampler in resamplers)
    assert len(list(TASKS.iterdir())) == before


def test_frames_of_another_kind_in_the_middle_are_told() -> None:
    resampler = FrameResampler(16_000)
    assert resampler.resample(None) == []
    frame = AudioFrame(format="s16", layout="stereo", samples=480)
    frame.sample_rate = 48_000
    assert sum(part.samples for part in [*resampler.resample(frame), *resampler.resample(None)]) == 160
    frame = AudioFrame(format="s16", layout="mono", samples=480)
    frame.sample_rate = 48_000
    with pytest.raises(ValueError, match="goes on as"):
        resampler.resample(frame)
