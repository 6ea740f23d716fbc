"""Our own Postgres in the data directory: made, started, watched and stopped by the processes that use it.

Every process that uses the server holds a shared lock on a file, which the kernel drops when the process dies in
whatever way. Starting and stopping happen under a second, exclusive lock. So any number of processes share one
server; the last that leaves stops it; and after a ``kill -9`` the server runs on until the next one attaches.

There is no TCP listener and no password: the folder of the socket admits its owner only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import structlog

from greenline.errors import ConfigurationError
from greenline.store.binaries import Account, Binaries, choose_account, find_binaries
from greenline.store.data_dir import make_data_dir
from greenline.store.disk import sync_folder
from greenline.store.postmaster import anyone_runs_on, process_exists, read_pid, read_postmaster, runs_on

log = structlog.get_logger(__name__)

PORT: Final = 5432
SOCKET: Final = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES: Final = 103
"""The shortest limit of a socket's path: macOS takes 104 bytes with the final zero, Linux 108."""
ROOT_STATE: Final = Path("/var/lib/greenline")
"""Where the database of root lies if the data directory is in a place that only root may enter."""
POLL_SECONDS: Final = 0.03
PROGRESS_SECONDS: Final = 5.0
LEFTOVER_SECONDS: Final = 60.0
"""How long processes of a killed server may hold the data; they notice its death within seconds."""
STOP_SECONDS: Final = 60.0
"""Time for the last checkpoint; after it the server is stopped at once and recovers at its next start."""
REJECTING: Final = 1
"""Exit status of pg_isready when a server is there and still starts."""
LOG_BYTES: Final = 16 * 1024 * 1024
LEFTOVERS: Final = ("pre-existing shared memory block", "lock file", "is another postmaster")

SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "64MB",  # the page cache of a small machine holds the rest
    "wal_compression": "on",  # full pages after a checkpoint are most of the log
    "min_wal_size": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # a solid-state disk
    "autovacuum_naptime": "15s",  # mailboxes and inbox are updated all the time
    "jit": "off",  # compiling costs more than any of our statements
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "lc_messages": "C",
}


class EmbeddedPostgresFailed(ConfigurationError):
    """The embedded Postgres could not be started. Its log, postgres/server.log in the data directory, tells why."""

    code = "embedded_postgres_failed"


class WrongMajorVersion(ConfigurationError):
    """The database in the data directory was made by another major version of Postgres."""

    code = "postgres_wrong_version"


