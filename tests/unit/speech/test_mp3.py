from __future__ import annotations

import numpy as np
import pytest

from greenline.speech.errors import AudioError
from greenline.speech.mp3 import encode_mp3
from greenline.speech.notes import decode_recording
from support.sounds import pitch, rms, samples, sine


def test_blocks_of_any_size_make_one_recording() -> None:
    pcm = sine(3.0, 16_000)
    heard = decode_recording(encode_mp3([pcm[:1_000], b"", pcm[1_000:30_002], pcm[30_002:]], 16_000))
    assert heard.codec in ("mp3", "mp3float")
    assert heard.seconds == pytest.approx(3.0, abs=0.1)
    assert pitch(heard.pcm, 16_000) == pytest.approx(440, abs=3)
    assert rms(heard.pcm) == pytest.approx(rms(pcm), rel=0.1)


def test_both_sides_of_a_call_can_be_kept_apart() -> None:
    left, right = samples(sine(1.0, 16_000)), np.zeros(16_000)
    both = np.stack([left, right], axis=1).astype("<i2").tobytes()
    stereo = encode_mp3([both], 16_000, channels=2)
    assert pitch(decode_recording(stereo).pcm, 16_000) == pytest.approx(440, abs=3)
    assert stereo[1:2] in (b"\xf3", b"\xf2", b"D"), "an MPEG 2 frame or its ID3 tag"


def test_no_sound_is_a_file_all_the_same() -> None:
    assert isinstance(encode_mp3([], 16_000), bytes)


def test_a_rate_that_mp3_does_not_have_is_refused() -> None:
    with pytest.raises(AudioError, match="no rate of 17000"):
        encode_mp3([], 17_000)
