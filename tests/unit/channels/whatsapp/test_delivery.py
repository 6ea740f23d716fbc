"""Statuses as Meta sends them."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from greenline.channels.whatsapp.delivery import Fact, raise_states, read_status

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def test_a_failed_status_carries_its_error() -> None:
    fact = read_status(
        {
            "id": "wamid.1",
            "status": "failed",
            "timestamp": "1790000002",
            "biz_opaque_callback_data": "out_1",
            "errors": [{"code": 131047, "title": "Re-engagement message", "error_data": {"details": "24 hours"}}],
        },
        NOW,
    )
    assert fact.outbox_id == "out_1"
    assert fact.error == {"code": 131047, "title": "Re-engagement message", "details": "24 hours"}
    assert fact.at == datetime.fromtimestamp(1790000002, UTC)


@pytest.mark.parametrize("timestamp", [None, "", "soon", "1e9", 10**30, {}])
def test_an_unreadable_time_is_now(timestamp: object) -> None:
    assert read_status({"id": "wamid.1", "status": "sent", "timestamp": timestamp}, NOW).at == NOW


def test_foreign_callback_data_is_not_ours() -> None:
    fact = read_status({"id": "wamid.1", "status": "sent", "biz_opaque_callback_data": "their-id"}, NOW)
    assert fact.outbox_id is None


async def test_a_message_that_meta_could_not_deliver_is_in_the_log() -> None:
    class Database:
        async def fetchval(self, *_: object) -> None:
            return None

    error = {"code": 131026, "title": "Message undeliverable", "details": "to +1 555 0100"}
    facts = [
        Fact("out_1", "failed", NOW, wamid="wamid.1", error=error),
        Fact("out_2", "delivered", NOW, wamid="wamid.2"),
        Fact("out_3", "failed", NOW, error=error),  # refused at once: the sender has told of it
    ]
    with capture_logs() as logs:
        await raise_states(cast("Any", Database()), facts, NOW)
    assert logs == [
        {
            "event": "delivery.failed",
            "log_level": "warning",
            "outbox_id": "out_1",
            "code": 131026,
            "title": "Message undeliverable",
        }
    ]
