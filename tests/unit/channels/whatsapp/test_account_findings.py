"""What is missing before a number can work."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.whatsapp.account_findings import (
    Finding,
    health_findings,
    limit_findings,
    number_findings,
    token_findings,
    webhook_findings,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
GOOD = {
    "status": "CONNECTED",
    "platform_type": "CLOUD_API",
    "name_status": "APPROVED",
    "quality_rating": "GREEN",
    "account_mode": "LIVE",
    "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED",
    "health_status": {"can_send_message": "AVAILABLE", "entities": []},
}


def codes(findings: Any) -> list[str]:
    found = list(findings)
    assert all(isinstance(finding, Finding) and finding.message.endswith(".") for finding in found)
    return [finding.code for finding in found]


def test_a_number_in_order_has_no_findings() -> None:
    assert codes(number_findings(GOOD)) == []
    assert codes(number_findings({"id": "1"})) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "PENDING"}, "number_not_connected"),
        ({"status": "BANNED"}, "number_not_connected"),
        ({"platform_type": "ON_PREMISE"}, "number_not_connected"),
        ({"name_status": "DECLINED"}, "display_name_not_approved"),
        ({"quality_rating": "RED"}, "quality_low"),
        ({"account_mode": "SANDBOX"}, "test_number"),
        ({"whatsapp_business_manager_messaging_limit": "TIER_250"}, "messaging_limit"),
        ({"health_status": {"can_send_message": "BLOCKED"}}, "sending_blocked"),
        ({"health_status": {"can_send_message": "LIMITED"}}, "sending_limited"),
    ],
)
def test_each_thing_that_is_missing_is_told(change: dict[str, Any], code: str) -> None:
    assert codes(number_findings({**GOOD, **change})) == [code]


def test_limits_are_told_in_people() -> None:
    (finding,) = limit_findings("TIER_10K")
    assert "10,000 different people" in finding.message
    assert codes(limit_findings("NOT_SET")) == []


def test_the_reasons_of_a_block_are_told() -> None:
    health = {
        "can_send_message": "BLOCKED",
        "entities": [
            {"entity_type": "PHONE_NUMBER", "can_send_message": "AVAILABLE", "errors": [{"error_description": "no"}]},
            {
                "entity_type": "WABA",
                "can_send_message": "BLOCKED",
                "errors": [{"error_description": "No payment method.", "possible_solution": "Add one."}],
                "additional_info": ["See the settings."],
            },
        ],
    }
    (finding,) = health_findings(health)
    assert finding.message == "Meta blocks sending. waba: No payment method. Add one. waba: See the settings."


def test_tokens_that_end_and_permissions_that_lack() -> None:
    good = {
        "is_valid": True,
        "expires_at": 0,
        "scopes": ["whatsapp_business_management", "whatsapp_business_messaging"],
    }
    assert codes(token_findings(good, NOW)) == []
    (finding,) = token_findings({**good, "expires_at": int(NOW.timestamp()) + 86400}, NOW)
    assert "expires on 2026-01-06 09:00 UTC" in finding.message
    (finding,) = token_findings({**good, "scopes": ["whatsapp_business_management"]}, NOW)
    assert finding == Finding(
        "permission_missing", "The token lacks whatsapp_business_messaging. Make one that has them."
    )


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"application": "https://us.example/webhooks/whatsapp"}, []),
        ({"application": "https://us.example/webhooks/whatsapp/"}, []),
        ({"application": "https://other.example/hook"}, ["callback_elsewhere"]),
        ({"application": "https://other.example", "phone_number": "https://us.example/webhooks/whatsapp"}, []),
        ({}, ["callback_missing"]),
        (None, []),
    ],
)
def test_where_webhooks_go(places: Any, expected: list[str]) -> None:
    found = webhook_findings({"webhook_configuration": places}, "https://us.example/", has_app_secret=True)
    assert codes(found) == expected


def test_without_an_app_secret_nothing_is_accepted() -> None:
    assert codes(webhook_findings({}, None, has_app_secret=False)) == ["app_secret_missing"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*GOOD, "entities", "errors", "additional_info", "can_send_message"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "expires_at", "scopes", "webhook_configuration"]), JSON))
def test_any_answer_of_meta_is_taken(answer: dict[str, Any]) -> None:
    list(number_findings(answer))
    list(token_findings(answer, NOW))
    list(webhook_findings(answer, "https://us.example", has_app_secret=True))


@pytest.mark.parametrize("expires", [2**39, 253_402_300_800, -1, 0, "soon"])
def test_a_moment_that_no_calendar_has_is_no_end_of_a_token(expires: object) -> None:
    findings = token_findings({"expires_at": expires}, datetime(2026, 1, 5, tzinfo=UTC))
    assert "token_expires" not in {finding.code for finding in findings}
