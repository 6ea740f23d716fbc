"""Webhooks as Meta sends them: escaped, signed, in parallel, repeated until they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from greenline.emulator.background import Background
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.evidence import Evidence
from greenline.emulator.fault_kinds import (
    UnknownField,
    WebhookBatch,
    WebhookDelay,
    WebhookDrop,
    WebhookDuplicate,
    WebhookLost,
    WebhookShuffle,
)
from greenline.emulator.faults import Faults
from greenline.emulator.journal import Journal
from greenline.emulator.trust import trust
from greenline.emulator.world import Account, App, Number, World

USER_AGENT: Final = "facebookexternalua"
APP_ONLY: Final = ("standby", "user_id_update")
"""Fields that go to the app's callback whatever an account or a number has of its own (Meta: Webhook overrides)."""


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


@dataclass(frozen=True)
class Update:
    """Something to tell of: a value in a webhook field, about a business account or one of its numbers."""

    field: str
    value: dict[str, Any]
    phone_number_id: str | None = None


@dataclass(frozen=True)
class Target:
    """Who is told, and where; ``account_id`` is the one that the updates are about."""

    app_id: str
    url: str
    account_id: str


@dataclass
class Delivery:
    """One body for one callback."""

    id: int
    app: App
    url: str
    body: bytes
    subject: str = "raw"
    """The webhook fields that it tells of."""
    about: dict[str, Any] = field(default_factory=dict)
    """What a fault may match."""
    attempts: int = 0
    delivered: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)
    others: list[Delivery] = field(default_factory=list, repr=False)
    """Of the same updates, for other apps: all of them are told again when one fails (Meta: Webhooks, retries)."""

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
            verify=trust(),
            trust_env=False,
            headers={"User-Agent": USER_AGENT},
            limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
        )
        self._background = Background()
        self._batches: dict[Target, list[Update]] = {}
        self._under_way = 0
        self._one_less = asyncio.Condition()
        self._ids = itertools.count(1)
        self.deliveries: Evidence[Delivery] = Evidence(
            lambda: config.kept_webhook_bytes, lambda delivery: len(delivery.body)
        )

    async def aclose(self) -> None:
        """Give up what is under way and close the connections."""
        await self._background.aclose()
        await self._client.aclose()

    def update(self, number: Number, name: str, value: dict[str, Any]) -> None:
        """Tell of an update of ``number`` in the webhook field ``name``."""
        metadata = {"display_phone_number": number.wa_id, "phone_number_id": number.id}
        whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        update = Update(name, self._with_faults(name, whole, number.id), number.id)
        account = self._world.accounts[number.account_id]
        batch = self._faults.acting(WebhookBatch, field=name, phone_number_id=number.id)
        targets = []
        for app in self._subscribers(account, name):
            own = number.extra.get("webhook_override") or account.subscribed.get(app.id)
            if name in APP_ONLY:
                own = None
            if url := own or app.callback_url:
                targets.append(Target(app.id, url, account.id))
        if batch is None:
            self._deliver(targets, [update])
        else:
            for target in targets:
                self._collect(target, update, batch)

    def account_update(self, account: Account, name: str, value: dict[str, Any]) -> None:
        """Tell of an update of a business account."""
        update = Update(name, self._with_faults(name, value, None))
        apps = [(app.id, app.callback_url) for app in self._subscribers(account, name)]
        targets = [Target(app_id, url, account.id) for app_id, url in apps if url]
        self._deliver(targets, [update], time=int(self._clock.now()))

    async def send_raw(
        self, app: App, url: str, body: bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """One attempt with exactly these bytes; signed unless ``headers`` bring a signature of their own."""
        delivery = Delivery(next(self._ids), app, url, body)
        return await self._attempt(delivery, headers if headers is not None else sign(app.secret, body))

    async def verify(self, url: str, token: str) -> dict[str, Any]:
        """Meta's handshake with a callback: ``{ok, status, answer}``."""
        challenge = str(secrets.randbelow(10**10))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        try:
            answer = await self._client.get(url, params=query, timeout=self._config.webhook_timeout)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return {"ok": False, "status": None, "answer": f"{type(error).__name__}: {error}"}
        ok = answer.status_code == 200 and answer.text == challenge
        return {"ok": ok, "status": answer.status_code, "answer": answer.text[:200]}

    def is_subscribed(self, number: Number, name: str) -> bool:
        """Whether an app wants updates of the number in a webhook field."""
        return bool(self._subscribers(self._world.accounts[number.account_id], name))

    def pending(self) -> int:
        """Deliveries that are not taken yet and will be tried again."""
        return len(self._background)

    def _with_faults(self, name: str, value: dict[str, Any], phone_number_id: str | None) -> dict[str, Any]:
        unknown = self._faults.acting(UnknownField, field=name, phone_number_id=phone_number_id)
        return {**value, "brand_new_field": {"since": "tomorrow"}} if unknown else value

    def _subscribers(self, account: Account, name: str) -> list[App]:
        apps = (self._world.apps.get(app_id) for app_id in account.subscribed)
        return [app for app in apps if app is not None and (not app.fields or name in app.fields)]

    def _collect(self, target: Target, update: Update, fault: WebhookBatch) -> None:
        batch = self._batches.setdefault(target, [])
        batch.append(update)
        if len(batch) >= fault.size:
            self._flush(target, batch)
        elif len(batch) == 1:
            self._background.start(self._flush_later(target, batch, fault.seconds))

    async def _flush_later(self, target: Target, batch: list[Update], seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._flush(target, batch)

    def _flush(self, target: Target, batch: list[Update]) -> None:
        if self._batches.get(target) is batch:
            self._deliver([target], self._batches.pop(target))

    def _deliver(self, targets: list[Target], updates: list[Update], **entry: int) -> None:
        """Tell each of the apps; a retry for one of them goes to all."""
        deliveries = [self._delivery(target, updates, entry) for target in targets]
        for delivery in deliveries:
            delivery.others = [other for other in deliveries if other is not delivery]
            self.deliveries.append(delivery)
            self._send_off(delivery)

    def _delivery(self, target: Target, updates: list[Update], entry: dict[str, int]) -> Delivery:
        changes = [{"field": update.field, "value": update.value} for update in updates]
        envelope = {
            "object": "whatsapp_business_account",
            "entry": [{"id": target.account_id, **entry, "changes": changes}],
        }
        fields = list(dict.fromkeys(update.field for update in updates))
        about = {
            "field": frozenset(fields),
            "phone_number_id": frozenset(update.phone_number_id for update in updates),
        }
        app = self._world.apps[target.app_id]
        return Delivery(next(self._ids), app, target.url, wire_form(envelope), ", ".join(fields), about)

    def _send_off(self, delivery: Delivery) -> None:
        about = delivery.about
        if self._faults.acting(WebhookLost, **about):
            self._journal.add("webhook.lost", delivery=delivery.id, field=delivery.subject)
            return
        delay = self._faults.acting(WebhookDelay, **about)
        shuffle = self._faults.acting(WebhookShuffle, **about)
        duplicate = self._faults.acting(WebhookDuplicate, **about)
        waits = [0.0, *([duplicate.delay] * duplicate.count() if duplicate else [])]
        for wait in waits:
            hold = wait + (delay.seconds if delay else 0.0) + (shuffle.up_to(shuffle.seconds) if shuffle else 0.0)
            self._background.start(self._deliver_until_taken(delivery, hold))

    async def _deliver_until_taken(self, delivery: Delivery, hold: float) -> None:
        if hold:
            await self._clock.sleep(hold)
        headers = sign(delivery.app.secret, delivery.body)
        for wait in [*self._waits(delivery), None]:
            async with self._slot():
                result = await self._attempt(delivery, headers)
            lost = result["status"] == 200 and self._faults.acting(WebhookDrop, **delivery.about)
            if result["status"] == 200 and not lost:
                if not delivery.delivered:
                    delivery.delivered = True
                    self._journal.add("webhook.delivered", delivery=delivery.id, field=delivery.subject)
                return
            if wait is not None:
                await self._clock.sleep(wait)
                for other in delivery.others:
                    if other.delivered:  # who has not taken it yet is told again anyway
                        self._background.start(self._repeat(other))
        self._journal.add("webhook.given_up", delivery=delivery.id, field=delivery.subject)

    def _waits(self, delivery: Delivery) -> list[float]:
        """Between its attempts."""
        of_calls = delivery.about["field"] == {"calls"}
        return self._config.call_webhook_retry_schedule if of_calls else self._config.webhook_retry_schedule

    async def _repeat(self, delivery: Delivery) -> None:
        """Tell somebody once more who took it."""
        async with self._slot():
            await self._attempt(delivery, sign(delivery.app.secret, delivery.body))

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the deliveries under way at once; how many there may be can change at any time."""
        async with self._one_less:
            await self._one_less.wait_for(lambda: self._under_way < self._config.webhook_concurrency)
            self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            async with self._one_less:
                self._one_less.notify(max(1, self._config.webhook_concurrency - self._under_way))

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
        except Exception as failure:  # noqa: BLE001 - the boundary of an attempt: recorded, and tried again like any
            # A connection that dies as soon as it is made raises what no list of the client's errors names.
            error = f"{type(failure).__name__}: {failure}"
        result = {"status": status, "error": error, "seconds": round(time.perf_counter() - begun, 4)}
        delivery.results.append(result)
        self._journal.add(
            "webhook.attempt", delivery=delivery.id, field=delivery.subject, attempt=delivery.attempts, **result
        )
        return result
