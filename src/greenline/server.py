"""The composition root: the only place where the parts of the server are made and put together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI

from greenline.api.app import create_api
from greenline.api.deps import AppServices
from greenline.api.lifecycle import Lifecycle
from greenline.channels.live.sessions import LiveSessions
from greenline.channels.livekit.service import Rooms
from greenline.channels.socket.service import Sockets
from greenline.channels.socket.sessions import SocketSessions
from greenline.channels.whatsapp.account_checks import TokenWatch, token_alarm
from greenline.channels.whatsapp.calls.live_agents import LiveCallAgents
from greenline.channels.whatsapp.calls.service import Calls
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.service import WhatsApp
from greenline.clock import Clock, SystemClock
from greenline.conversations.retention import Retention
from greenline.insight.post_call import PostCallWebhooks
from greenline.insight.service import Insight
from greenline.insight.trace_export import TraceExport
from greenline.llm.factory import build_models
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.speech.factory import build_speech
from greenline.speech.models import Speech
from greenline.store.database import open_database
from greenline.store.migrate import migrate
from greenline.store.objects import open_objects
from greenline.store.pool import Pool, open_pool
from greenline.store.vault import open_vault
from greenline.store.wakeups import Wakeups
from greenline.tools.guard import guarded_client
from greenline.tools.mcp.toolbox import Mcp
from greenline.web.app import install as install_pages
from greenline.workspaces import service as workspaces
from greenline.workspaces.keyring import Keyring


def create_app(settings: Settings, clock: Clock | None = None, models: LanguageModels | None = None) -> FastAPI:
    """The whole server as an ASGI application; its lifespan opens the store and runs the workers.

    ``models`` takes the place of those that the settings name.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, clock or SystemClock(), models) as services, pages:
            app.state.services = services
            yield

    app = create_api(settings, lifespan)
    pages = install_pages(app, settings)
    return app


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings, clock: Clock, models: LanguageModels | None = None, speech: Speech | None = None
) -> AsyncIterator[AppServices]:
    """Open the store, make every part, start what works in the background; undo it in reverse.

    Raises `greenline.errors.ConfigurationError` or `greenline.errors.Unavailable`, which say what to do.
    """
    async with contextlib.AsyncExitStack() as stack:
        vault = await asyncio.to_thread(open_vault, settings)
        dsn = await stack.enter_async_context(open_database(settings))
        await migrate(dsn)
        pool = await open_pool(dsn, size=settings.database_connections)
        stack.callback(pool.terminate)
        # What Meta delivers is kept whatever else asks of the database.
        inbox_pool = await open_pool(dsn, size=2, name="greenline inbox", plan_once=True)
        stack.callback(inbox_pool.terminate)
        await _bootstrap(settings, clock, pool)
        wakeups = Wakeups(dsn)
        await wakeups.start()
        stack.push_async_callback(wakeups.aclose)
        objects = await asyncio.to_thread(open_objects, settings)
        token_died = token_alarm(pool, clock)
        graph = GraphClient(settings, token_died)
        stack.push_async_callback(graph.aclose)
        if models is None:
            models, endpoints = build_models(settings, os.environ, guarded_client(settings))
            stack.push_async_callback(endpoints.aclose)
            stack.callback(asyncio.create_task(endpoints.warm()).cancel)
        if speech is None:
            made = build_speech(settings, clock)
            stack.push_async_callback(made.aclose)
            speech = made
        mcp = Mcp(pool, clock, settings)
        stack.push_async_callback(mcp.aclose)
        whatsapp = WhatsApp(
            pool=pool,
            inbox_pool=inbox_pool,
            wakeups=wakeups,
            graph=graph,
            vault=vault,
            models=models,
            mcp=mcp,
            speech=speech,
            objects=objects,
            clock=clock,
            settings=settings,
        )
        live = LiveSessions(
            pool=pool,
            wakeups=wakeups,
            vault=vault,
            models=models,
            mcp=mcp,
            speech=speech,
            objects=objects,
            clock=clock,
            settings=settings,
        )
        calls = Calls(
            pool=pool,
            wakeups=wakeups,
            vault=vault,
            token_died=token_died,
            agents=LiveCallAgents(pool, vault, live, clock, settings),
            clock=clock,
            settings=settings,
        )
        tokens = TokenWatch(pool, graph, vault, clock, settings)
        retention = Retention(pool, clock, objects)
        insight = Insight(pool=pool, wakeups=wakeups, models=models, clock=clock, settings=settings)
        traces = TraceExport(pool, clock, settings)
        post_calls = PostCallWebhooks(pool, vault, objects, clock, settings)
        keyring = Keyring(pool, clock)
        sockets = Sockets(
            pool=pool,
            wakeups=wakeups,
            keyring=keyring,
            vault=vault,
            objects=objects,
            clock=clock,
            settings=settings,
            sessions=SocketSessions(pool, vault, clock, live),
        )
        rooms = Rooms(host=sockets.host, clock=clock, settings=settings)
        services = AppServices(
            settings=settings,
            clock=clock,
            pool=pool,
            wakeups=wakeups,
            vault=vault,
            keyring=keyring,
            graph=graph,
            models=models,
            mcp=mcp,
            objects=objects,
            whatsapp=whatsapp,
            sockets=sockets,
            rooms=rooms,
            lifecycle=Lifecycle(
                workers=(insight, traces, post_calls, whatsapp, tokens, retention, live),
                sessions=(sockets, rooms, calls),
            ),
        )
        stack.push_async_callback(services.lifecycle.drain, settings.drain_seconds)
        for part in services.lifecycle.parts:
            part.start()
        yield services


async def _bootstrap(settings: Settings, clock: Clock, pool: Pool) -> None:
    given = settings.api_key.get_secret_value() if settings.api_key else None
    made = await workspaces.bootstrap(pool, clock, given)
    if made is not None:
        sys.stderr.write(f"API key of the default workspace, shown only now: {made.secret}\n")
        sys.stderr.flush()
