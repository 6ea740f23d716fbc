"""Starts the parts of the demo, furnishes them through their own APIs, and ends them together."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import httpx2
import uvloop
from pydantic import SecretStr

from greenline.clock import SystemClock
from greenline.demo.state import DemoState, load_state
from greenline.errors import ConfigurationError
from greenline.llm.catalog import Catalog
from greenline.serving import bind, serve
from greenline.settings import Settings
from greenline.store.embedded import EmbeddedPostgres
from greenline.store.vault import open_vault
from greenline.web import session, ticket

NAME: Final = "Fern & Field"
LLM: Final = "gemini-2.5-flash"
_PDEATHSIG: Final = 1  # Linux prctl(2): the signal that a child gets when its parent dies


class EmulatorNotStarted(ConfigurationError):
    """The emulator did not start. Another program may use its port: choose one with --emulator-port."""

    code = "emulator_not_started"


class DemoNotFurnished(ConfigurationError):
    """The demo's agent or number could not be set up. `greenline demo --fresh` begins anew."""

    code = "demo_not_furnished"


def run(settings: Settings, *, emulator_port: int, fresh: bool) -> None:
    """Run the demo until a signal. Raises `ConfigurationError` when a part can't start."""
    if fresh:
        _forget(settings.data_dir)
    bind(settings.host, settings.port).close()
    state = load_state(settings.data_dir)
    with _emulator(emulator_port) as emulator_url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, state, emulator_url))


def _forget(data_dir: Path) -> None:
    """Remove everything of earlier demos, also a database that runs on because its demo was killed."""
    home = data_dir / "postgres"
    if home.exists():
        database = EmbeddedPostgres(data_dir)
        database.start()
        database.stop()
        shutil.rmtree(home.resolve())
    shutil.rmtree(data_dir, ignore_errors=True)


@contextlib.contextmanager
def _emulator(port: int) -> Iterator[str]:
    """The emulator as a process of its own, which ends with this one whatever ends this one; gives its URL."""
    command = [sys.executable, "-m", "greenline", "emulator", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        line = process.stdout.readline().strip()
        if not line.startswith("ready "):
            raise EmulatorNotStarted
        yield line.removeprefix("ready ")
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


async def _serve(settings: Settings, state: DemoState, emulator_url: str) -> None:
    configured = settings.model_copy(
        update={
            "graph_url": emulator_url,
            "media_hosts": (emulator_url.removeprefix("http://"),),
            "meta_app_id": state.app_id,
            "meta_app_secret": (state.app_secret,),
            "meta_verify_token": SecretStr(state.verify_token),
            "api_key": SecretStr(state.api_key),
            "outbound_allow": (*settings.outbound_allow, "127.0.0.0/8", "::1"),
            "emulator_url": emulator_url,
        }
    )
    furnishing: list[asyncio.Task[None]] = []

    def listening(url: str) -> None:
        furnishing.append(asyncio.create_task(_furnish_and_tell(configured, state, emulator_url, url)))

    await serve(configured, listening)
    for task in furnishing:
        if task.done() and not task.cancelled():
            task.result()


async def _furnish_and_tell(settings: Settings, state: DemoState, emulator_url: str, url: str) -> None:
    try:
        await furnish(state, emulator_url, url)
    except (httpx2.HTTPError, DemoNotFurnished) as error:
        os.kill(os.getpid(), signal.SIGTERM)
        raise DemoNotFurnished(f"The demo could not be set up: {error}") from error
    model = Catalog.of(settings, os.environ).find(LLM).name
    answers = "the offline model (no key in the environment)" if model == "offline" else model
    made = ticket.make(open_vault(settings), SystemClock(), state.api_key)
    sys.stdout.write(
        f"ready {url}\n\n"
        f"  The phone         {url}/phone\n"
        f"  The console       {session.ticket_link(url, made)}\n"
        f"  The API           {url}/docs   xi-api-key: {state.api_key}\n"
        f"  The emulator      {emulator_url}/control/docs\n"
        f"  Who answers       {NAME}'s agent, by {answers}\n\n"
        "Stop it with Ctrl-C. It goes on where it was at the next start; `--fresh` begins anew.\n"
    )
    sys.stdout.flush()


async def furnish(state: DemoState, emulator_url: str, url: str) -> None:
    """Make the business in the emulator, and agent and number in the server, each by its API."""
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:

        async def call(method: str, address: str, **body: Any) -> Any:
            ours = address.startswith(url)
            headers = {"xi-api-key": state.api_key} if ours else {"authorization": f"Bearer {state.token}"}
            answer = await http.request(method, address, json=body or None, headers=headers)
            if answer.is_error:
                raise DemoNotFurnished(
                    f"{method} {answer.url.path} answered {answer.status_code}: {answer.text[:500]}"
                )
            return answer.json()

        await call(
            "POST",
            f"{emulator_url}/control/setup",
            business_name=NAME,
            verified_name=NAME,
            display_phone_number="+49 40 55501230",
            app_id=state.app_id,
            app_secret=state.app_secret,
            verify_token=state.verify_token,
            token=state.token,
            waba_id=state.waba_id,
            phone_number_id=state.phone_number_id,
        )
        await call(
            "POST",
            f"{emulator_url}/control/apps/{state.app_id}/callback",
            callback_url=f"{url}/webhooks/whatsapp",
            verify_token=state.verify_token,
            verify=True,
        )
        await call("POST", f"{emulator_url}/v23.0/{state.waba_id}/message_templates", **call_template())
        known = await call("GET", f"{url}/v1/convai/agents?search=Juno")
        agents = [row for row in known["agents"] if row["name"] == "Juno"]
        agent = agents[0] if agents else await call("POST", f"{url}/v1/convai/agents/create", **shop_agent())
        await call(
            "POST",
            f"{url}/v1/convai/whatsapp-accounts",
            business_account_id=state.waba_id,
            phone_number_id=state.phone_number_id,
            access_token=state.token,
        )
        number = f"{url}/v1/convai/whatsapp-accounts/{state.phone_number_id}"
        await call("PATCH", number, assigned_agent_id=agent["agent_id"])
        people = await call("GET", f"{emulator_url}/control/people")
        if not people["people"]:
            await call("POST", f"{emulator_url}/control/people", name="You", phone="4915550001234", reads="auto")


def call_template() -> dict[str, Any]:
    """The body that makes the template by which the shop asks whether it may call."""
    question = "May Fern & Field call you about your order?"
    components = [{"type": "BODY", "text": question}, {"type": "CALL_PERMISSION_REQUEST"}]
    return {"name": "may_we_call", "language": "en", "category": "UTILITY", "components": components}


def shop_agent() -> dict[str, Any]:
    """The body that makes the shop's agent."""
    prompt = resources.files("greenline.demo").joinpath("shop.md").read_text(encoding="utf-8")
    tools: dict[str, dict[str, Any]] = {
        name: {} for name in ("end_call", "send_interactive_buttons", "send_interactive_list")
    }
    return {
        "name": "Juno",
        "tags": ["demo"],
        "conversation_config": {
            "agent": {
                "first_message": "Hi, this is Juno, the digital assistant of Fern & Field.",
                "language": "en",
                "prompt": {"prompt": prompt, "llm": LLM, "built_in_tools": tools},
            },
            "conversation": {"max_duration_seconds": 7200},
        },
    }


def default_data_dir(settings: Settings) -> Path:
    """The demo's own folder: it never touches the data of a real server."""
    return settings.data_dir / "demo"
