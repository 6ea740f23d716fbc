"""The doctor looks at numbers as Meta sees them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import ManualClock
from greenline.doctor import Finding, examine
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from support.meta import emulator
from support.server import serve_process


def of(findings: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject.startswith(subject)]


async def test_the_doctor_tells_a_healthy_number_from_a_dead_token(dsn: str, tmp_path: Path) -> None:
    async with emulator() as meta:
        environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": "gl_test"} | meta.settings()
        async with serve_process(tmp_path, environment=environment) as server:
            await server.ready()
            await meta.furnish(server.url, "gl_test", "You sell plants.")
        settings = Settings(
            database_url=dsn,
            data_dir=tmp_path,
            graph_url=meta.url,
            meta_app_id=meta.business["app_id"],
            meta_app_secret=meta.business["app_secret"],
            meta_verify_token=meta.business["verify_token"],
        )
        healthy = await examine(settings)
        assert [finding for finding in healthy if finding.broken] == []
        assert of(healthy, "number ") != []
        assert [finding.state for finding in of(healthy, "meta app")] == ["ok"]

        strange = settings.model_copy(update={"meta_app_secret": ("another",)})
        [wrong] = [finding for finding in await examine(strange) if finding.broken]
        assert "GREENLINE_META_APP_SECRET" in wrong.text

        business = meta.business
        headers = {"authorization": f"Bearer {business['token']}"}
        await meta.http.delete(f"/v23.0/{business['waba_id']}/subscribed_apps", headers=headers)
        broken = [finding.text for finding in await examine(settings) if finding.broken]
        assert any("gets none of its webhooks" in text for text in broken)
        assert any("no callback URL" in text for text in broken)
        await meta.http.post(f"/v23.0/{business['waba_id']}/subscribed_apps", headers=headers)

        await meta.call("POST", "/faults", name="token_expired")
        [dead] = [finding for finding in await examine(settings) if finding.broken]
        assert dead.subject.startswith("number ")
        assert "import the number again" in dead.text.lower(), dead.text

        other = settings.model_copy(update={"data_dir": tmp_path / "other"})
        [unreadable] = [finding for finding in await examine(other) if finding.broken]
        assert "GREENLINE_SECRET_KEY" in unreadable.text


async def test_the_doctor_says_that_meta_can_not_be_reached(dsn: str, tmp_path: Path) -> None:
    async with emulator() as meta:
        environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": "gl_test"} | meta.settings()
        async with serve_process(tmp_path, environment=environment) as server:
            await server.ready()
            await meta.furnish(server.url, "gl_test", "You sell plants.")
        gone = meta.url
    settings = Settings(database_url=dsn, data_dir=tmp_path, graph_url=gone)
    [broken] = [finding for finding in await examine(settings) if finding.broken]
    assert "GREENLINE_GRAPH_URL" in broken.text


async def test_the_doctor_names_a_key_that_no_request_can_carry(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "DEEPGRAM_API_KEY"):
        monkeypatch.setenv(name, f"hid\nden_{name}")
    findings = await examine(settings)
    [models], [speech] = of(findings, "models"), of(findings, "speech")
    assert (models.state, speech.state) == ("broken", "broken")
    assert models.text.startswith("OPENAI_API_KEY has characters")
    assert "den_" not in str(findings)


async def test_the_doctor_counts_what_meta_sent_and_nobody_could_read(
    dsn: str, pool: Pool, clock: ManualClock, tmp_path: Path
) -> None:
    settings = Settings(database_url=dsn, data_dir=tmp_path)
    assert of(await examine(settings), "webhooks") == []
    inbox = Inbox(pool, clock, Vault(b"k" * 32))
    for body in (b"{", b'{"entry":' + b"[" * 1_100 + b"]" * 1_100 + b"}"):
        await inbox.accept(body)
        clock.advance(timedelta(minutes=1))
    [unread] = of(await examine(settings), "webhooks")
    assert unread.state == "warning"
    assert unread.text.startswith("2 of the last days could not be read, the last at 2026-01-05 09:01 UTC: ")
    assert "recursion" in unread.text


async def test_the_doctor_looks_where_the_mapping_of_models_leads(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    nowhere = settings.model_copy(update={"llm_map": {"*": "nosuch:model"}})
    [broken] = of(await examine(nowhere), "models")
    assert broken.state == "broken"
    assert "GREENLINE_LLM_BASE_URLS" in broken.text
    keyless = settings.model_copy(update={"llm_map": {"gpt-4o": "groq:llama", "*": "offline"}})
    [warned] = of(await examine(keyless), "models")
    assert warned.state == "warning"
    assert "Set GROQ_API_KEY" in warned.text
