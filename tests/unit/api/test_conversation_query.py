"""The filters of the list of conversations as clients write them."""

from __future__ import annotations

import inspect
from decimal import Decimal

import pytest
from elevenlabs.conversational_ai.conversations.raw_client import RawConversationsClient
from hypothesis import given
from hypothesis import strategies as st

from greenline.api.conversation_query import ConversationQuery, comparison
from greenline.conversations.listing import Comparison


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plan:eq:gold", Comparison("plan", "eq", ("gold",))),
        ("plan:eq:", Comparison("plan", "eq", ("",))),
        ("plan:neq:a:b", Comparison("plan", "neq", ("a:b",))),
        ("plan:in:gold|silver", Comparison("plan", "in", ("gold", "silver"))),
        ("age:gte:-18.5", Comparison("age", "gte", number=Decimal("-18.5"))),
    ],
)
def test_a_comparison(text: str, found: Comparison) -> None:
    assert comparison(text) == found


@pytest.mark.parametrize("text", ["", "plan", "plan:eq", ":eq:x", "plan:like:x", "age:gt:", "age:gt:1e5", "age:lt:٣"])
def test_a_comparison_that_can_not_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        comparison(text)


@given(st.text(max_size=30))
def test_any_text_is_a_comparison_or_a_clear_refusal(text: str) -> None:
    try:
        found = comparison(text)
    except ValueError:
        return
    assert text.startswith(f"{found.name}:{found.op}:")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a:eq:", True),
        ("a:neq:", False),
        ("a:eq:x", False),
        ("a:neq:x", True),
        ("a:in:x|", True),
        ("a:in:x|y", False),
        ("a:lt:5", False),
    ],
)
def test_what_is_not_set_counts_as_empty(text: str, holds: bool) -> None:
    assert comparison(text).holds_for_nothing is holds
    assert ConversationQuery(data_collection_params=[text]).to_filter().impossible is not holds


def test_every_filter_of_the_sdk_is_known() -> None:
    parameters = set(inspect.signature(RawConversationsClient.list).parameters) - {"self", "request_options"}
    assert parameters == set(ConversationQuery.model_fields)
