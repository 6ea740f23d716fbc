"""What would keep the server from its work, and what to do about it.

Each check looks at one thing and says what it found; the next ones still run when it fails, as far as they can.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from greenline.channels.livekit.service import try_room
from greenline.channels.whatsapp.account_checks import inspect_number
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.clock import Clock, SystemClock
from greenline.errors import ConfigurationError, GreenlineError
from greenline.llm.catalog import PROVIDERS, Catalog, key_names
from greenline.settings import Settings
from greenline.speech.checks import check_speech
from greenline.store.data_dir import DataDirUnusable, make_data_dir
from greenline.store.database import open_database
from greenline.store.migrate import connect, migrate
from greenline.store.pool import Connection, Record
from greenline.store.sql import load_sql
from greenline.store.vault import Vault, open_vault

OLDEST_PYTHON: Final = (3, 11)
LEAST_DISK_BYTES: Final = 1024**3
MODEL_KEYS: Final = tuple(key for provider in PROVIDERS.values() for key in provider.keys)
SERIOUS: Final = frozenset(
    {
        "number_not_connected",
        "sending_blocked",
        "permission_missing",
        "app_secret_missing",
        "app_not_known",
        "callback_missing",
    }
)
"""Findings of a number with which it can't receive or answer."""

_sql = load_sql(__package__, "doctor.sql")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``warning``: it works, but look at it."""

    subject: str
    state: Literal["ok", "warning", "broken"]
    text: str

    @property
    def broken(self) -> bool:
        """Whether the server can't do its work like this."""
        return self.state == "broken"

    def __str__(self) -> str:
        return f"{self.state:8}{self.subject}: {self.text}"


