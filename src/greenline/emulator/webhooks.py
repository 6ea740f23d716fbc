"""Webhooks as Meta sends them: escaped, signed, in parallel, repeated until they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.fault_kinds import (
    UnknownField,
    WebhookBatch,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookShuffle,
)
from greenline.emulator.faults import Faults
from greenline.emulator.journal import Journal
from greenline.emulator.world import Account, App, Number, World

USER_AGENT: Final = "facebookexternalua"


def wire_form(body: object) -> bytes:
    """JSON as Meta writes it: ASCII, non-ASCII and ``@`` as lowercase escapes, slashes escaped."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=True)
    return text.replace("/", "\\/").replace("@", "\\u0040").encode("ascii")


def sign(secret: str, body: bytes) -> dict[str, str]:
    """The signature headers of a body."""
    key = secret.encode()
    return {
        "X-Hub-Signature": "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(),
    }


@dataclass
class Delivery:
    """One body for one callback."""

    id: int
    app: App
    url: str
    body: bytes
    subject: str
    """The webhook field that it tells of."""
    attempts: int = 0
    delivered: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """As the control API shows it."""
        return {
            "id": self.id,
            "app_id": self.app.id,
            "url": self.url,
            "field": self.subject,
            "attempts": self.attempts,
            "delivered": self.delivered,
            "results": self.results,
            "body": json.loads(self.body),
        }


