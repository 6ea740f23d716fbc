"""Any request that the API describes, valid or not, gets an answer that is no fault of the server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from support.http import http_client
from support.meta import emulator
from support.server import serve_process
from support.wait import PATIENCE_SECONDS

SEED = "20261123"
EXAMPLES = "10"


async def test_no_request_makes_the_server_fail(dsn: str, tmp_path: Path) -> None:
    async with emulator() as meta, contextlib.AsyncExitStack() as stack:
        environment = {
            **meta.settings(),
            "GREENLINE_DATABASE_URL": dsn,
            "GREENLINE_API_KEY": "gl_test",
            "GREENLINE_LOG_LEVEL": "error",
        }
        server = await stack.enter_async_context(serve_process(tmp_path, environment=environment))
        await server.ready()
        description = tmp_path / "openapi.json"  # the fuzzer would wait for it no longer than ten seconds
        async with http_client(server.url) as http:
            description.write_bytes((await http.get("/openapi.json")).content)
        command = [
            *("run", str(description), "--url", server.url, "--header", "xi-api-key: gl_test"),
            *("--request-timeout", str(PATIENCE_SECONDS)),
            *("--checks", "not_a_server_error", "--phases", "fuzzing", "--no-shrink", "--continue-on-failure"),
            *("--seed", SEED, "--max-examples", EXAMPLES, "--generation-database", "none", "--no-color"),
        ]
        fuzzer = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "schemathesis"),
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await fuzzer.communicate()
    assert fuzzer.returncode == 0, output.decode() + "".join(server.errors)
    assert server.errors == []
