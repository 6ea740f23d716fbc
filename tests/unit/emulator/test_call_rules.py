"""What the relay takes as a session description, and when a business may call."""

import pytest

from greenline.emulator.calls.limits import CallLimits
from greenline.emulator.calls.permissions import DAY, TEST_NUMBER, Permission
from greenline.emulator.calls.sdp import as_relay, check_sdp, event_type, only_shared, own_types
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.world import Number

GOOD = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:active",
        "a=rtpmap:111 opus/48000/2",
        "a=ptime:20",
        "",
    ]
)


def test_a_good_description_is_taken() -> None:
    assert check_sdp(GOOD) == GOOD


@pytest.mark.parametrize(
    ("wrong", "details"),
    [
        (None, "no session description"),
        (GOOD.replace("\r\n", "\n"), "CRLF"),
        (GOOD + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "one m-line"),
        (GOOD.replace("sha-256", "sha-1"), "sha-256"),
        (GOOD.replace("a=ice-pwd", "a=x"), "ICE"),
        (GOOD.replace("opus/48000/2", "PCMU/8000"), "opus"),
        (GOOD.replace("ptime:20", "ptime:60"), "ptime"),
        (GOOD.replace("setup:active", "setup:hm"), "setup"),
        (GOOD.replace("a=setup:active\r\n", ""), "setup"),
        (GOOD + "a=candidate:1\r\n", "can't be read"),
    ],
)
def test_what_the_relay_refuses(wrong: str | None, details: str) -> None:
    with pytest.raises(MetaError, match=details) as caught:
        check_sdp(wrong)
    assert caught.value.code == 100


@pytest.mark.parametrize("setup", ["actpass", "passive"])
def test_a_business_that_answers_is_the_dtls_client(setup: str) -> None:
    other = GOOD.replace("setup:active", f"setup:{setup}")
    assert check_sdp(other) == other, "an offer"
    assert check_sdp(GOOD, is_answer=True) == GOOD
    with pytest.raises(MetaError, match="setup must be active"):
        check_sdp(other, is_answer=True)


def test_the_relay_writes_itself_as_lite_with_its_own_codecs() -> None:
    stock = GOOD.replace("a=setup", "a=fingerprint:sha-512 CC\r\na=setup").replace(" 111", " 96 9 0 8")
    sdp = as_relay(stock, setup="actpass", types=own_types())
    assert "a=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 126\r\n" in sdp
    assert "a=rtpmap:111 opus/48000/2\r\n" in sdp
    assert "a=rtpmap:126 telephone-event/8000\r\n" in sdp
    assert "sha-512" not in sdp
    assert "a=setup:actpass" in sdp
    assert "SAVPF 111 8 0 126\r\n" in as_relay(stock, setup="active", types=own_types(["PCMA", "PCMU"]))


G711 = GOOD.replace("SAVPF 111", "SAVPF 0 8 111 101").replace(
    "a=ptime", "a=rtpmap:101 telephone-event/8000\r\na=ptime"
)


def test_g711_is_shared_where_the_number_takes_it() -> None:
    assert "SAVPF 111\r\n" in only_shared(G711)
    assert "SAVPF 8 111\r\n" in only_shared(G711, ["PCMA"])
    without_opus = G711.replace("a=rtpmap:111 opus/48000/2\r\n", "")
    assert check_sdp(without_opus, ["PCMU"])
    with pytest.raises(MetaError, match="lacks opus"):
        check_sdp(without_opus)


def test_keys_are_sent_as_the_peer_names_them() -> None:
    assert (event_type(G711), event_type(GOOD)) == (101, 126)


def refused(code: int) -> "pytest.RaisesExc[MetaError]":
    return pytest.raises(MetaError, match=f"#{code}")


def test_without_permission_nobody_is_called() -> None:
    permission = Permission()
    with refused(138006):
        permission.may_call(0.0)
    permission.answer({"response": "accept", "expiration_timestamp": 100}, 0.0)
    permission.may_call(99.0)
    with refused(138006):
        permission.may_call(101.0)
    permission.answer({"response": "accept", "is_permanent": True}, 101.0)
    permission.may_call(1e9)
    with refused(138017):
        permission.request(1e9, "wamid.1")
    permission.answer({"response": "reject"}, 1e9)
    assert permission.status(1e9) == "no_permission"


def test_requests_have_limits_that_a_connected_call_resets() -> None:
    permission = Permission()
    permission.request(0.0, "wamid.1")
    with refused(138009):
        permission.request(DAY / 2, "wamid.1")
    permission.request(DAY + 1, "wamid.1")
    with refused(138009):
        permission.request(3 * DAY, "wamid.1")
    permission.ended(3 * DAY, connected=True)
    permission.request(3 * DAY, "wamid.1")


def test_four_unanswered_calls_withdraw_the_permission() -> None:
    permission = Permission(permanent=True)
    fates = [permission.ended(0.0, connected=False) for _ in range(4)]
    assert fates == ["kept", "questioned", "kept", "withdrawn"]
    assert permission.shown(0.0)["permission"] == {"status": "no_permission"}
    assert [permission.ended(0.0, connected=False) for _ in range(2)] == ["kept", "kept"], "there is none to lose"


def test_a_test_number_may_ask_and_call_more_often() -> None:
    permission = Permission(TEST_NUMBER, permanent=True)
    fates = [permission.ended(0.0, connected=False) for _ in range(10)]
    assert [count for count, fate in enumerate(fates, 1) if fate != "kept"] == [5, 10]
    assert (fates[4], fates[9]) == ("questioned", "withdrawn")
    for day in range(4):
        for _ in range(25):
            permission.request(day * DAY, "wamid.1")
        with refused(138009):
            permission.request(day * DAY, "wamid.1")
    with refused(138009):
        permission.request(5 * DAY, "wamid.1")
    assert [limit["max_allowed"] for limit in permission.shown(0.0)["actions"][0]["limits"]] == [25, 100]


def test_a_limit_that_is_used_up_tells_when_it_ends() -> None:
    permission = Permission(permanent=True)
    for moment in range(100):
        permission.ended(float(moment), connected=True)
    with pytest.raises(MetaError, match=r"#138012.* from 86400 on"):
        permission.may_call(200.0)
    shown = permission.shown(200.0)["actions"][1]
    assert shown["can_perform_action"] is False
    assert shown["limits"][0]["limit_expiration_time"] == 86_400
    permission.may_call(DAY + 1)
    asking = Permission()
    asking.request(50.0, "wamid.1")
    day, week = asking.shown(60.0)["actions"][0]["limits"]
    assert (day["limit_expiration_time"], "limit_expiration_time" in week) == (86_450, False)


def test_a_number_has_limits_of_its_own() -> None:
    number = Number("1", "2", "+1", "Fern")
    limits = CallLimits(Config(call_attempts_per_day=2, call_concurrency=1, call_permission_queries_per_second=1))
    limits.begin(number, [], 0.0)
    limits.begin(number, [], 1.0)
    with refused(138005):
        limits.begin(number, [], 2.0)
    limits.begin(number, [], DAY + 0.5)
    small = CallLimits(Config(messaging_limit="TIER_250"))
    with refused(138015):
        small.begin(number, [], 0.0)
    small.begin(Number("1", "2", "+1", "Fern", test_recipients=set()), [], 0.0)
    limits.query(number, 0.0)
    with refused(613):
        limits.query(number, 0.5)
    limits.query(number, 1.0)
