"""Session descriptions as Meta's relay writes them and takes them (Meta: Calling API, SDP)."""

from __future__ import annotations

import re

from greenline.emulator.errors import MetaError

_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000/2$", re.MULTILINE | re.IGNORECASE)
_PTIME = re.compile(r"^a=ptime:(\d+)$", re.MULTILINE)


def check_sdp(sdp: object) -> str:
    """``sdp`` as the relay can use it. Raises `MetaError` 100, which says what is wrong."""
    if not isinstance(sdp, str) or not sdp.startswith("v=0"):
        raise _refused("session.sdp is no session description.")
    if "\r\n" not in sdp or re.search(r"(?<!\r)\n", sdp):
        raise _refused("SDP lines must end with CRLF (RFC 8866).")
    text = sdp.replace("\r\n", "\n")
    media = [line for line in text.split("\n") if line.startswith("m=")]
    if len(media) != 1 or not media[0].startswith("m=audio "):
        raise _refused("SDP must hold exactly one m-line, of audio.")
    if "a=fingerprint:sha-256 " not in text.replace("SHA-256", "sha-256"):
        raise _refused("SDP lacks a sha-256 fingerprint.")
    if "a=ice-ufrag:" not in text or "a=ice-pwd:" not in text:
        raise _refused("SDP lacks ICE credentials.")
    if not _OPUS.search(text):
        raise _refused("SDP lacks opus/48000/2.")
    ptime = _PTIME.search(text)
    if ptime is not None and ptime.group(1) != "20":
        raise _refused("ptime must be 20.")
    return sdp


def as_relay(sdp: str, *, setup: str) -> str:
    """aiortc's description as that of an ICE-lite relay which leaves ``setup`` to be chosen, or has chosen it."""
    lines: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("m="):
            lines.append("a=ice-lite")
        if line.startswith("a=fingerprint:") and not line.lower().startswith("a=fingerprint:sha-256 "):
            continue
        lines.append(f"a=setup:{setup}" if line.startswith("a=setup:") else line)
    return "\r\n".join([*lines, "a=maxptime:20", "a=ptime:20", ""])


def _refused(details: str) -> MetaError:
    return MetaError(100, details)
