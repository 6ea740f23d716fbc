"""Calls on one core with Opus both ways: how late sound gets as they become more, what a call weighs, what it leaves.

    python benchmarks/calls.py [--calls 1 5 10 20 30 40] [--seconds 10] [--conversations 8] [--residue 1000]

Baseline: Pipecat's SmallWebRTC transport in the same run, in a pipeline that does nothing else. Every caller sends
noise with a burst of tone every two seconds, and the bot speaks all the time, so that each packet is encoded and
decoded. Two delays are measured: ``in`` from the packet with which a burst begins to the bot's application, ``out``
how late packets of the bot are against their own timestamps. What one call has of ``in`` is the stack's own;
``added`` is what many calls add to it, at the 95th percentile, with ``out`` at the same percentile on top.

Conversations are whole ones, of the bots of `voice.py`: a question every five seconds, recognised and answered by
script, with voice detection and, in Greenline, the journal and the recording.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import voice_script as script
from caller import Caller, Mouth, encode
from harness import memory_mb, table
from voice import question
from voice_bots import BOT_CORE, CALLER_CORE, Bot, CoreWatch, bot, hold, load_average, pipecat_python

ROUND_PACKETS, BURST_PACKETS = 100, 10
BROKEN_PACKETS_PER_SECOND = 45
"""Of 50: more calls make no sense any more."""
TARGET_MS = 20.0
CLOCK_RATE = 48_000
PAUSE_SECONDS, ANSWER_SECONDS = 3.5, 1.5


@dataclass
class Level:
    """What was measured with a number of calls; delays in milliseconds."""

    calls: int
    cpu_percent: float
    others_percent: float
    packets: float
    """A second, of the call that got the fewest."""
    memory_mb: float
    caller_late: float
    inward: list[float] = field(default_factory=list)
    outward: list[float] = field(default_factory=list)

    def added(self, own: float) -> float:
        """Beyond ``own``, the median of one call."""
        return percentile(self.inward, 0.95) - own + percentile(self.outward, 0.95)


def sounds() -> list[bytes]:
    """A round of noise with a burst at its beginning."""
    chance = random.Random(2)
    count = ROUND_PACKETS * script.RATE // 50
    noise = b"".join(int(chance.gauss(0, 40)).to_bytes(2, "little", signed=True) for _ in range(count))
    burst = script.tone(BURST_PACKETS / 50)
    packets = encode(noise + burst + noise[len(burst) :])
    return packets[ROUND_PACKETS:]  # the encoder is in its stride in the second round


async def measure_level(running: Bot, callers: list[Caller], seconds: float) -> Level:
    """All calls for some seconds."""
    for caller in callers:
        caller.ear.arrivals.clear()
        caller.mouth.rounds.clear()
        caller.mouth.lateness.clear()
    begun, cpu, watch = time.monotonic(), running.cpu_seconds, CoreWatch(BOT_CORE)
    await asyncio.sleep(seconds)
    passed = time.monotonic() - begun
    used = 100 * (running.cpu_seconds - cpu) / passed
    level = Level(
        calls=len(callers),
        cpu_percent=used,
        others_percent=max(0.0, watch.percent() - used),
        packets=min(len(caller.ear.arrivals) for caller in callers) / passed,
        memory_mb=memory_mb(running.pid),
        caller_late=1000 * percentile([late for caller in callers for late in caller.mouth.lateness], 0.95),
    )
    await asyncio.sleep(1)  # bursts of the last moment arrive
    for caller in callers:
        onsets = (await caller.figures())["onsets"]
        sent = [moment for moment in caller.mouth.rounds if begun <= moment <= begun + seconds]
        level.inward += delays(sent, onsets)
        level.outward += late_packets(caller.ear.arrivals)
    return level


def delays(sent: list[float], heard: list[float]) -> list[float]:
    """Milliseconds from each burst to the next onset; one that was not heard in a round counts as a whole round."""
    found = []
    for moment in sent:
        at = bisect.bisect_left(heard, moment)
        delay = heard[at] - moment if at < len(heard) else ROUND_PACKETS / 50
        found.append(1000 * min(delay, ROUND_PACKETS / 50))
    return found


def late_packets(arrivals: list[tuple[float, int]]) -> list[float]:
    """Milliseconds of each packet behind the earliest one, by their timestamps."""
    if not arrivals:
        return []
    first = arrivals[0][1]
    offsets = [at - ((stamp - first) & 0xFFFFFFFF) / CLOCK_RATE for at, stamp in arrivals]
    earliest = min(offsets)
    return [1000 * (offset - earliest) for offset in offsets]


async def climb(name: str, running: Bot, arguments: argparse.Namespace) -> list[Level]:
    """More and more calls, until the bot can't keep its pace."""
    packets, callers, levels = sounds(), list[Caller](), list[Level]()
    for count in arguments.calls:
        while len(callers) < count:
            mouth = Mouth(packets, phase=random.Random(len(callers)).randrange(ROUND_PACKETS))
            caller = Caller(mouth, listen=False)
            await caller.dial(running.port)
            callers.append(caller)
        await asyncio.sleep(2)
        levels.append(await measure_level(running, callers, arguments.seconds))
        print(f"{name}: {count} calls, {levels[-1].cpu_percent:.0f} % of a core", file=sys.stderr)
        if levels[-1].packets < BROKEN_PACKETS_PER_SECOND:
            break
    for caller in callers:
        await caller.hang_up()
    return levels


