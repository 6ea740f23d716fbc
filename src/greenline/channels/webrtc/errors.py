"""What can be wrong with a peer."""

from __future__ import annotations

from greenline.errors import BadRequest


class UnusableSdp(BadRequest):
    """The peer's session description can't be used: it needs one audio stream with Opus over DTLS-SRTP and ICE."""

    code = "unusable_sdp"
