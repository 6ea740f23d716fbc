"""The recording that callers hear while they wait for a busy agent (reference: Queueing)."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final

from fastapi import APIRouter, File, Request, Response, UploadFile
from pydantic import BaseModel

from greenline.agents import service
from greenline.agents.config.access import HoldAudio
from greenline.agents.models import AgentChanges
from greenline.api.deps import Caller, Services
from greenline.api.public_files import HEADERS, read_public_file
from greenline.api.refusing import refusing
from greenline.conversations.files import clean_filename, write_file
from greenline.conversations.models import FileNotFound, FileTooLarge
from greenline.errors import BadRequest
from greenline.ids import new_id
from greenline.speech.errors import AudioError
from greenline.speech.models import HEARING_RATE
from greenline.speech.notes import decode_recording
from greenline.speech.wav import encode_wav

router = APIRouter(prefix="/v1/convai/agents", tags=["Agents"])

MAX_BYTES: Final = 10_000_000
MIN_SECONDS: Final = 1.0
MAX_SECONDS: Final = 120.0
"""It is played over and over, and kept in memory while somebody waits: 4 MB."""
_KIND: Final = "hold"
_ID: Final = re.compile(r"hold_[0-9a-z]{26}")
"""The files of conversations lie in the same folder, and are not for everybody."""


class NoHoldAudio(BadRequest):
    """Hold audio is a recording of one second to two minutes, in a format such as MP3, WAV, OGG or M4A."""

    code = "unsupported_file_type"


class AgentHoldAudio(BaseModel):
    """The new recording (SDK: PostAgentHoldAudioResponseModel)."""

    agent_id: str
    hold_audio: HoldAudio


class NoAgentHoldAudio(BaseModel):
    """The agent whose callers hear the tone again (SDK: DeleteAgentHoldAudioResponseModel)."""

    agent_id: str


@router.post("/{agent_id}/hold-audio")
async def set_hold_audio(
    agent_id: str,
    request: Request,
    services: Services,
    workspace: Caller,
    hold_audio_file: Annotated[UploadFile, File()],
) -> AgentHoldAudio:
    """Upload a recording for callers who wait: a new version on the main branch plays it."""
    await service.get(services.pool, workspace.id, agent_id)
    data = await hold_audio_file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FileTooLarge("Hold audio has at most 10 MB.")
    pcm = await asyncio.to_thread(_decode, data)
    file_id = new_id(_KIND)
    await write_file(services.objects, workspace.id, file_id, encode_wav(pcm, HEARING_RATE))
    base = (services.settings.public_url or str(request.base_url)).rstrip("/")
    recording = HoldAudio(
        audio_path=file_id,
        audio_url=f"{base}{router.prefix}/{agent_id}/hold-audio/{file_id}",
        original_filename=clean_filename(hold_audio_file.filename or ""),
        duration_secs=round(len(pcm) / 2 / HEARING_RATE, 3),
        size_bytes=len(data),
    )
    changes = AgentChanges(
        platform_settings={"queueing_config": {"hold_audio": recording.model_dump()}}, description="New hold audio"
    )
    with refusing():
        await service.update(services.pool, services.clock, workspace.id, agent_id, changes)
    return AgentHoldAudio(agent_id=agent_id, hold_audio=recording)


@router.delete("/{agent_id}/hold-audio")
async def delete_hold_audio(agent_id: str, services: Services, workspace: Caller) -> NoAgentHoldAudio:
    """Let callers who wait hear the tone again, by a new version on the main branch."""
    changes = AgentChanges(
        platform_settings={"queueing_config": {"hold_audio": None}}, description="Without hold audio"
    )
    with refusing():
        await service.update(services.pool, services.clock, workspace.id, agent_id, changes)
    return NoAgentHoldAudio(agent_id=agent_id)


@router.get("/{agent_id}/hold-audio/{file_id}", response_class=Response)
async def get_hold_audio(agent_id: str, file_id: str, services: Services) -> Response:
    """An uploaded recording as WAV, for everybody: callers hear it before anybody asks who they are."""
    recording = None
    if _ID.fullmatch(file_id):
        recording = await read_public_file(services, agent_id, file_id, service.workspaces_of_hold_audio)
    if recording is None:
        raise FileNotFound("The agent has no hold audio with this id.")
    return Response(recording, media_type="audio/wav", headers=HEADERS)


def _decode(data: bytes) -> bytes:
    """The sound of an upload, as PCM at `HEARING_RATE`. Raises `NoHoldAudio`."""
    try:
        recording = decode_recording(data, max_seconds=MAX_SECONDS)
    except AudioError as error:
        raise NoHoldAudio(f"{NoHoldAudio().message} This one is {error}.") from error
    if recording.seconds < MIN_SECONDS:
        raise NoHoldAudio
    return recording.pcm
