"""How webhooks travel: in batches, in copies, so many at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from greenline.emulator.app import create_app
from support.meta import Emulator
from support.receiver import Receiver, subscribed
from support.scripted import scripted
from support.wait import until


@pytest.fixture
async def told() -> AsyncIterator[Receiver]:
    """A callback, and the emulator that tells it."""
    async with subscribed(webhook_retry_schedule=[0.05]) as receiver:
        yield receiver


@pytest.fixture
def meta(told: Receiver) -> Emulator:
    return told.meta


async def subscribe(meta: Emulator, told: Receiver, fields: list[str]) -> None:
    app = meta.business["app_id"]
    url = (await meta.call("GET", "/state"))["apps"][0]["callback_url"]
    await meta.call("POST", f"/apps/{app}/callback", callback_url=url, fields=fields, verify=False)


async def bodies(told: Receiver, count: int) -> list[list[str]]:
    """The fields of each body, when so many came."""

    async def enough() -> list[dict[str, Any]]:
        return told.bodies if len(told.bodies) >= count else []

    return [[change["field"] for change in body["entry"][0]["changes"]] for body in await until(enough)]


async def test_a_batch_holds_what_the_app_wants_and_nothing_else(meta: Emulator, told: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    stop = {"phone_number_id": meta.number, "feedback": "stop"}
    await subscribe(meta, told, ["messages"])
    await meta.call("POST", "/faults", name="webhook_batch", size=2, seconds=60)
    await meta.call("POST", f"/people/{ann.person_id}/feedback", **stop)
    await meta.say(ann, "one")
    await meta.call("POST", f"/people/{ann.person_id}/feedback", **stop)
    await meta.say(ann, "two")
    assert await bodies(told, 1) == [["messages", "messages"]]
    await subscribe(meta, told, [])
    await meta.call("POST", f"/people/{ann.person_id}/feedback", **stop)
    await meta.say(ann, "three")
    assert (await bodies(told, 2))[1] == ["user_preferences", "messages"]


async def test_a_batch_is_sent_when_its_time_is_over_and_collects_as_often_as_told(
    meta: Emulator, told: Receiver
) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.call("POST", "/faults", name="webhook_batch", seconds=600, times=2, match={"field": "messages"})
    for text in ("one", "two", "three"):
        await meta.say(ann, text)
    assert await bodies(told, 1) == [["messages"]], "the third is not collected"
    await meta.call("POST", "/clock", advance_seconds=601)
    assert await bodies(told, 2) == [["messages"], ["messages", "messages"]]
    assert [m["text"]["body"] for m in told.heard("messages")] == ["three", "one", "two"]


async def test_numbers_with_a_callback_of_their_own_have_batches_of_their_own() -> None:
    elsewhere = Receiver()
    async with scripted(elsewhere) as server, subscribed() as told:
        meta = told.meta
        same = {key: meta.business[key] for key in ("app_id", "waba_id", "token")}
        second = (await meta.call("POST", "/setup", **same))["phone_number_id"]
        override = {"webhook_configuration": {"override_callback_uri": f"{server.url}/own", "verify_token": "x"}}
        headers = {"Authorization": f"Bearer {meta.business['token']}"}
        await meta.http.post(f"/v23.0/{second}", json=override, headers=headers)
        ann = await meta.person("Ann", "15550100001")
        await meta.call("POST", "/faults", name="webhook_batch", size=2, seconds=60)
        for number in (meta.number, second, meta.number, second):
            message = {"phone_number_id": number, "type": "text", "text": {"body": "Hi"}}
            await meta.call("POST", f"/people/{ann.person_id}/messages", **message)
        for receiver, number in ((told, meta.number), (elsewhere, second)):
            assert await bodies(receiver, 1) == [["messages", "messages"]]
            assert {value["metadata"]["phone_number_id"] for _, value in receiver.changes} == {number}


async def test_events_come_one_to_six_times_shuffled_with_their_copies(meta: Emulator, told: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.call("POST", "/faults", name="webhook_duplicate", copies=5, fewest=0, seed=3)
    await meta.call("POST", "/faults", name="webhook_shuffle", seconds=1.0, seed=5)
    ids = [await meta.say(ann, str(number)) for number in range(12)]

    async def settled() -> bool:
        return bool((await meta.call("GET", "/state"))["pending_webhooks"] == 0)

    await until(settled)
    came = [message["id"] for message in told.heard("messages")]
    counts = Counter(came)
    assert set(counts) == set(ids)
    assert set(counts.values()) <= set(range(1, 7))
    assert len(set(counts.values())) > 2, "each event draws its own number of copies"
    first = {wamid: came.index(wamid) for wamid in ids}
    last = {wamid: len(came) - came[::-1].index(wamid) for wamid in ids}
    assert sorted(ids, key=first.__getitem__) != ids, "the first ones are shuffled"
    assert any(first[b] < last[a] for a in ids for b in ids if first[a] < first[b]), "copies mix with other events"


async def test_so_many_deliveries_are_under_way_at_once_as_are_set_now(meta: Emulator, told: Receiver) -> None:
    under_way, most = 0, 0
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
        under_way += 1
        most = max(most, under_way)
        await release.wait()
        under_way -= 1
        writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(slow, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    app = meta.business["app_id"]
    callback = {"callback_url": f"http://127.0.0.1:{port}/", "verify": False}
    await meta.call("POST", f"/apps/{app}/callback", **callback)
    await meta.call("PATCH", "/config", webhook_concurrency=2)
    ann = await meta.person("Ann", "15550100001")
    for number in range(6):
        await meta.say(ann, str(number))

    async def two() -> bool:
        return under_way == 2

    async def all_taken() -> bool:
        return bool((await meta.call("GET", "/state"))["pending_webhooks"] == 0)

    await until(two)
    release.set()
    await until(all_taken)
    assert most == 2
    listener.close()
    await listener.wait_closed()


async def test_what_is_lost_never_comes(meta: Emulator, told: Receiver) -> None:
    ann = await meta.person("Ann", "15550100001")
    await meta.call("POST", "/faults", name="webhook_lost", times=1, match={"field": "messages"})
    await meta.say(ann, "one")
    second = await meta.say(ann, "two")
    await meta.call("POST", "/clock", advance_seconds=30 * 86_400)

    async def settled() -> bool:
        return bool((await meta.call("GET", "/state"))["pending_webhooks"] == 0)

    await until(settled)
    assert [message["id"] for message in told.heard("messages")] == [second]
    lost, taken = (await meta.call("GET", "/webhooks"))["deliveries"]
    assert (lost["attempts"], lost["delivered"], taken["delivered"]) == (0, False, True)
    kinds = [event["kind"] for event in (await meta.call("GET", "/events"))["events"]]
    assert kinds.count("webhook.lost") == 1


async def test_a_retry_for_one_app_goes_to_all() -> None:
    failing = Receiver()
    failing.refuse = 1
    async with scripted(failing) as server, subscribed(webhook_retry_schedule=[0.05]) as told:
        meta = told.meta
        second = await meta.call("POST", "/setup", waba_id=meta.business["waba_id"])
        headers = {"Authorization": f"Bearer {second['token']}"}
        await meta.http.post(f"/v23.0/{second['waba_id']}/subscribed_apps", headers=headers)
        await meta.graph("POST", f"{meta.business['waba_id']}/subscribed_apps")
        callback = {"callback_url": f"{server.url}/hook", "verify": False}
        await meta.call("POST", f"/apps/{second['app_id']}/callback", **callback)
        ann = await meta.person("Ann", "15550100001")
        wamid = await meta.say(ann, "Hi")

        async def repeated() -> bool:
            came = len(told.bodies) == 2 and len(failing.bodies) == 1
            return came and (await meta.call("GET", "/state"))["pending_webhooks"] == 0

        await until(repeated)
        assert {message["id"] for message in told.heard("messages")} == {wamid}
        counts = [delivery["attempts"] for delivery in (await meta.call("GET", "/webhooks"))["deliveries"]]
        assert counts == [2, 2]


async def test_what_is_told_of_calls_is_given_up_long_before_messages_are() -> None:
    async with subscribed(call_webhook_retry_schedule=[0.05]) as told:
        told.refuse = 100
        ann = await told.meta.person("Ann", "15550100001")
        await told.meta.say(ann, "Hi")
        await told.meta.call("POST", f"/people/{ann.person_id}/calls", phone_number_id=told.meta.number)

        async def given_up() -> list[Any]:
            events = (await told.meta.call("GET", "/events"))["events"]
            return [event["field"] for event in events if event["kind"] == "webhook.given_up"]

        assert await until(given_up) == ["calls"]
        deliveries = (await told.meta.call("GET", "/webhooks"))["deliveries"]
        assert [delivery["attempts"] for delivery in deliveries if delivery["field"] == "calls"] == [2]
        assert (await told.meta.call("GET", "/state"))["pending_webhooks"] == 1, "the message is told again"


async def test_an_attempt_that_fails_in_whatever_way_is_repeated() -> None:
    """A server that is killed while one connects leaves one that the client can't even ask who it is with."""
    attempts: list[bytes] = []

    def dying(request: httpx2.Request) -> httpx2.Response:
        attempts.append(request.content)
        if len(attempts) == 1:
            raise AttributeError("'NoneType' object has no attribute 'getpeername'")
        return httpx2.Response(200)

    app = create_app(webhook_retry_schedule=[0.01])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://emulator") as http:
        meta = Emulator("http://emulator", http, (await http.post("/control/setup", json={})).json())
        await app.state.meta.webhooks._client.aclose()
        app.state.meta.webhooks._client = httpx2.AsyncClient(transport=httpx2.MockTransport(dying))
        await meta.graph("POST", f"{meta.business['waba_id']}/subscribed_apps")
        callback = {"callback_url": "http://127.0.0.1:1/webhooks", "verify": False}
        await meta.call("POST", f"/apps/{meta.business['app_id']}/callback", **callback)
        await meta.say(await meta.person("Ann", "15550100001"), "Hi")

        async def taken() -> bool:
            [delivery] = (await meta.call("GET", "/webhooks"))["deliveries"]
            return bool(delivery["delivered"])

        await until(taken)
        await app.state.meta.aclose()
    assert len(attempts) == 2
    assert attempts[0] == attempts[1]
