"""From the file that a recorder has written to the MP3 that clients get, once the conversation is over.

A process that dies leaves its files behind: the next one on the same data directory finds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakSet

import numpy as np
import structlog

from greenline.agents.config.privacy import PrivacyConfig
from greenline.channels.live.recorder import RATE, Recorder, is_held
from greenline.clock import Clock
from greenline.conversations.recordings import keep_recording, over
from greenline.speech.mp3 import encode_mp3
from greenline.store.objects import Objects, StorageFault
from greenline.store.pool import Pool

log = structlog.get_logger(__name__)

SWEEP_SECONDS: Final = 300.0
_FRAME_BYTES: Final = 4
"""A sample of both sides."""
_BLOCK_BYTES: Final = 1 << 18


@dataclass(slots=True)
class _Heard:
    """What is in a recording."""

    frames: int = 0
    person: bool = False
    agent: bool = False


class Recordings:
    """The recordings of the conversations of this process."""

    def __init__(self, pool: Pool, objects: Objects, clock: Clock, data_dir: Path) -> None:
        self._pool = pool
        self._objects = objects
        self._clock = clock
        self._folder = data_dir / "spool"
        self._recorders: WeakSet[Recorder] = WeakSet()
        self._finished: asyncio.Queue[Path] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work; what a dead process left is looked for at once."""
        self._tasks = [asyncio.create_task(loop()) for loop in (self._encode_all, self._sweep_all)]

    async def stop(self, seconds: float) -> None:
        """Finish what has ended within ``seconds``; the rest waits for the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._finished.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def state(self) -> dict[str, bool]:
        """Whether it works, for `/readyz`."""
        return {"recordings": bool(self._tasks) and not any(task.done() for task in self._tasks)}

    def begin(
        self,
        workspace_id: str,
        conversation_id: str,
        privacy: PrivacyConfig,
        now: Callable[[], float] = time.monotonic,
    ) -> Recorder | None:
        """A recorder for a conversation by voice, None where the agent's settings forbid one.

        When it is closed, its MP3 is made in the background.
        """
        if not privacy.record_voice or privacy.zero_retention_mode:
            return None
        recorder = Recorder(self._path(workspace_id, conversation_id), now, self._finished.put_nowait)
        self._recorders.add(recorder)
        return recorder

    async def sweep(self) -> None:
        """Find what dead processes left of conversations that are over."""
        found = await asyncio.to_thread(lambda: sorted(self._folder.glob("*/*.pcm")))
        mine = {recorder.path for recorder in self._recorders if not recorder.closed}
        for path in found:
            if path not in mine and await over(self._pool, path.parent.name, [path.stem]):
                await self._take_up(path)

    async def take_up(self, workspace_id: str, conversation_id: str) -> None:
        """Keep what a dead process has recorded of a conversation, which is over now, if it did so on this disk."""
        await self._take_up(self._path(workspace_id, conversation_id))

    async def _take_up(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):  # kept by another process meanwhile, or none was made
            if not await asyncio.to_thread(is_held, path):
                self._finished.put_nowait(path)

    def _path(self, workspace_id: str, conversation_id: str) -> Path:
        return self._folder / workspace_id / f"{conversation_id}.pcm"

    async def _sweep_all(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:  # the boundary of a sweep: the database may be away, the next is minutes off
                log.exception("recordings.not_swept")
            await self._clock.sleep(SWEEP_SECONDS)

    async def _encode_all(self) -> None:
        while True:
            path = await self._finished.get()
            try:
                await self._keep(path)
            except FileNotFoundError:
                log.debug("recording.kept_by_another", conversation_id=path.stem)
            except StorageFault as error:
                log.error("recording.not_kept", conversation_id=path.stem, error=error.reason)
            except Exception:  # the boundary of one recording: it stays in the spool for the next sweep
                log.exception("recording.not_kept", conversation_id=path.stem)
            finally:
                self._finished.task_done()

    async def _keep(self, path: Path) -> None:
        mp3, heard = await asyncio.to_thread(_encode, path)
        kept = heard.frames > 0 and await keep_recording(
            self._pool,
            self._objects,
            path.parent.name,
            path.stem,
            mp3,
            seconds=round(heard.frames / RATE, 3),
            has_user=heard.person,
            has_agent=heard.agent,
            now=self._clock.now(),
        )
        await asyncio.to_thread(path.unlink, missing_ok=True)
        log.info("recording.kept" if kept else "recording.dropped", conversation_id=path.stem, bytes=len(mp3))


def _encode(path: Path) -> tuple[bytes, _Heard]:
    heard = _Heard()
    return encode_mp3(_blocks(path, heard), RATE, channels=2), heard


def _blocks(path: Path, heard: _Heard) -> Iterator[bytes]:
    """The whole samples of a file, which a killed process may have left in the middle of one."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            block = block[: len(block) // _FRAME_BYTES * _FRAME_BYTES]
            samples = np.frombuffer(block, "<i2")
            heard.frames += len(block) // _FRAME_BYTES
            heard.person |= bool(samples[0::2].any())
            heard.agent |= bool(samples[1::2].any())
            yield block
