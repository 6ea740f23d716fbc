"""Session descriptions as Meta's relay writes them and takes them (Meta: Calling API, SDP)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aiortc.sdp import SessionDescription

from greenline.emulator.errors import MetaError

G711: Final = {"PCMA": 8, "PCMU": 0}
"""What ``audio.additional_codecs`` of a number may name, and the payload types (RFC 3551)."""
OPUS_TYPE: Final = 111
EVENT_TYPE: Final = 126
_OPUS: Final = "opus/48000/2"
_FORMAT: Final = re.compile(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+) ")
_MAP: Final = re.compile(r"^a=rtpmap:(\d+) (\S+)$", re.MULTILINE)
_SETUP: Final = re.compile(r"^a=setup:(\S+)$", re.MULTILINE)
_PTIME: Final = re.compile(r"^a=ptime:(\d+)$", re.MULTILINE)
_FMTP: Final = "maxaveragebitrate=20000;maxplaybackrate=16000;minptime=20;sprop-maxcapturerate=16000;useinbandfec=1"


def check_sdp(sdp: object, g711: Iterable[str] = (), *, is_answer: bool = False) -> str:
    """``sdp`` as the relay can use it, where the number takes ``g711`` besides Opus. Raises `MetaError` 100.

    A business that answers must be the DTLS client.
    """
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
    if not sound_types(sdp, g711):
        raise _refused(f"SDP lacks {' or '.join([_OPUS, *g711])}.")
    ptime = _PTIME.search(text)
    if ptime is not None and ptime.group(1) != "20":
        raise _refused("ptime must be 20.")
    setup, setups = _SETUP.search(text), ("active",) if is_answer else ("actpass", "active", "passive")
    if setup is None or setup.group(1) not in setups:
        raise _refused(f"a=setup must be {' or '.join(setups)}.")
    try:
        SessionDescription.parse(sdp)
    except Exception as error:  # the boundary of a foreign text: the parser raises whatever it leads to
        raise _refused(f"session.sdp can't be read: {error!r}"[:300]) from error
    return sdp


def sound_types(sdp: str, g711: Iterable[str] = ()) -> dict[int, str]:
    """Payload type to ``rtpmap`` of the codecs that the relay shares, in the order of the description."""
    text = sdp.replace("\r\n", "\n")
    named = {int(kind): value for kind, value in _MAP.findall(text)}
    static = {G711[name]: f"{name}/8000" for name in g711}
    wanted = {_OPUS, *(value.lower() for value in static.values())}
    found = re.search(r"^m=audio \d+ \S+ ([\d ]+)$", text, re.MULTILINE)
    listed = [int(kind) for kind in found.group(1).split()] if found else []
    types = {kind: named.get(kind, static.get(kind, "")).removesuffix("/1") for kind in listed}
    return {kind: value for kind, value in types.items() if value.lower() in wanted}


def event_type(sdp: str) -> int:
    """How keys are sent to whoever wrote ``sdp``; Meta uses 126 even where it names none."""
    found = re.search(r"^a=rtpmap:(\d+) telephone-event/8000\b", sdp, re.MULTILINE)
    return int(found.group(1)) if found else EVENT_TYPE


def only_shared(sdp: str, g711: Iterable[str] = ()) -> str:
    """A description of the business without the codecs that the relay does not take."""
    return _with_types(sdp, sound_types(sdp, g711), {})


def own_types(g711: Iterable[str] = ()) -> dict[int, str]:
    """The codecs of the relay's own offer."""
    return {OPUS_TYPE: _OPUS, **{G711[name]: f"{name}/8000" for name in g711}}


def as_relay(sdp: str, *, setup: str, types: dict[int, str], events: int = EVENT_TYPE) -> str:
    """aiortc's description as that of an ICE-lite relay with the codecs ``types``, and keys as ``events``.

    ``setup``: the DTLS role that it has chosen, or leaves to be chosen.
    """
    lines: list[str] = []
    for line in _with_types(sdp, types, {events: "telephone-event/8000"}).splitlines():
        if line.startswith("m="):
            lines.append("a=ice-lite")
        if line.startswith("a=fingerprint:") and not line.lower().startswith("a=fingerprint:sha-256 "):
            continue
        lines.append(f"a=setup:{setup}" if line.startswith("a=setup:") else line)
    return "\r\n".join([*lines, "a=maxptime:20", "a=ptime:20", ""])


def _with_types(sdp: str, types: dict[int, str], more: dict[int, str]) -> str:
    lines: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("m=audio "):
            kinds = " ".join(str(kind) for kind in {**types, **more})
            lines.append(f"{' '.join(line.split()[:3])} {kinds}")
        elif not _FORMAT.match(line):
            lines.append(line)
    for kind, value in types.items():
        lines.append(f"a=rtpmap:{kind} {value}")
        if value.lower() == _OPUS:
            lines += [f"a=rtcp-fb:{kind} transport-cc", f"a=fmtp:{kind} {_FMTP}"]
    lines += [f"a=rtpmap:{kind} {value}" for kind, value in more.items()]
    return "\r\n".join([*lines, ""])


def _refused(details: str) -> MetaError:
    return MetaError(100, details)
