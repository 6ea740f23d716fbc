from __future__ import annotations

import pytest

from greenline.channels.webrtc.errors import UnusableSdp
from greenline.channels.webrtc.media import MediaCall
from greenline.channels.webrtc.sdp import own_description, read_peer

META = "\r\n".join(
    [
        "v=0",
        "o=- 1759000000 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE audio",
        "a=msid-semantic: WMS stream",
        "a=ice-lite",
        "m=audio 3480 UDP/TLS/RTP/SAVPF 111 126",
        "c=IN IP4 127.0.0.1",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2113937151 127.0.0.1 3480 typ host generation 0 network-cost 50",
        "a=candidate:2 1 udp 2113939711 2001:db8::1 3480 typ host generation 0 network-cost 50",
        "a=ice-ufrag:ufrag",
        "a=ice-pwd:passwordpasswordpassword",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=mid:audio",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 maxaveragebitrate=20000;maxplaybackrate=16000;minptime=20;useinbandfec=1",
        "a=rtpmap:126 telephone-event/8000",
        "a=maxptime:20",
        "a=ptime:20",
        "a=ssrc:1 cname:x",
        "",
    ]
)


def test_metas_offer_is_usable() -> None:
    assert read_peer(META, "offer").event_payload_type == 126
    assert "a=setup:actpass" in read_peer(META, "offer").sdp


def test_an_answer_that_leaves_the_role_open_is_taken_as_passive() -> None:
    assert "a=setup:passive" in read_peer(META, "answer").sdp
    assert "a=setup:active" in read_peer(META.replace("actpass", "active"), "answer").sdp


def test_a_peer_without_keypad_is_usable() -> None:
    assert read_peer(META.replace("a=rtpmap:126 telephone-event/8000\r\n", ""), "offer").event_payload_type is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (META, "", "one audio stream"),
        (META, "no description", "can't be read|one audio stream"),
        ("a=ice-ufrag:ufrag\r\n", "", "ICE credentials"),
        ("a=ice-pwd:passwordpasswordpassword\r\n", "", "ICE credentials"),
        ("sha-256", "sha-1", "sha-256"),
        ("opus/48000/2", "PCMU/8000", "opus"),
        ("m=audio 3480", "m=video 3480", "one audio stream"),
        ("3480 UDP/TLS/RTP/SAVPF", "port UDP/TLS/RTP/SAVPF", "can't be read|one audio stream"),
    ],
)
def test_what_is_missing_is_said(old: str, new: str, reason: str) -> None:
    with pytest.raises(UnusableSdp, match=reason):
        read_peer(META.replace(old, new), "offer")


def test_our_description_has_one_fingerprint_and_crlf() -> None:
    ours = own_description("v=0\na=fingerprint:sha-256 AB\na=fingerprint:sha-384 CD\na=mid:0\n")
    assert ours == "v=0\r\na=fingerprint:sha-256 AB\r\na=mid:0\r\na=ptime:20\r\na=maxptime:20\r\n"


async def test_our_answer_to_meta_follows_its_profile() -> None:
    call = MediaCall(on_pcm=lambda _: None, on_digit=lambda _: None)
    answer = await call.answer(META)
    for line in ("a=setup:active", "a=mid:audio", "a=rtpmap:111 opus/48000/2", "a=rtpmap:126 telephone-event/8000"):
        assert f"{line}\r\n" in answer
    assert "a=sendrecv\r\n" in answer
    assert "a=rtcp-mux\r\n" in answer
    assert answer.count("m=audio") == answer.count("m=") == 1
    assert answer.count("a=fingerprint:") == answer.count("a=fingerprint:sha-256") == 1
    assert "a=candidate:" in answer
    assert "\n" not in answer.replace("\r\n", "")
    assert call.out.event_payload_type is not None
    await call.close()