class Webhooks:
    """Sends updates to the callbacks of subscribed apps."""

    def __init__(self, world: World, config: Config, clock: MovableClock, faults: Faults, journal: Journal) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._client = httpx2.AsyncClient(
            trust_env=False,
            headers={"User-Agent": USER_AGENT},
            limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._batch: list[tuple[Number, str, dict[str, Any]]] = []
        self._slots = asyncio.Semaphore(config.webhook_concurrency)
        self.deliveries: list[Delivery] = []

    async def aclose(self) -> None:
        """Give up what is under way and close the connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def update(self, number: Number, name: str, value: dict[str, Any]) -> None:
        """Tell of an update of ``number`` in the webhook field ``name``."""
        metadata = {"display_phone_number": number.wa_id, "phone_number_id": number.id}
        whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        if self._faults.acting(UnknownField, phone_number_id=number.id):
            whole["brand_new_field"] = {"since": "tomorrow"}
        batching = self._faults.acting(WebhookBatch, field=name, phone_number_id=number.id)
        if batching is None:
            self._send(number, [(name, whole)])
            return
        self._batch.append((number, name, whole))
        if len(self._batch) >= batching.size:
            self._flush()
        elif len(self._batch) == 1:
            self._start(self._flush_later(batching.seconds))

    def account_update(self, account: Account, name: str, value: dict[str, Any]) -> None:
        """Tell of an update of a business account."""
        envelope = {
            "object": "whatsapp_business_account",
            "entry": [
                {"id": account.id, "time": int(self._clock.now()), "changes": [{"field": name, "value": value}]}
            ],
        }
        for app in self._subscribers(account, name):
            if app.callback_url:
                self._deliver(app, app.callback_url, wire_form(envelope), name)

    async def send_raw(
        self, app: App, url: str, body: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """One attempt with exactly these bytes; signed unless ``headers`` bring a signature of their own."""
        delivery = Delivery(len(self.deliveries) + 1, app, url, body, "raw")
        return await self._attempt(delivery, headers if headers is not None else sign(app.secret, body))

    async def verify(self, url: str, token: str) -> dict[str, Any]:
        """Meta's handshake with a callback: ``{ok, status, answer}``."""
        challenge = str(secrets.randbelow(10**10))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        try:
            answer = await self._client.get(url, params=query, timeout=self._config.webhook_timeout)
        except httpx2.HTTPError as error:
            return {"ok": False, "status": None, "answer": f"{type(error).__name__}: {error}"}
        ok = answer.status_code == 200 and answer.text == challenge
        return {"ok": ok, "status": answer.status_code, "answer": answer.text[:200]}

    def is_subscribed(self, number: Number, name: str) -> bool:
        """Whether an app wants updates of the number in a webhook field."""
        return bool(self._subscribers(self._world.accounts[number.account_id], name))

    def pending(self) -> int:
        """Deliveries that are not taken yet and will be tried again."""
        return len(self._tasks)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        for account_id in {number.account_id for number, _, _ in batch}:
            mine = [(number, name, value) for number, name, value in batch if number.account_id == account_id]
            self._send(mine[0][0], [(name, value) for _, name, value in mine])

    async def _flush_later(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._flush()

    def _send(self, number: Number, changes: Sequence[tuple[str, dict[str, Any]]]) -> None:
        account = self._world.accounts[number.account_id]
        name = changes[0][0]
        envelope = {
            "object": "whatsapp_business_account",
            "entry": [{"id": account.id, "changes": [{"field": name, "value": value} for name, value in changes]}],
        }
        body = wire_form(envelope)
        for app in self._subscribers(account, name):
            own = number.extra.get("webhook_override") or account.subscribed.get(app.id)
            url = own or app.callback_url
            if url:
                self._deliver(app, url, body, name)

    def _subscribers(self, account: Account, name: str) -> list[App]:
        apps = (self._world.apps.get(app_id) for app_id in account.subscribed)
        return [app for app in apps if app is not None and (not app.fields or name in app.fields)]

    def _deliver(self, app: App, url: str, body: bytes, name: str) -> None:
        delivery = Delivery(len(self.deliveries) + 1, app, url, body, name)
        self.deliveries.append(delivery)
        self._start(self._deliver_until_taken(delivery, self._hold(name)))
        duplicate = self._faults.acting(WebhookDuplicate, field=name)
        if duplicate is not None:
            for _ in range(duplicate.count()):
                self._start(self._deliver_until_taken(delivery, duplicate.delay))

    def _hold(self, name: str) -> float:
        delay = self._faults.acting(WebhookDelay, field=name)
        shuffle = self._faults.acting(WebhookShuffle, field=name)
        seconds = delay.seconds if delay else 0.0
        return seconds + (shuffle.up_to(shuffle.seconds) if shuffle else 0.0)

    async def _deliver_until_taken(self, delivery: Delivery, hold: float) -> None:
        if hold:
            await self._clock.sleep(hold)
        headers = sign(delivery.app.secret, delivery.body)
        for wait in [*self._config.webhook_retry_schedule, None]:
            async with self._slots:
                result = await self._attempt(delivery, headers)
            lost = result["status"] == 200 and self._faults.acting(WebhookDrop, field=delivery.subject)
            if result["status"] == 200 and not lost:
                if not delivery.delivered:
                    delivery.delivered = True
                    self._journal.add("webhook.delivered", delivery=delivery.id, field=delivery.subject)
                return
            if wait is not None:
                await self._clock.sleep(wait)
        self._journal.add("webhook.given_up", delivery=delivery.id, field=delivery.subject)

    async def _attempt(self, delivery: Delivery, headers: dict[str, str]) -> dict[str, Any]:
        delivery.attempts += 1
        begun = time.perf_counter()
        status: int | None = None
        error = None
        try:
            answer = await self._client.post(
                delivery.url,
                content=delivery.body,
                headers={"Content-Type": "application/json", **headers},
                timeout=self._config.webhook_timeout,
            )
            status = answer.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            error = f"{type(failure).__name__}: {failure}"
        result = {"status": status, "error": error, "seconds": round(time.perf_counter() - begun, 4)}
        delivery.results.append(result)
        self._journal.add(
            "webhook.attempt", delivery=delivery.id, field=delivery.subject, attempt=delivery.attempts, **result
        )
        return result

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with contextlib.suppress(asyncio.CancelledError):
            task.result()