class EmbeddedPostgres:
    """The server of one data directory, for one user of it. The methods block: call them in a thread.

    ``settings`` are those of whoever starts the server, as its program takes them (``name: value``).
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] = SETTINGS) -> None:
        self._data_dir = data_dir.absolute()
        self._settings = settings
        self._users: IO[bytes] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._client_environment: dict[str, str] = {}

    def start(self) -> str:
        """Make, start or join the server, wait until it answers, and return its DSN.

        Crash recovery is waited for however long it takes. Raises `ConfigurationError` with what to do.
        """
        if self._pid is not None and not self._data.exists():
            raise EmbeddedPostgresFailed(f"{self._data} is gone. Stop the server and restore it from a backup.")
        try:
            make_data_dir(self._data_dir)
            if self._users is None:
                self._users = (self._data_dir / "postgres.users").open("ab")
            with self._exclusive():
                fcntl.flock(self._users, fcntl.LOCK_SH)
                return self._ensure()
        except OSError as error:
            raise EmbeddedPostgresFailed(f"The embedded Postgres could not be started: {error}.") from error

    def alive(self) -> bool:
        """Whether the server's main process is there; `start` brings it back."""
        if self._child is not None and self._child.pid == self._pid and self._child.poll() is not None:
            return False
        return self._pid is not None and runs_on(self._pid, self._data)

    def client_environment(self) -> dict[str, str]:
        """Variables with which Postgres's own programs are found and find the started server."""
        return self._client_environment

    def stop(self) -> None:
        """Leave the server; stop it if no other process uses it."""
        if self._users is None:
            return
        with self._users:
            if self._data.exists():
                self._leave(self._users)
            else:
                self._end_child()
        self._users, self._pid = None, None

    @property
    def log_file(self) -> Path:
        """The server's own log."""
        return self._home / "server.log"

    @property
    def _home(self) -> Path:
        return (self._data_dir / "postgres").resolve()

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with (self._data_dir / "postgres.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _ensure(self) -> str:
        account = choose_account(self._data)
        self._make_home(account)
        binaries = find_binaries(account, self._home)
        if not self._data.exists():
            self._initialise(account, binaries)
        self._check_version(binaries)
        running = read_postmaster(self._data)
        folder = running.socket_folder if running else self._socket_folder(account)
        self._wait(account, binaries, folder)
        found = read_postmaster(self._data)
        self._pid = found.pid if found else None
        self._client_environment = {
            "PATH": os.pathsep.join((str(binaries.folder), os.environ.get("PATH", os.defpath))),
            "PGHOST": str(folder),
            "PGPORT": str(PORT),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }
        return f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}&port={PORT}"

    def _make_home(self, account: Account) -> None:
        """Make the folder of the database, elsewhere if the account can't enter the data directory."""
        link = self._data_dir / "postgres"
        if link.is_dir():
            return
        if link.is_symlink():
            raise EmbeddedPostgresFailed(
                f"{link} leads to {link.readlink()}, which is gone. Restore it from a backup."
            )
        self._let_in(account)
        if account.can_enter(self._data_dir):
            link.mkdir(mode=0o711 if account.switch else 0o700)
            return
        target = ROOT_STATE / secrets.token_hex(6)
        target.mkdir(mode=0o711, parents=True)
        if not account.can_enter(target):
            raise EmbeddedPostgresFailed(f"The user that runs Postgres can enter neither {link} nor {target}.")
        link.symlink_to(target)
        log.info("postgres.elsewhere", data_dir=str(self._data_dir), folder=str(target))

    def _let_in(self, account: Account) -> None:
        """Let the account pass through a directory that was root's alone, without seeing what is in it."""
        found = self._data_dir.stat()
        if account.switch and found.st_uid == 0 and not found.st_mode & 0o077:
            os.chown(self._data_dir, 0, account.gid)
            self._data_dir.chmod(0o710)

    def _initialise(self, account: Account, binaries: Binaries) -> None:
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        account.own(draft)
        locale = ["--locale=C.UTF-8"]
        if binaries.major >= 17:  # the same order of texts on every system
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [binaries["initdb"], "-D", str(draft), "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale]
        if self._settings["fsync"] == "off":
            command.append("--no-sync")
        done = subprocess.run(  # noqa: S603 - a program of Postgres
            command, capture_output=True, text=True, cwd=self._home, **account.process_options()
        )
        if done.returncode:
            raise EmbeddedPostgresFailed(f"The embedded database could not be made: {done.stderr.strip()}")
        draft.rename(self._data)  # a killed initdb leaves a draft, never half a database
        sync_folder(self._home)

    def _check_version(self, binaries: Binaries) -> None:
        made_by = (self._data / "PG_VERSION").read_text().strip()
        if made_by != str(binaries.major):
            raise WrongMajorVersion(
                f"The database in {self._data} was made by Postgres {made_by}, this is {binaries.major}. Dump it "
                f"with the programs of {made_by} and restore the dump (docs/operations.md), or choose another folder."
            )

    def _socket_folder(self, account: Account) -> Path:
        folder = self._home / "run"
        if len(os.fsencode(folder / SOCKET)) > SOCKET_PATH_BYTES:
            name = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:12]
            folder = Path(tempfile.gettempdir()) / f"greenline-{name}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            account.own(folder)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or found.st_mode & 0o077:
            raise EmbeddedPostgresFailed(f"{folder} should be a folder of the user that runs Postgres, mode 700.")
        return folder

    def _clear_reused_pid(self, folder: Path) -> None:
        """Remove the pid files of a dead server whose number another program has got, as after a container's restart.

        Postgres takes over a pid file itself when no process has its number, and then makes sure that no child of
        the dead server is left. We only step in where it would refuse for ever, and make sure of the same.
        """
        file = self._data / "postmaster.pid"
        pid = read_pid(file)
        if pid is not None and process_exists(pid) and not anyone_runs_on(self._data):
            log.warning("postgres.stale_pid_file", pid=pid)
            for leftover in (file, folder / SOCKET, folder / f"{SOCKET}.lock"):
                leftover.unlink(missing_ok=True)

    def _wait(self, account: Account, binaries: Binaries, folder: Path) -> None:
        """Return when the server answers; start it as often as leftovers of a killed one make it give up."""
        probe = [binaries["pg_isready"], "-q", "-h", str(folder), "-p", str(PORT), "-t", "5"]
        begun = time.monotonic()
        told = begun
        spawned: subprocess.Popen[bytes] | None = None
        while answer := subprocess.run(probe, cwd="/", **account.process_options()).returncode:  # noqa: S603
            if spawned is not None and spawned.poll() is not None:
                self._judge_exit(begun)
                spawned = None
            if spawned is None and answer != REJECTING and read_postmaster(self._data) is None:
                if self._child is not None:
                    self._child.wait()  # it died: its number is taken until it is asked for
                self._clear_reused_pid(folder)
                spawned = self._child = self._spawn(account, binaries, folder)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                log.info("postgres.starting", seconds=round(told - begun), log=str(self.log_file))
            time.sleep(POLL_SECONDS)

    def _spawn(self, account: Account, binaries: Binaries, folder: Path) -> subprocess.Popen[bytes]:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [binaries["postgres"], "-D", str(self._data), "-k", str(folder), "-p", str(PORT), *settings]
        with self.log_file.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - a program of Postgres
                command,
                stdout=output,
                stderr=output,
                cwd=self._home,
                start_new_session=True,  # an interrupt from the keyboard is for us, and we stop it in order
                **account.process_options(),
            )

    def _judge_exit(self, begun: float) -> None:
        last = self.log_file.read_text(errors="replace").splitlines()[-8:]
        leftovers = any(sign in line for sign in LEFTOVERS for line in last)
        if not leftovers or time.monotonic() - begun > LEFTOVER_SECONDS:
            raise EmbeddedPostgresFailed(" ".join([EmbeddedPostgresFailed().message, "It ended with:", *last]))
        time.sleep(0.2)

    def _leave(self, users: IO[bytes]) -> None:
        with self._exclusive():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.debug("postgres.left_to_others")
                if self._child is not None:
                    self._child.returncode = 0  # not ours to wait for any more, and no reason for a warning
            else:
                self._shut_down()
                self._end_child()

    def _shut_down(self) -> None:
        running = read_postmaster(self._data)
        if running is None:
            return
        begun = time.monotonic()
        os.kill(running.pid, signal.SIGINT)  # fast: clients are disconnected, a checkpoint is written
        urgent = False
        while runs_on(running.pid, self._data):
            if self._child is not None:
                self._child.poll()  # a dead child is there until it is asked for
            if not urgent and time.monotonic() - begun > STOP_SECONDS:
                urgent = True
                log.warning("postgres.stopped_at_once", pid=running.pid)
                os.kill(running.pid, signal.SIGQUIT)
            time.sleep(POLL_SECONDS)

    def _end_child(self) -> None:
        """Wait for the server that we started. One that runs without its data, which somebody deleted, is ended."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGQUIT)
            self._child.wait()
