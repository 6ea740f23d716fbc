"""Sessions with real MCP servers over HTTP, on both transports."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from mcp import types
from mcp.shared.exceptions import MCPError

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.tools.mcp import catalogue, client, exchange
from greenline.tools.mcp.catalogue import FRESH, RETRY, STALE, Catalogue
from greenline.tools.mcp.client import McpClients
from greenline.tools.mcp.endpoint import Endpoint
from greenline.tools.mcp.exchange import MAX_BYTES
from greenline.tools.mcp.failures import McpFailure
from greenline.tools.mcp.models import tool_hash
from greenline.tools.mcp.schemas import fault_of
from greenline.tools.mcp.shallow import LEFT_OUT
from support.loopback import tcp_server
from support.mcp_server import TRANSPORTS, Shop, Transport, mcp_server
from support.wait import PATIENCE_SECONDS as LONG
from support.wait import eventually, until

SECRET = "sk-nobody-may-read-this"


@pytest.fixture
async def clients(settings: Settings) -> AsyncIterator[McpClients]:
    made = McpClients(settings)
    yield made
    await made.aclose()


@pytest.fixture(params=TRANSPORTS)
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    async with mcp_server(request.param) as running:
        yield running


def endpoint(shop: Shop, **more: Any) -> Endpoint:
    return Endpoint(shop.transport, shop.url, **more)


async def test_a_server_tells_of_its_tools(clients: McpClients, shop: Shop) -> None:
    price, order = await clients.tools(endpoint(shop), LONG)
    assert (price.name, price.description) == ("price", "What something costs.")
    assert price.input_schema["properties"] == {"what": {"type": "string"}}
    assert (order.name, order.told["inputSchema"]) == ("order", order.input_schema)


async def test_a_tool_runs(clients: McpClients, shop: Shop) -> None:
    there = endpoint(shop, headers=(("X-Shop", "tea"),))
    answer = await clients.call(there, "price", {"what": "tea"}, {"greenline/idempotency-key": "k1"}, LONG)

    assert (answer.blocks, answer.is_error) == (({"type": "text", "text": "price of tea: 7 euros"},), False)
    assert shop.ran == [("price", {"what": "tea"})]
    assert shop.metas[0]["greenline/idempotency-key"] == "k1"
    assert all(headers["x-shop"] == "tea" for headers in shop.headers)
    if shop.transport == "SSE":  # the other one asks itself which arguments it wants as headers
        assert shop.listings == 0, "a call does not ask for the tools as well"


async def test_a_server_of_yesterday_is_talked_to_as_it_knows(clients: McpClients) -> None:
    async with mcp_server("STREAMABLE_HTTP", of_yesterday=True) as shop:
        assert len(await clients.tools(endpoint(shop), LONG)) == 2
        answer = await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)
        assert answer.blocks[0]["text"] == "price of tea: 7 euros"
        sessions = {headers["mcp-session-id"] for headers in shop.headers if "mcp-session-id" in headers}
        assert len(sessions) == 2

        def all_left() -> bool:
            return {head["mcp-session-id"] for head in shop.headers if head[":method"] == "DELETE"} == sessions

        await eventually(all_left)

        shop.hold, shop.called = asyncio.Event(), asyncio.Event()
        call = asyncio.create_task(clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 60))
        await shop.called.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_an_answer_does_not_wait_for_the_farewell(clients: McpClients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "FAREWELL_SECONDS", 60.0)
    async with mcp_server("STREAMABLE_HTTP", of_yesterday=True) as shop:
        shop.hold_farewell = asyncio.Event()
        answer = await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 5)
        assert answer.blocks[0]["text"] == "price of tea: 7 euros"
        shop.error = MCPError(types.INVALID_PARAMS, "No.")
        with pytest.raises(McpFailure) as caught:
            await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 5)
        assert caught.value.kind == "mcp_error"


async def test_who_has_asked_leaves_before_the_process_does(settings: Settings) -> None:
    async with mcp_server("STREAMABLE_HTTP", of_yesterday=True) as shop:
        async with contextlib.aclosing(McpClients(settings)) as clients:
            await clients.tools(endpoint(shop), LONG)
        assert shop.headers[-1][":method"] == "DELETE"


async def test_an_error_of_a_tool_is_no_server_that_is_away(clients: McpClients) -> None:
    async with mcp_server("STREAMABLE_HTTP", of_yesterday=True) as shop:
        shop.refused = {"DELETE": 405, "GET": 405}
        shop.error = MCPError(types.INVALID_PARAMS, "date is in the past")
        with pytest.raises(McpFailure) as caught:
            await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)
    assert (caught.value.kind, caught.value.is_away) == ("mcp_error", False)
    assert caught.value.reason == "It answered with an error: date is in the past"


@pytest.mark.parametrize("status", [429, 500])
async def test_a_refusal_of_one_call_is_no_server_that_is_away(clients: McpClients, status: int) -> None:
    async with mcp_server("STREAMABLE_HTTP") as shop:
        shop.refused = {"tools/call": status}
        with pytest.raises(McpFailure) as caught:
            await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)
    assert (caught.value.kind, caught.value.is_away, caught.value.sent) == ("mcp_http_error", False, True)
    assert caught.value.reason == f"It answered HTTP {status}."


async def test_nobody_waits_for_the_answer_to_what_a_server_did_not_take(clients: McpClients) -> None:
    async with mcp_server("SSE") as shop:
        shop.refused = {"POST": 500}
        with pytest.raises(McpFailure) as caught:
            await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)
    assert (caught.value.kind, caught.value.reason) == ("mcp_http_error", "It answered HTTP 500.")


async def test_a_slow_server_holds_up_no_other_workspace(
    clients: McpClients, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_SESSIONS", 2)
    slow = shop
    slow.hold = asyncio.Event()
    first = endpoint(slow, workspace_id="ws_1")
    calls = [asyncio.create_task(clients.call(first, "price", {"what": "tea"}, {}, 60)) for _ in range(2)]
    await eventually(lambda: slow.begun == 2)
    async with mcp_server(shop.transport) as other:
        with pytest.raises(McpFailure) as caught:
            await clients.call(endpoint(other, workspace_id="ws_1"), "price", {"what": "tea"}, {}, 0.1)
        assert (caught.value.kind, caught.value.is_away, caught.value.sent) == ("mcp_busy", False, False)
        answer = await clients.call(endpoint(other, workspace_id="ws_2"), "price", {"what": "tea"}, {}, LONG)
        assert not answer.is_error
        slow.hold.set()
        assert not any(answer.is_error for answer in await asyncio.gather(*calls))
        await clients.call(endpoint(other, workspace_id="ws_1"), "price", {"what": "tea"}, {}, LONG)
        assert len(other.ran) == 2


async def test_a_listing_that_has_no_turn_takes_no_tools_away(
    clients: McpClients, shop: Shop, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_SESSIONS", 1)
    listings = Catalogue(clients, clock)
    known = await listings.listing("mcp_1", endpoint(shop))
    assert known.is_connected
    monkeypatch.setattr(catalogue, "LIST_SECONDS", 0.1)
    shop.hold = asyncio.Event()
    call = asyncio.create_task(clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 60))
    await shop.called.wait()
    clock.advance(STALE)
    assert await listings.listing("mcp_1", endpoint(shop)) is known
    shop.hold.set()
    await call
    await listings.aclose()


async def test_who_gets_no_connection_has_sent_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.1)
    async with contextlib.aclosing(McpClients(settings)) as clients, mcp_server("STREAMABLE_HTTP") as shop:
        shop.hold = asyncio.Event()
        call = asyncio.create_task(clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 60))
        await shop.called.wait()
        with pytest.raises(McpFailure) as caught:
            await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 60)
        assert (caught.value.kind, caught.value.is_away, caught.value.sent) == ("mcp_busy", False, False)
        shop.hold.set()
        await call
        assert len(shop.ran) == 1


async def test_a_tool_that_is_nested_too_deeply_takes_no_other_tool_away(clients: McpClients, shop: Shop) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(110):
        schema = {"type": "object", "properties": {"a": schema}}
    shop.tools.insert(0, types.Tool(name="deep", input_schema=schema))
    deep, *others = await clients.tools(endpoint(shop), LONG)
    assert [tool.name for tool in others] == ["price", "order"]
    assert "nested deeper" in fault_of(deep.input_schema)


async def test_of_an_answer_that_is_nested_too_deeply_the_rest_is_read(clients: McpClients, shop: Shop) -> None:
    shop.structured = {"deep": json.loads("[" * 220 + "]" * 220), "price": 7}
    answer = await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)
    assert answer.structured["price"] == 7
    assert LEFT_OUT.decode() in json.dumps(answer.structured["deep"])


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_a_listing_is_kept_up_to_a_size(clients: McpClients, shop: Shop) -> None:
    def page(number: int, size: int = 100_000) -> list[types.Tool]:
        described = "x" * size
        schema = {"type": "object"}
        return [types.Tool(name=f"t{number}_{at}", description=described, input_schema=schema) for at in range(4)]

    shop.tools = page(0, 150_000)
    shop.more = [page(1), page(2), page(3), page(4)]
    found = await clients.tools(endpoint(shop), LONG)
    assert [tool.name for tool in found] == [tool.name for number in (1, 2, 3) for tool in page(number)][:10]
    assert sum(tool.size for tool in found) <= MAX_BYTES
    assert shop.listings == 4, "the last page is not asked for"


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_a_listing_without_end_is_left(clients: McpClients, shop: Shop) -> None:
    shop.more = [[]] * (2 * client.MAX_PAGES)
    assert len(await clients.tools(endpoint(shop), LONG)) == 2
    assert shop.listings == client.MAX_PAGES


async def test_listings_are_kept_up_to_a_size(
    clients: McpClients, shop: Shop, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = Catalogue(clients, clock)
    people = [endpoint(shop, headers=(("X-Person", name),)) for name in ("ann", "bob", "eve")]
    size = (await listings.listing("mcp_1", people[0])).size
    assert size > 100
    monkeypatch.setattr(catalogue, "MOST_BYTES", 2 * size)
    for person in (people[1], people[0], people[2], people[2]):
        await listings.listing("mcp_1", person)
    assert shop.listings == 3, "the first two have been remembered"
    await listings.listing("mcp_1", people[1])
    assert shop.listings == 3
    await listings.listing("mcp_1", people[0])
    assert shop.listings == 4, "the oldest one had to go"
    await listings.aclose()


async def test_a_tool_that_fails_says_so(clients: McpClients, shop: Shop) -> None:
    answer = await clients.call(endpoint(shop), "price", {"what": "coffee"}, {}, LONG)
    assert (answer.blocks[0]["text"], answer.is_error) == ("We have no coffee.", True)


async def test_what_no_database_holds_is_made_storable(clients: McpClients, shop: Shop) -> None:
    odd = {"type": "object", "properties": {"a": {"type": "integer", "default": 2**70, "title": "a\x00b"}}}
    shop.tools = [types.Tool(name="odd", description="\x00", input_schema=odd)]
    (tool,) = await clients.tools(endpoint(shop), LONG)
    assert tool.input_schema["properties"]["a"] == {"type": "integer", "default": str(2**70), "title": "a\ufffdb"}
    assert tool.description == "\ufffd"
    tool_hash(tool.name, tool.description, tool.input_schema)


async def test_a_call_that_takes_too_long_may_have_run(clients: McpClients, shop: Shop) -> None:
    shop.hold = asyncio.Event()
    with pytest.raises(McpFailure) as caught:
        await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 0.5)
    assert (caught.value.kind, caught.value.sent) == ("mcp_timeout", True)


async def test_an_answer_that_is_too_large_is_not_read(clients: McpClients, shop: Shop) -> None:
    shop.size = MAX_BYTES
    with pytest.raises(McpFailure) as caught:
        await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)
    assert (caught.value.kind, caught.value.sent) == ("mcp_too_large", True)


async def test_a_server_that_dies_in_a_call_is_noticed_at_once(clients: McpClients, shop: Shop) -> None:
    shop.hold = asyncio.Event()
    call = asyncio.create_task(clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 60))
    await shop.called.wait()
    shop.die()
    with pytest.raises(McpFailure) as caught:
        await call
    assert (caught.value.kind, caught.value.sent) == ("mcp_unreachable", True)


async def test_a_call_can_be_cancelled(clients: McpClients, shop: Shop) -> None:
    shop.hold = asyncio.Event()
    call = asyncio.create_task(clients.call(endpoint(shop), "price", {"what": "tea"}, {}, 60))
    await shop.called.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    shop.hold.set()
    shop.hold = None
    assert (await clients.call(endpoint(shop), "price", {"what": "tea"}, {}, LONG)).is_error is False


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_comes_back_is_met_anew(clients: McpClients, transport: Transport) -> None:
    async with mcp_server(transport) as first:
        there, port = endpoint(first), int(first.url.split(":")[2].split("/")[0])
        await clients.tools(there, LONG)
    with pytest.raises(McpFailure) as caught:
        await clients.tools(there, LONG)
    assert (caught.value.kind, caught.value.sent) == ("mcp_unreachable", False)
    async with mcp_server(transport, port=port):
        assert len(await clients.tools(there, LONG)) == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_guard_judges_every_address(transport: Transport, settings: Settings) -> None:
    clients = McpClients(settings.model_copy(update={"outbound_allow": ()}))
    async with mcp_server(transport) as shop, contextlib.aclosing(clients):
        with pytest.raises(McpFailure) as caught:
            await clients.tools(endpoint(shop), LONG)
        assert shop.headers == []
    assert caught.value.kind == "mcp_refused"
    assert "GREENLINE_OUTBOUND_ALLOW" in caught.value.reason


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_who_speaks_no_mcp_is_a_failure(clients: McpClients, transport: Transport) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()

    async with tcp_server(page) as port:
        with pytest.raises(McpFailure) as caught:
            await clients.tools(Endpoint(transport, f"http://127.0.0.1:{port}/"), 2)
    assert not caught.value.sent


async def test_no_secret_is_in_an_error(clients: McpClients, shop: Shop) -> None:
    shop.tools = [types.Tool(name=f"about {SECRET}", input_schema={"type": "object"})]
    there = endpoint(shop, headers=(("X-Key", SECRET),), secrets=frozenset({SECRET}))
    assert SECRET not in repr(there)
    assert there.discreet(f"No such key: {SECRET}.") == "No such key: ***."
    gone = Endpoint(shop.transport, f"http://127.0.0.1:1/{SECRET}", secrets=frozenset({SECRET}))
    with pytest.raises(McpFailure) as caught:
        await clients.tools(gone, 5)
    assert SECRET not in str(caught.value)


async def test_a_server_that_repeats_its_key_does_not_tell_it_on(clients: McpClients, shop: Shop) -> None:
    there = endpoint(shop, headers=(("X-Key", SECRET),), secrets=frozenset({SECRET}))
    answer = await clients.call(there, "price", {"what": SECRET}, {}, LONG)
    assert shop.ran == [("price", {"what": SECRET})]
    assert answer.blocks[0]["text"] == "price of ***: 7 euros"


async def test_a_listing_is_used_again(clients: McpClients, shop: Shop, clock: ManualClock) -> None:
    catalogue = Catalogue(clients, clock)
    first, second = await asyncio.gather(*(catalogue.listing("mcp_1", endpoint(shop)) for _ in range(2)))
    assert first is second
    clock.advance(FRESH - timedelta(seconds=1))
    assert await catalogue.listing("mcp_1", endpoint(shop)) is first
    assert shop.listings == 1

    shop.tools = []
    clock.advance(timedelta(seconds=1))
    assert await catalogue.listing("mcp_1", endpoint(shop)) is first, "nobody waits while it is asked again"

    async def renewed() -> bool:
        return (await catalogue.listing("mcp_1", endpoint(shop))).tools == ()

    await until(renewed)
    clock.advance(STALE)
    shop.tools = [types.Tool(name="new", input_schema={"type": "object"})]
    assert [tool.name for tool in (await catalogue.listing("mcp_1", endpoint(shop))).tools] == ["new"]
    await catalogue.aclose()


async def test_a_server_that_is_away_is_asked_again(clients: McpClients, shop: Shop, clock: ManualClock) -> None:
    catalogue = Catalogue(clients, clock)
    catalogue.lost(endpoint(shop), "The connection to it broke.")
    assert not (await catalogue.listing("mcp_1", endpoint(shop))).is_connected
    assert shop.listings == 0
    clock.advance(RETRY)
    await catalogue.listing("mcp_1", endpoint(shop))

    async def back() -> bool:
        return (await catalogue.listing("mcp_1", endpoint(shop))).is_connected

    await until(back)
    await catalogue.aclose()
