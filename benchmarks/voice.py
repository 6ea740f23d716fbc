"""A spoken turn: from the end of a person's voice to the first sound of the answer; and how fast a bot falls silent.

    python benchmarks/voice.py [--turns 16] [--interruptions 6] [--loss 0 2]

Baseline: Pipecat's pipeline on its SmallWebRTC transport, with the same scripted recognition, model and synthesis, in
the same run. What is left of a turn beyond these, the silence that ends it and the decay of the voice detector is
the overhead of the stack: network code, codecs, waiting for windows and packets, the pipeline, and with Greenline
the journal and the recording in Postgres.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import voice_script as script
from caller import Caller, Mouth, Network, encode
from harness import table
from voice_bots import CALLER_CORE, HERE, bot, hold, load_average, pipecat_python

from greenline.channels.webrtc.opus import FRAME_BYTES, OpusDecoder
from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import Voice
from greenline.speech.resample import Resampler

SHORT, LONG = 0.8, 8.0
"""Seconds of an answer that is heard to its end, and of one that is interrupted."""
Waits = dict[str, float]


@dataclass(frozen=True)
class Stack:
    """What is measured."""

    name: str
    script: str
    python: Path
    decay: float


@dataclass
class Found:
    """Seconds."""

    heard: list[float] = field(default_factory=list)
    silenced: list[float] = field(default_factory=list)
    waits: list[Waits] = field(default_factory=list)


async def question() -> bytes:
    """A spoken question that begins and ends with voice, whole frames long."""
    synthesiser = EspeakSynthesiser()
    resampler = Resampler(synthesiser.rate, script.RATE)
    try:
        pcm = b"".join([resampler.push(chunk.pcm) async for chunk in synthesiser.say(script.QUESTION, Voice())])
    finally:
        await synthesiser.aclose()
    samples = memoryview(pcm).cast("h")
    loud = [number for number, sample in enumerate(samples) if abs(sample) > script.LOUD]
    voice = pcm[2 * loud[0] : 2 * loud[-1] + 2]
    return bytes(-len(voice) % FRAME_BYTES) + voice


async def converse(stack: Stack, port: int, spoken: bytes, arguments: argparse.Namespace, loss: float) -> Found:
    """Turns, and then interruptions."""
    found = Found()
    words = encode(spoken + bytes(script.TRAIL_PACKETS * FRAME_BYTES))
    caller = Caller(Mouth(encode(bytes(FRAME_BYTES * 50))), network=Network(loss=loss, seed=7))
    await caller.dial(port, seconds=SHORT)
    await asyncio.sleep(1)
    for number in range(arguments.turns + 1):
        sound = asyncio.create_task(caller.ear.sound(20))
        ended = await caller.mouth.say(words, script.TRAIL_PACKETS).ended
        found.heard.append(await sound - ended)
        await caller.ear.silence(20)
        await asyncio.sleep(0.2 + 0.02 * (number % len(script.DETECTION_PHASES_MS)))
    found.waits = (await caller.figures()).get("waits", [])
    await caller.hang_up()
    del found.heard[0], found.waits[:1]  # the first turn imports and connects
    caller = Caller(Mouth(encode(bytes(FRAME_BYTES * 50))), network=Network(loss=loss, seed=8))
    await caller.dial(port, seconds=LONG)
    await asyncio.sleep(1)
    await caller.mouth.say(words, script.TRAIL_PACKETS).ended
    for number in range(arguments.interruptions):
        await caller.ear.sound(20)
        await asyncio.sleep(0.7 + 0.007 * number)  # another phase of the 20 and 32 ms grids each time
        speech = caller.mouth.say(words, script.TRAIL_PACKETS)
        begun = await speech.begun
        found.silenced.append(await caller.ear.silence(20) - begun)
        await speech.ended
    await caller.hang_up()
    return found


def decay(python: Path, name: str, spoken: bytes) -> float:
    """Seconds that the detector of a stack goes on to hear voice in what reaches it."""
    decoder = OpusDecoder()
    heard = b"".join(decoder.decode(packet) for packet in encode(spoken + bytes(script.TRAIL_PACKETS * FRAME_BYTES)))
    done = subprocess.run([python, HERE / name, "--decay"], input=heard, capture_output=True, check=True)
    return float(done.stdout)


async def measure(arguments: argparse.Namespace) -> None:
    """Run all stacks at all losses."""
    hold(CALLER_CORE, realtime=arguments.realtime)
    spoken = await question()
    stacks = []
    for name, python in (("greenline", Path(sys.executable)), ("pipecat", pipecat_python())):
        if name in arguments.only:
            file = f"voice_{name}.py"
            stacks.append(Stack(name, file, python, decay(python, file, spoken)))
    rows: list[list[object]] = []
    waterfalls: list[list[object]] = []
    for stack in stacks:
        with bot(stack.script, stack.python, realtime=arguments.realtime) as running:
            for loss in arguments.loss:
                found = await converse(stack, running.port, spoken, arguments, loss / 100)
                rows.append(row(stack, loss, found))
                waterfalls += waterfall(stack, loss, found)
    scripted = (
        f"{1000 * script.SCRIPTED_SECONDS:.0f} ms of scripted providers, {1000 * script.ENDPOINT_SECONDS:.0f} ms"
    )
    title = f"A spoken turn ({scripted} of silence that ends a turn; milliseconds; {load_average()})"
    columns = [
        "stack",
        "loss %",
        "turns",
        "heard p50",
        "p95",
        "detector decay",
        "overhead p50",
        "fell silent p50",
        "max",
    ]
    table(title, columns, rows)
    if waterfalls:
        names = ["end_of_turn", "recognition", "model", "synthesis", "queue", "sum", "measured"]
        table("The silence waterfall against the caller's watch (medians)", ["stack", "loss %", *names], waterfalls)


def row(stack: Stack, loss: float, found: Found) -> list[object]:
    """Medians in milliseconds."""
    heard = 1000 * statistics.median(found.heard)
    known = script.SCRIPTED_SECONDS + script.ENDPOINT_SECONDS + stack.decay
    silenced = [1000 * seconds for seconds in found.silenced]
    return [
        stack.name,
        loss,
        len(found.heard),
        heard,
        1000 * percentile(found.heard, 0.95),
        1000 * stack.decay,
        heard - 1000 * known,
        statistics.median(silenced) if silenced else "",
        max(silenced, default=""),
    ]


def waterfall(stack: Stack, loss: float, found: Found) -> list[list[object]]:
    """What the session says of its turns, against what the caller measured less the detector's mean decay.

    A single turn's decay differs from the mean by up to a window: turns are compared one by one in `test_silence.py`.
    """
    if len(found.waits) != len(found.heard):
        return []
    parts = [
        statistics.median(waits.get(name, 0.0) for waits in found.waits)
        for name in ("end_of_turn", "recognition", "model", "synthesis", "queue")
    ]
    measured = [1000 * (heard - stack.decay) for heard in found.heard]
    sums = [sum(waits.values()) for waits in found.waits]
    return [[stack.name, loss, *parts, statistics.median(sums), statistics.median(measured)]]


def percentile(values: Sequence[float], share: float) -> float:
    """Of a few values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=16)
    parser.add_argument("--interruptions", type=int, default=6)
    parser.add_argument("--loss", type=float, nargs="+", default=[0.0, 2.0], help="percent")
    parser.add_argument("--realtime", action="store_true", help="before all other processes of the machine")
    parser.add_argument("--only", nargs="+", choices=("greenline", "pipecat"), default=["greenline", "pipecat"])
    asyncio.run(measure(parser.parse_args()))
