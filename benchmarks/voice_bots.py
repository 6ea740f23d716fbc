"""Bots as processes of their own: ours in this environment, Pipecat's in one that is made for it once.

Bots are held on one core and the caller on another, where there are two. With ``--realtime`` both go before every
other process of the machine (Linux, as root), so that other work there delays neither.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENTS = Path.home() / ".cache" / "greenline-benchmarks"
PIPECAT = "pipecat-1.14"
PIPECAT_REQUIREMENTS = ("pipecat-ai[webrtc]==1.14.*", "uvloop")
HERE = Path(__file__).parent
BOT_CORE, CALLER_CORE = 0, 1


@dataclass(frozen=True)
class Bot:
    """A bot that takes calls."""

    port: int
    pid: int

    @property
    def cpu_seconds(self) -> float:
        """What it has used so far, its children and threads included."""
        return sum(_cpu_seconds(pid) for pid in (self.pid, *_children(self.pid)))

    @property
    def files(self) -> int:
        """Open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


def pipecat_python() -> Path:
    """The interpreter of Pipecat's environment, which is made at the first time."""
    folder = ENVIRONMENTS / PIPECAT
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PIPECAT_REQUIREMENTS], check=True)
        (folder / "ready").touch()
    return python


@contextlib.contextmanager
def bot(script: str, python: Path, *, realtime: bool) -> Iterator[Bot]:
    """Run ``script`` of this folder until the block ends; its log goes to ``ENVIRONMENTS``."""
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{Path(script).stem}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [python, HERE / script],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: hold(BOT_CORE, realtime=realtime),
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("ready "):
                raise RuntimeError(f"{script} did not start: see {log.name}")
            yield Bot(int(line.split()[1]), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def hold(core: int, *, realtime: bool) -> None:
    """Hold this process, and those that it starts, on a core."""
    if os.cpu_count() != 1:
        os.sched_setaffinity(0, {core})
    if realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


@dataclass
class CoreWatch:
    """How busy a core was since the watch was made."""

    core: int
    begun: float = 0.0
    busy: float = 0.0

    def __post_init__(self) -> None:
        self.begun, self.busy = time.monotonic(), _busy_seconds(self.core)

    def percent(self) -> float:
        """All processes together."""
        return 100 * (_busy_seconds(self.core) - self.busy) / (time.monotonic() - self.begun)


def load_average() -> str:
    """As it is said under each table."""
    return "load average {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg())


def _busy_seconds(core: int) -> float:
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, *interrupts = map(int, ticks)
            return (user + nice + system + sum(interrupts[:3])) / os.sysconf("SC_CLK_TCK")
    return float("nan")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    found = [int(child) for child in text.split()]
    return [*found, *(grandchild for child in found for grandchild in _children(child))]