def rows(name: str, levels: list[Level]) -> list[list[object]]:
    """The curve."""
    own = statistics.median(levels[0].inward)
    return [
        [
            name,
            level.calls,
            level.cpu_percent,
            level.others_percent,
            level.packets,
            statistics.median(level.inward),
            percentile(level.inward, 0.95),
            percentile(level.outward, 0.95),
            level.added(own),
            level.caller_late,
        ]
        for level in levels
    ]


def summary(name: str, levels: list[Level]) -> list[object]:
    """How many calls stay in the target, and what one weighs."""
    own = statistics.median(levels[0].inward)
    good = [level for level in levels if level.added(own) < TARGET_MS and level.packets > 49]
    last = good[-1] if good else levels[0]
    weight = (last.memory_mb - levels[0].memory_mb) / (last.calls - 1) if last.calls > 1 else float("nan")
    return [name, good[-1].calls if good else 0, levels[0].memory_mb, weight]


async def converse(name: str, running: Bot, count: int, seconds: float) -> list[object]:
    """Whole conversations at once: their CPU, and the memory of each that came after the first two."""
    pause = bytes(int(PAUSE_SECONDS * script.RATE) * 2)
    packets = encode(await question() + pause)
    callers: list[Caller] = []
    memory = []
    for whole in (2, count):
        while len(callers) < whole:
            caller = Caller(Mouth(packets, phase=len(packets) * len(callers) // count), listen=False)
            await caller.dial(running.port, seconds=ANSWER_SECONDS)
            callers.append(caller)
        await asyncio.sleep(2 * PAUSE_SECONDS)
        memory.append(memory_mb(running.pid))
    begun, cpu = time.monotonic(), running.cpu_seconds
    await asyncio.sleep(seconds)
    used = 100 * (running.cpu_seconds - cpu) / (time.monotonic() - begun)
    for caller in callers:
        await caller.hang_up()
    return [name, count, used, used / count, memory[0], (memory[1] - memory[0]) / (count - 2)]


async def residue(name: str, running: Bot, count: int) -> list[object]:
    """Calls that come and go, ten at a time; what of them is still there at the end."""
    packets = sounds()

    async def calls(number: int) -> None:
        for _ in range(number):
            caller = Caller(Mouth(packets), listen=False)
            await caller.dial(running.port)
            await caller.hang_up()

    await asyncio.gather(*(calls(5) for _ in range(10)))  # what is made once is there
    before = await _rest(running)
    begun = time.monotonic()
    await asyncio.gather(*(calls(count // 10) for _ in range(10)))
    seconds = time.monotonic() - begun
    after = await _rest(running)
    changes = [f"{one:.0f} -> {other:.0f}" for one, other in zip(before, after, strict=True)]
    return [name, count, *changes, 1000 * (after[2] - before[2]) / count, count / seconds]


async def _rest(running: Bot) -> tuple[float, float, float]:
    """Tasks, open files and MB of a bot that has no call any more."""
    await asyncio.sleep(5)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"{}\n")
    tasks = json.loads(await reader.readline())["tasks"]
    writer.close()
    return tasks, running.files, memory_mb(running.pid)


async def measure(arguments: argparse.Namespace) -> None:
    """Both stacks."""
    hold(CALLER_CORE, realtime=arguments.realtime)
    curve: list[list[object]] = []
    summaries: list[list[object]] = []
    conversations: list[list[object]] = []
    leftovers: list[list[object]] = []
    for name, python in (("greenline", Path(sys.executable)), ("pipecat", pipecat_python())):
        if name not in arguments.only:
            continue
        if arguments.calls:
            with bot(f"calls_{name}.py", python, realtime=arguments.realtime) as running:
                levels = await climb(name, running, arguments)
            curve += rows(name, levels)
            summaries.append(summary(name, levels))
        if arguments.conversations > 2:
            with bot(f"voice_{name}.py", python, realtime=arguments.realtime) as running:
                conversations.append(await converse(name, running, arguments.conversations, arguments.seconds))
        if arguments.residue:
            with bot(f"calls_{name}.py", python, realtime=arguments.realtime) as running:
                leftovers.append(await residue(name, running, arguments.residue))
    if curve:
        title = f"Calls on one core, Opus both ways (milliseconds; {load_average()})"
        delay_columns = ["in p50", "in p95", "out p95", "added p95", "caller late p95"]
        columns = ["stack", "calls", "CPU %", "others' CPU %", "packets/s, fewest", *delay_columns]
        table(title, columns, curve)
        columns = [
            "stack",
            f"most calls with less than {TARGET_MS:.0f} ms added",
            "MB with one call",
            "MB a further call",
        ]
        table("What fits on the core", columns, summaries)
    if conversations:
        columns = ["stack", "conversations", "CPU %", "CPU % each", "MB with two", "MB a further one"]
        table(f"Whole conversations ({load_average()})", columns, conversations)
    if leftovers:
        columns = ["stack", "calls", "tasks", "open files", "MB", "KB a call", "calls a second"]
        table(f"What calls leave behind ({load_average()})", columns, leftovers)


def percentile(values: list[float], share: float) -> float:
    """Of many values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="*", default=[1, 5, 10, 20, 30, 40])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--residue", type=int, default=1000)
    parser.add_argument("--realtime", action="store_true", help="before all other processes of the machine")
    parser.add_argument("--only", nargs="+", choices=("greenline", "pipecat"), default=["greenline", "pipecat"])
    asyncio.run(measure(parser.parse_args()))