async def examine(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Every finding, in the order in which they matter."""
    findings = [_python(), *_data_dir(settings)]
    vault, found = _vault(settings)
    findings.append(found)
    async with contextlib.AsyncExitStack() as stack:
        try:
            dsn = await stack.enter_async_context(open_database(settings))
            connection = await connect(dsn, seconds=0)
            stack.push_async_callback(connection.close)
            done = await migrate(dsn)
        except GreenlineError as error:
            findings.append(Finding("database", "broken", error.message))
        else:
            version = connection.get_server_version()
            kind = "embedded" if settings.database_url is None else "GREENLINE_DATABASE_URL"
            applied = f"{len(done)} migrations applied" if done else "migrations are up to date"
            release = f"{version.major}.{version.micro}"
            findings.append(Finding("database", "ok", f"Postgres {release}, {kind}; {applied}."))
            findings += await _quarantine(connection)
            findings += [item async for item in _numbers(settings, connection, vault, clock or SystemClock())]
    clock = clock or SystemClock()
    return [
        *findings,
        *_meta(settings),
        _models(settings),
        *await _speech(settings, clock),
        *await _rooms(settings, clock),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "broken", f"{version} is too old: install 3.11 or newer and make a new environment.")
    return Finding("python", "ok", f"{version}.")


def _data_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.absolute()
    try:
        probe = make_data_dir(folder) / ".doctor"
        probe.touch()
        probe.unlink()
    except (OSError, DataDirUnusable) as error:
        yield Finding("data directory", "broken", f"{folder} can't be written: {error}. Choose another --data-dir.")
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_DISK_BYTES:
        yield Finding("data directory", "warning", f"{folder} has only {free // 1024**2} MiB left. Make room.")
    else:
        yield Finding("data directory", "ok", f"{folder}, {free // 1024**3} GiB free.")


def _vault(settings: Settings) -> tuple[Vault | None, Finding]:
    try:
        vault = open_vault(settings)
    except (GreenlineError, OSError) as error:
        return None, Finding("secret key", "broken", str(error))
    if settings.secret_key is None and settings.database_url is not None:
        advice = "replicas need the same key: set GREENLINE_SECRET_KEY to the content of secret.key."
        return vault, Finding("secret key", "warning", f"It is a file in the data directory; {advice}")
    return vault, Finding("secret key", "ok", "Secrets are encrypted. Back the key up apart from the database.")


async def _numbers(
    settings: Settings, connection: Connection, vault: Vault | None, clock: Clock
) -> AsyncIterator[Finding]:
    accounts = await connection.fetch(_sql["accounts"])
    if not accounts:
        yield Finding(
            "numbers", "warning", "None is connected yet: POST /v1/convai/whatsapp-accounts (docs/whatsapp.md)."
        )
    graph = GraphClient(settings)
    try:
        for account in accounts:
            for finding in await _number(settings, graph, vault, clock, account):
                yield finding
    finally:
        await graph.aclose()


async def _number(
    settings: Settings, graph: GraphClient, vault: Vault | None, clock: Clock, account: Record
) -> list[Finding]:
    subject, number_id = f"number {account['phone_number']}", account["phone_number_id"]
    findings = []
    if account["assigned_agent_id"] is None:
        findings.append(Finding(subject, "warning", "No agent answers it: set assigned_agent_id."))
    elif not account["enable_messaging"]:
        findings.append(Finding(subject, "warning", "Messages are not answered: set enable_messaging."))
    if vault is None:
        return [*findings, Finding(subject, "broken", "Its token can't be read without the secret key.")]
    try:
        token = vault.open(account["token"], number_id)
        subscribed = await graph.subscribed_apps(account["business_account_id"], token)
        checked = await inspect_number(graph, settings, number_id, token, clock.now())
    except GraphError as error:
        advice = error.advice or "Check GREENLINE_GRAPH_URL and the network."
        return [*findings, Finding(subject, "broken", f"Meta did not answer as it should: {error}. {advice}")]
    except GreenlineError as error:
        return [*findings, Finding(subject, "broken", error.message)]
    if not subscribed:
        text = "The app gets none of its webhooks: restart the server or import the number again, both subscribe."
        findings.append(Finding(subject, "broken", text))
    for item in checked.findings:
        findings.append(Finding(subject, "broken" if item.code in SERIOUS else "warning", item.message))
    return findings or [Finding(subject, "ok", "Its token is alive, the webhooks are subscribed, it can send.")]


async def _quarantine(connection: Connection) -> list[Finding]:
    row = await connection.fetchrow(_sql["quarantine"])
    if row is None or not row["bodies"]:
        return []
    text = (
        f"{row['bodies']} of the last days could not be read, the last at {row['last']:%Y-%m-%d %H:%M} UTC: "
        f"{row['reason'][:200]}. They are kept in the table quarantine: report them, without people's data."
    )
    return [Finding("webhooks", "warning", text)]


def _meta(settings: Settings) -> Iterator[Finding]:
    missing = [
        name
        for name, value in (
            ("GREENLINE_META_APP_ID", settings.meta_app_id),
            ("GREENLINE_META_APP_SECRET", settings.meta_app_secret),
            ("GREENLINE_META_VERIFY_TOKEN", settings.meta_verify_token),
        )
        if not value
    ]
    if missing:
        text = f"Set {', '.join(missing)}: without them webhooks are refused and tokens are not watched."
        yield Finding("meta app", "warning", text)
    else:
        yield Finding("meta app", "ok", f"App {settings.meta_app_id} at {settings.graph_url}.")


def _models(settings: Settings) -> Finding:
    try:
        catalog = Catalog.of(settings, os.environ)
    except ConfigurationError as error:
        return Finding("models", "broken", error.message)
    keyless = sorted(
        {place.provider for place in map(catalog.place_of, settings.llm_map.values())} & _wanting(catalog)
    )
    if keyless:
        missing = " and ".join(key_names(provider)[0] for provider in keyless)
        text = f"GREENLINE_LLM_MAP leads to {' and '.join(keyless)}, and there is no key. Set {missing}."
        return Finding("models", "warning", text)
    found = [name for name in MODEL_KEYS if os.environ.get(name, "").strip()]
    if settings.llm_map:
        found.append("GREENLINE_LLM_MAP")
    if not found:
        text = f"No key is set: the offline model answers. Set {', '.join(MODEL_KEYS)} or GREENLINE_LLM_MAP."
        return Finding("models", "warning", text)
    return Finding("models", "ok", f"Set: {', '.join(found)}.")


def _wanting(catalog: Catalog) -> set[str]:
    """Providers that answer nobody without a key, and have none."""
    return {
        name
        for name, provider in PROVIDERS.items()
        if provider.keys and name not in catalog.keys and not catalog.is_elsewhere(name)
    }


async def _speech(settings: Settings, clock: Clock) -> list[Finding]:
    """Agents may name others than these, and those by text need none: nothing here is broken, but the settings."""
    try:
        checks = await check_speech(settings, clock, os.environ)
    except GreenlineError as error:
        return [Finding("speech", "broken", error.message)]
    return [
        Finding(check.role, "warning" if check.trouble else "ok", f"{check.name}{_because(check.trouble)}")
        for check in checks
    ]


def _because(trouble: str | None) -> str:
    return f": {trouble}. Check the network and docs/speech.md." if trouble else "."


async def _rooms(settings: Settings, clock: Clock) -> list[Finding]:
    """Nothing where no LiveKit server is wanted."""
    if not (settings.livekit_url or settings.livekit_api_key or settings.livekit_api_secret):
        return []
    try:
        url = await try_room(settings, clock)
    except GreenlineError as error:
        return [Finding("livekit", "broken", error.message)]
    return [Finding("livekit", "ok", f"The agent can join rooms at {url}.")]
