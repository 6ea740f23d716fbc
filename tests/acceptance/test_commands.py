"""Workspaces, keys, backup and the doctor, by the command line on a data directory."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.fork_server import start
from support.postgres import remove_data_dir


async def greenline(
    *arguments: str | Path, status: int = 0, fresh: bool = False, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a command says; a ``fresh`` one imports by itself what it needs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENLINE_")}
    process = await start("greenline", *map(str, arguments), environment=clean | dict(environment or {}), fresh=fresh)
    assert process.stdout is not None
    assert process.stderr is not None
    stdout, stderr = await asyncio.gather(process.stdout.read(), process.stderr.read())
    done = subprocess.CompletedProcess(arguments, await process.wait(), stdout.decode(), stderr.decode())
    assert done.returncode == status, done.stdout + done.stderr
    return done


async def test_workspaces_and_keys(made_data_dir: Path) -> None:
    here = ("--data-dir", made_data_dir)
    workspace = (await greenline("workspace", "create", "Second shop", *here)).stdout.strip()
    assert "Second shop" in (await greenline("workspace", "list", *here)).stdout
    made = await greenline("key", "create", "--workspace", workspace, "--name", "till", *here)
    secret, key_id = made.stdout.strip(), made.stderr.split()[0]
    assert secret.startswith("gl_")
    listed = (await greenline("key", "list", "--workspace", workspace, *here)).stdout
    assert key_id in listed
    assert secret[-4:] in listed
    assert secret not in listed
    assert "valid" in listed
    await greenline("key", "revoke", key_id, "--workspace", workspace, *here)
    assert "revoked" in (await greenline("key", "list", "--workspace", workspace, *here)).stdout
    unknown = await greenline("key", "revoke", "key_unknown", "--workspace", workspace, *here, status=1)
    assert "greenline key list" in unknown.stderr
    blank = await greenline("workspace", "create", " ", *here, status=1)
    assert (
        blank.stderr == "greenline: A name has to be more than spaces: people tell workspaces and keys apart by it.\n"
    )


async def test_a_workspace_is_closed(made_data_dir: Path) -> None:
    here = ("--data-dir", made_data_dir)
    workspace = (await greenline("workspace", "create", "Second shop", *here)).stdout.strip()
    of = ("--workspace", workspace, *here)
    keys = [
        (await greenline("key", "create", "--name", name, *of)).stderr.split()[0] for name in ("till", "site", "old")
    ]
    await greenline("key", "revoke", keys.pop(), *of)

    told = (await greenline("workspace", "revoke", workspace, *here)).stdout.splitlines()
    assert [line.split("\t")[0] for line in told[:-2]] == keys
    assert told[-2] == f"{workspace} is closed: 2 keys are revoked."
    assert f"greenline key create --workspace {workspace}" in told[-1]
    assert "valid" not in (await greenline("key", "list", *of)).stdout
    again = (await greenline("workspace", "revoke", workspace, *here)).stdout
    assert again == f"{workspace} had no valid key: nothing was changed.\n"
    assert "Second shop" in (await greenline("workspace", "list", *here)).stdout


@pytest.mark.parametrize("command", [("workspace", "revoke", "gone"), ("key", "create")])
async def test_a_workspace_that_there_is_not_is_told(made_data_dir: Path, command: tuple[str, ...]) -> None:
    refused = await greenline(*command, "--data-dir", made_data_dir, status=1)
    assert "greenline workspace list" in refused.stderr
    assert "--data-dir" in refused.stderr


async def test_a_dump_is_restored_into_an_empty_directory(data_dir: Path) -> None:
    old, new, dump = data_dir / "old", data_dir / "new", data_dir / "greenline.dump"
    workspace = (await greenline("workspace", "create", "Kept", "--data-dir", old, fresh=True)).stdout.strip()
    await greenline("database", "--data-dir", old, "pg_dump", "--format=custom", f"--file={dump}", fresh=True)
    await greenline("database", "--data-dir", new, "pg_restore", "--no-owner", "--dbname=postgres", dump)
    assert workspace in (await greenline("workspace", "list", "--data-dir", new)).stdout
    remove_data_dir(old)
    remove_data_dir(new)


async def test_the_doctor_finds_a_fresh_installation_in_order(data_dir: Path) -> None:
    findings = (await greenline("doctor", "--data-dir", data_dir, fresh=True)).stdout
    for subject in ("python", "data directory", "secret key", "database"):
        assert f"ok      {subject}" in findings
    for subject in ("numbers", "meta app", "models"):
        assert f"warning {subject}" in findings


@pytest.mark.parametrize(
    ("environment", "subject", "advice"),
    [
        ({"GREENLINE_DATABASE_URL": "postgresql://nobody@/none?host=/nowhere"}, "database", "GREENLINE_DATABASE_URL"),
        ({"GREENLINE_SECRET_KEY": "short"}, "secret key", "openssl rand"),
    ],
)
async def test_the_doctor_tells_what_is_broken(
    environment: dict[str, str], subject: str, advice: str, made_data_dir: Path
) -> None:
    findings = (await greenline("doctor", "--data-dir", made_data_dir, status=1, environment=environment)).stdout
    [broken] = [line for line in findings.splitlines() if line.startswith("broken")]
    assert broken.startswith(f"broken  {subject}")
    assert advice in broken
