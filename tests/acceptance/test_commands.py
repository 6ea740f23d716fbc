"""Workspaces, keys, backup and the doctor, by the command line on a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import open_folder, remove_data_dir


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = open_folder("greenline-commands-")
    yield folder
    remove_data_dir(folder)


def greenline(*arguments: str | Path, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENLINE_")}
    command = [sys.executable, "-m", "greenline", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean | environment)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_workspaces_and_keys(data_dir: Path) -> None:
    here = ("--data-dir", data_dir)
    workspace = greenline("workspace", "create", "Second shop", *here).stdout.strip()
    assert "Second shop" in greenline("workspace", "list", *here).stdout
    made = greenline("key", "create", "--workspace", workspace, "--name", "till", *here)
    secret, key_id = made.stdout.strip(), made.stderr.split()[0]
    assert secret.startswith("gl_")
    listed = greenline("key", "list", "--workspace", workspace, *here).stdout
    assert key_id in listed
    assert secret[-4:] in listed
    assert secret not in listed
    assert "valid" in listed
    greenline("key", "revoke", key_id, "--workspace", workspace, *here)
    assert "revoked" in greenline("key", "list", "--workspace", workspace, *here).stdout
    unknown = greenline("key", "revoke", "key_unknown", "--workspace", workspace, *here, status=1)
    assert "greenline key list" in unknown.stderr
    blank = greenline("workspace", "create", " ", *here, status=1)
    assert (
        blank.stderr == "greenline: A name has to be more than spaces: people tell workspaces and keys apart by it.\n"
    )


def test_a_workspace_is_closed(data_dir: Path) -> None:
    here = ("--data-dir", data_dir)
    workspace = greenline("workspace", "create", "Second shop", *here).stdout.strip()
    of = ("--workspace", workspace, *here)
    keys = [greenline("key", "create", "--name", name, *of).stderr.split()[0] for name in ("till", "site", "old")]
    greenline("key", "revoke", keys.pop(), *of)

    told = greenline("workspace", "revoke", workspace, *here).stdout.splitlines()
    assert [line.split("\t")[0] for line in told[:-2]] == keys
    assert told[-2] == f"{workspace} is closed: 2 keys are revoked."
    assert f"greenline key create --workspace {workspace}" in told[-1]
    assert "valid" not in greenline("key", "list", *of).stdout
    again = greenline("workspace", "revoke", workspace, *here).stdout
    assert again == f"{workspace} had no valid key: nothing was changed.\n"
    assert "Second shop" in greenline("workspace", "list", *here).stdout


@pytest.mark.parametrize("command", [("workspace", "revoke", "gone"), ("key", "create")])
def test_a_workspace_that_there_is_not_is_told(data_dir: Path, command: tuple[str, ...]) -> None:
    refused = greenline(*command, "--data-dir", data_dir, status=1)
    assert "greenline workspace list" in refused.stderr
    assert "--data-dir" in refused.stderr


def test_a_dump_is_restored_into_an_empty_directory(data_dir: Path) -> None:
    old, new, dump = data_dir / "old", data_dir / "new", data_dir / "greenline.dump"
    workspace = greenline("workspace", "create", "Kept", "--data-dir", old).stdout.strip()
    greenline("database", "--data-dir", old, "pg_dump", "--format=custom", f"--file={dump}")
    greenline("database", "--data-dir", new, "pg_restore", "--no-owner", "--dbname=postgres", dump)
    assert workspace in greenline("workspace", "list", "--data-dir", new).stdout
    remove_data_dir(old)
    remove_data_dir(new)


def test_the_doctor_finds_a_fresh_installation_in_order(data_dir: Path) -> None:
    findings = greenline("doctor", "--data-dir", data_dir).stdout
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
def test_the_doctor_tells_what_is_broken(
    environment: dict[str, str], subject: str, advice: str, data_dir: Path
) -> None:
    findings = greenline("doctor", "--data-dir", data_dir, status=1, **environment).stdout
    [broken] = [line for line in findings.splitlines() if line.startswith("broken")]
    assert broken.startswith(f"broken  {subject}")
    assert advice in broken
