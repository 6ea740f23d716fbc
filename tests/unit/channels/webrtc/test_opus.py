from __future__ import annotations

import pytest

from greenline.channels.webrtc.opus import FRAME_BYTES, OpusDecoder, OpusEncoder, silence, ticks
from support.voice import level, tone


def test_speech_survives_the_codec() -> None:
    encoder, decoder, sound = OpusEncoder(), OpusDecoder(), tone(0.4)
    packets = [encoder.encode(sound[at : at + FRAME_BYTES]) for at in range(0, len(sound), FRAME_BYTES)]
    heard = b"".join(decoder.decode(packet) for packet in packets)
    assert len(heard) == pytest.approx(len(sound), abs=64)
    assert level(heard[FRAME_BYTES * 2 :]) == pytest.approx(level(sound), rel=0.15)
    assert {ticks(packet) for packet in packets} == {960}
    assert sum(map(len, packets)) * 8 / 0.4 < 34_000


def test_silence_is_small_and_silent() -> None:
    assert len(silence()) < 12
    assert ticks(silence()) == 960
    assert level(OpusDecoder().decode(silence())) < 2


@pytest.mark.parametrize("packet", [b"", b"\xff\xff\xff"])
def test_what_is_no_opus_is_refused_and_the_next_packet_is_read(packet: bytes) -> None:
    decoder = OpusDecoder()
    with pytest.raises(ValueError, match="packet"):
        decoder.decode(packet)
    assert decoder.decode(silence())


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (0x48, 960),  # SILK wide-band 20 ms, one frame
        (0x49, 1920),  # the same, two frames
        (0x58, 2880),  # SILK 60 ms
        (0x60, 480),  # hybrid 10 ms
        (0x80, 120),  # CELT 2.5 ms
        (0xF8, 960),  # CELT full-band 20 ms
    ],
)
def test_the_first_byte_tells_how_long_a_packet_is(first: int, expected: int) -> None:
    assert ticks(bytes([first])) == expected


def test_a_packet_of_many_frames_counts_them() -> None:
    assert ticks(bytes([0xFB, 0x03])) == 2880
    assert ticks(bytes([0xFB])) == 960
    assert ticks(b"") == 960
