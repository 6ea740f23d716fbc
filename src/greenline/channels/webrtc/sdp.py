"""The session descriptions of a call: what we offer and answer, and what a peer must bring."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Literal

from aiortc import RTCRtpCodecParameters
from aiortc.codecs import CODECS
from aiortc.sdp import SessionDescription

from greenline.channels.webrtc.errors import UnusableSdp

AIORTC: Final = "1.16.0"
"""We reach into private parts of this version."""
OPUS_PAYLOAD_TYPE: Final = 111
EVENT_PAYLOAD_TYPE: Final = 126

if version("aiortc") != AIORTC:
    raise ImportError(f"calls need aiortc {AIORTC}, not {version('aiortc')}: install the pinned requirements")

# Payload types as Meta's relay has them; aiortc would offer Opus as 96, no keypad, and codecs that nobody wants.
CODECS["audio"][:] = [
    RTCRtpCodecParameters("audio/opus", 48_000, 2, OPUS_PAYLOAD_TYPE, parameters={"minptime": 20, "useinbandfec": 1}),
    RTCRtpCodecParameters("audio/telephone-event", 8000, 1, EVENT_PAYLOAD_TYPE, parameters={"0-16": None}),
]


@dataclass(frozen=True, slots=True)
class Peer:
    """A description that was read. ``event_payload_type``: how it takes keypad digits, None if it does not."""

    sdp: str
    event_payload_type: int | None


def read_peer(sdp: str, kind: Literal["offer", "answer"]) -> Peer:
    """A peer's description, fit for aiortc. Raises `UnusableSdp` with what is missing."""
    try:
        description = SessionDescription.parse(sdp)
    except Exception as error:  # the boundary of a foreign text: the parser raises whatever it leads to
        raise UnusableSdp(f"The session description can't be read: {error!r}"[:300]) from error
    if len(description.media) != 1 or description.media[0].kind != "audio":
        raise UnusableSdp("The session description must have one audio stream and nothing else.")
    media = description.media[0]
    if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
        raise UnusableSdp("The session description lacks ICE credentials (a=ice-ufrag, a=ice-pwd).")
    if media.dtls is None or all(print_.algorithm.lower() != "sha-256" for print_ in media.dtls.fingerprints):
        raise UnusableSdp("The session description lacks a sha-256 fingerprint.")
    codecs = {(codec.name.lower(), codec.clockRate): codec.payloadType for codec in media.rtp.codecs}
    if ("opus", 48_000) not in codecs:
        raise UnusableSdp("The session description lacks opus/48000.")
    # An answer has to decide; Meta's has been seen with the offer's actpass.
    fit = re.sub(r"a=setup:actpass", "a=setup:passive", sdp) if kind == "answer" else sdp
    return Peer(fit, codecs.get(("telephone-event", 8000)))


def own_description(sdp: str) -> str:
    """Our description as it is sent: sha-256 only, 20 ms packets, CRLF line ends."""
    lines = [
        line
        for line in sdp.splitlines()
        if not line.startswith("a=fingerprint:") or line.lower().startswith("a=fingerprint:sha-256 ")
    ]
    return "\r\n".join([*lines, "a=ptime:20", "a=maxptime:20", ""])
