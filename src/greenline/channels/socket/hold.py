"""What callers hear while they wait for a busy agent (reference: Order at start): its recording, or a tone."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from functools import cache
from typing import Final

import numpy as np
import structlog

from greenline.agents.config.access import HoldAudio
from greenline.channels.live.models import AudioOut
from greenline.conversations.files import file_key
from greenline.speech.models import HEARING_RATE
from greenline.speech.resample import Resampler
from greenline.speech.wav import decode_wav
from greenline.store.objects import ObjectMissing, Objects, StorageFault

log = structlog.get_logger(__name__)

EVENT_ID: Final = 1
"""That of the first turn to come: the Python client plays nothing below it."""
PIECE_SECONDS: Final = 0.1
LEAD_SECONDS: Final = 0.3
"""Sent ahead of its playback, so that a client does not run dry; who is admitted hears as much of it on."""
TONE_SECONDS: Final = 4.0
_NOTES: Final = ((440.0, 0.0, 0.5), (554.4, 0.5, 1.2))
"""Hertz, begin and end: two soft notes, then silence."""
_VOLUME: Final = 0.1
_KEPT: Final = 8
"""Recordings in memory: one of two minutes takes 4 MB."""


class HoldSounds:
    """The recordings of the agents, which all of their callers hear."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def play(self, out: AudioOut, workspace_id: str, recording: HoldAudio | None) -> None:
        """Play over and over, in real time, until cancelled."""
        pcm = await self._sound(workspace_id, recording) if recording is not None else hold_tone()
        resampler = Resampler(HEARING_RATE, out.rate)
        size = int(HEARING_RATE * PIECE_SECONDS) * 2
        for at in itertools.cycle(range(0, len(pcm), size)):
            out.write(resampler.push(pcm[at : at + size]), EVENT_ID)
            if (ahead := out.queued - LEAD_SECONDS) > 0:
                await asyncio.sleep(ahead)

    async def _sound(self, workspace_id: str, recording: HoldAudio) -> bytes:
        key = (workspace_id, recording.audio_path)
        if key not in self._kept:
            try:
                self._kept[key] = decode_wav(await self._objects.get(file_key(*key)))
            except (ObjectMissing, StorageFault, ValueError) as error:
                log.warning("hold_audio.lost", workspace_id=workspace_id, file_id=key[1], error=str(error))
                return hold_tone()
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]


@cache
def hold_tone() -> bytes:
    """The tone of agents without a recording, once, as PCM at `HEARING_RATE`."""
    sound = np.zeros(int(TONE_SECONDS * HEARING_RATE))
    for hertz, begin, end in _NOTES:
        first, last = int(begin * HEARING_RATE), int(end * HEARING_RATE)
        note = np.sin(2 * np.pi * hertz * np.arange(last - first) / HEARING_RATE)
        sound[first:last] += note * np.hanning(last - first)
    return (sound * _VOLUME * 32_767).astype("<i2").tobytes()
