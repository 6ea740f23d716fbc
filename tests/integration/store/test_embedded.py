"""The embedded Postgres: shared, killed, left behind, found in odd places."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from greenline.store import binaries
from greenline.store.binaries import PostgresMissing, choose_account, find_binaries
from greenline.store.data_dir import DataDirUnusable
from greenline.store.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, WrongMajorVersion
from greenline.store.postmaster import process_exists, read_postmaster
from support.postgres import remove_data_dir

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account run Postgres")


def query(dsn: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def pid_of(data_dir: Path) -> int | None:
    running = read_postmaster((data_dir / "postgres").resolve() / "data")
    return running.pid if running else None


def test_it_starts_stops_and_keeps_what_it_was_given(data_dir: Path) -> None:
    for expected in (None, "kept"):
        server = EmbeddedPostgres(data_dir)
        dsn = server.start()
        assert server.alive()
        assert query(dsn, "select to_regclass('kept')::text") == expected
        query(dsn, "create table if not exists kept (id int)")
        server.stop()
        assert not server.alive()
    assert pid_of(data_dir) is None


def test_it_is_durable_private_and_has_no_network(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    dsn = server.start()
    settings = "select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name in "
    names = "('fsync', 'full_page_writes', 'listen_addresses', 'synchronous_commit', 'server_encoding')"
    assert query(dsn, settings + names) == (
        "fsync=on full_page_writes=on listen_addresses= server_encoding=UTF8 synchronous_commit=on"
    )
    home = (data_dir / "postgres").resolve()
    assert [(home / name).stat().st_mode & 0o077 for name in ("data", "run")] == [0, 0]
    server.stop()


def test_the_data_directory_is_closed_to_others(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / "new")
    assert query(server.start(), "select 1") == 1
    server.stop()
    assert (data_dir / "new").stat().st_mode & 0o067 == 0  # a group may pass through when we are root
    remove_data_dir(data_dir / "new")


def test_many_starters_make_one_database(data_dir: Path) -> None:
    servers = [EmbeddedPostgres(data_dir) for _ in range(6)]
    with ThreadPoolExecutor(6) as starters:
        dsns = list(starters.map(EmbeddedPostgres.start, servers))
    assert len(set(dsns)) == 1
    *others, last = servers
    for server in others:
        server.stop()
        assert query(dsns[0], "select 1") == 1
    last.stop()
    assert pid_of(data_dir) is None


def test_starting_twice_and_stopping_twice_is_harmless(made_data_dir: Path) -> None:
    server = EmbeddedPostgres(made_data_dir)
    assert server.start() == server.start()
    server.stop()
    server.stop()
    assert pid_of(made_data_dir) is None


def test_a_server_that_was_left_behind_is_taken_over(made_data_dir: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from greenline.store.embedded import EmbeddedPostgres
EmbeddedPostgres(Path({str(made_data_dir)!r})).start()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False)
    left = pid_of(made_data_dir)
    assert left is not None
    server = EmbeddedPostgres(made_data_dir)
    server.start()
    assert pid_of(made_data_dir) == left
    server.stop()
    assert pid_of(made_data_dir) is None


def test_rows_survive_the_death_of_the_server_at_any_moment(made_data_dir: Path) -> None:
    server = EmbeddedPostgres(made_data_dir)
    dsn = server.start()
    query(dsn, "create table acknowledged (number int primary key)")
    for number in range(3):
        query(dsn, f"insert into acknowledged values ({number})")
        pid = pid_of(made_data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        dsn = server.start()
        assert query(dsn, "select count(*) from acknowledged") == number + 1
    server.stop()


def test_a_pid_file_whose_number_another_program_got_is_cleared(made_data_dir: Path) -> None:
    server = EmbeddedPostgres(made_data_dir)
    server.start()
    server.stop()
    data = (made_data_dir / "postgres").resolve() / "data"
    account = choose_account(data)
    with subprocess.Popen(["sleep", "60"], **account.process_options()) as other:
        lines = [str(other.pid), str(data), "1", "5432", str(data.parent / "run"), "", "1 1", "ready"]
        (data / "postmaster.pid").write_text("\n".join(lines) + "\n")
        for name in (".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
            (data.parent / "run" / name).write_text(f"{other.pid}\n")
        assert read_postmaster(data) is None
        dsn = server.start()
        assert query(dsn, "select 1") == 1
        server.stop()
        other.kill()


def test_an_interrupted_initialisation_is_made_anew(made_data_dir: Path) -> None:
    server = EmbeddedPostgres(made_data_dir)
    server.start()
    server.stop()
    home = (made_data_dir / "postgres").resolve()
    (home / "data").rename(home / "data.new")  # as a killed initdb leaves it
    (home / "data.new" / "base").rename(home / "data.new" / "half")
    assert query(server.start(), "select 1") == 1
    server.stop()
    assert not (home / "data.new").exists()


def test_another_major_version_is_told(made_data_dir: Path) -> None:
    server = EmbeddedPostgres(made_data_dir)
    server.start()
    server.stop()
    ((made_data_dir / "postgres").resolve() / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(WrongMajorVersion, match="made by Postgres 14, this is"):
        server.start()
    server.stop()


def test_a_broken_database_is_told_at_once_with_the_words_of_its_log(
    made_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(made_data_dir)
    server.start()
    server.stop()
    home = (made_data_dir / "postgres").resolve()
    (home / "data" / "global" / "pg_control").unlink()
    starts, spawn = [], server._spawn

    def counted(*how: Any) -> Any:
        starts.append(how)
        return spawn(*how)

    monkeypatch.setattr(server, "_spawn", counted)
    with pytest.raises(EmbeddedPostgresFailed, match="pg_control"):
        server.start()
    assert len(starts) == 1
    server.stop()


def test_a_deep_directory_has_its_socket_elsewhere(data_dir: Path) -> None:
    deep = data_dir / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True, mode=0o711)
    server = EmbeddedPostgres(deep)
    dsn = server.start()
    assert query(dsn, "select 1") == 1
    running = read_postmaster(deep / "postgres" / "data")
    assert running is not None
    assert not running.socket_folder.is_relative_to(deep)
    other = EmbeddedPostgres(deep)
    assert other.start() == dsn
    other.stop()
    server.stop()
    running.socket_folder.rmdir()


def test_a_database_that_was_deleted_while_it_ran_is_not_replaced_by_an_empty_one(made_data_dir: Path) -> None:
    server = EmbeddedPostgres(made_data_dir)
    server.start()
    pid = pid_of(made_data_dir)
    assert pid is not None
    home = (made_data_dir / "postgres").resolve()
    home.rename(made_data_dir / "moved")
    shutil.rmtree(made_data_dir / "moved")
    assert not server.alive()
    with pytest.raises(EmbeddedPostgresFailed, match="is gone"):
        server.start()
    server.stop()
    assert not process_exists(pid)


def test_a_directory_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match="--data-dir"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_a_lost_place_of_the_database_is_not_replaced_by_an_empty_one(data_dir: Path) -> None:
    (data_dir / "postgres").symlink_to(data_dir / "gone")
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(EmbeddedPostgresFailed, match="which is gone"):
        server.start()
    server.stop()


@as_root
def test_root_in_a_closed_place_has_its_database_elsewhere(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenline.store.embedded.ROOT_STATE", data_dir / "state")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed)
    assert query(server.start(), "select 1") == 1
    server.stop()
    assert (closed / "postgres").readlink().is_relative_to(data_dir / "state")
    assert query(server.start(), "select 1") == 1
    server.stop()


@as_root
def test_programs_that_the_account_can_not_reach_are_copied(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = choose_account(data_dir / "none")
    reachable = find_binaries(account, data_dir).folder
    closed = data_dir / "closed"
    closed.mkdir()
    package = reachable.parents[1]
    shutil.copytree(reachable.parent, closed / package.name / reachable.parent.name, symlinks=True)
    shutil.copytree(package.with_suffix(".libs"), closed / f"{package.name}.libs")
    closed.chmod(0o700)
    hidden = closed / package.name / reachable.parent.name / "bin"
    monkeypatch.setattr(binaries, "_candidates", lambda: [hidden])
    found = find_binaries(account, data_dir)
    assert found.folder.is_relative_to(data_dir)
    assert find_binaries(account, data_dir) == found


def test_the_system_s_postgres_serves_without_the_wheel(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = choose_account(data_dir / "none")
    wheel = find_binaries(account, data_dir).folder
    system = data_dir / "usr" / "postgresql"
    for major in ("9", "18"):
        (system / major).mkdir(parents=True)
    (system / "18" / "bin").symlink_to(wheel)
    (system / "9" / "bin").mkdir()
    monkeypatch.setattr(binaries, "WHEEL", "no_such_package")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDER", system)
    assert find_binaries(account, data_dir).folder == system / "18" / "bin"


def test_no_postgres_at_all_is_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "WHEEL", "no_such_package")
    monkeypatch.setattr(binaries, "SYSTEM_FOLDER", data_dir / "none")
    with pytest.raises(PostgresMissing, match="GREENLINE_DATABASE_URL"):
        find_binaries(choose_account(data_dir / "none"), data_dir)
