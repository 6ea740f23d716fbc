"""Conversations over HTTP (reference: Conversations)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from greenline.api.conversation_auth import LiveClient, RatingClient
from greenline.api.conversation_query import ConversationQuery
from greenline.api.deps import AppServices, Caller, Services
from greenline.api.pages import PREFLIGHT
from greenline.api.ranges import ranged
from greenline.conversations import service, uploads
from greenline.conversations.events import Feedback
from greenline.conversations.files import ConversationFile, read_part
from greenline.conversations.listing import list_conversations
from greenline.conversations.models import FileNotFound, FileTooLarge, NoAudio, NoSuchReference
from greenline.conversations.recordings import MIME_TYPE, find_recording, read_recording
from greenline.conversations.views import ConversationPage, ConversationView, SummaryView, summary_line
from greenline.insight.traces import otlp_traces
from greenline.llm.prices import token_prices
from greenline.store.cursor import InvalidCursor
from greenline.store.objects import ObjectMissing

router = APIRouter(prefix="/v1/convai/conversations", tags=["Conversations"])

MAX_COMMENT: Final = 5_000
"""Characters: two pages, by people whom nobody asked for a key."""


class Rating(BaseModel):
    """A thumb up or down, or one to five and a comment, in the place of the last rating; nothing takes it back."""

    feedback: Literal["like", "dislike"] | None = None
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] | None = None


class UploadedFile(BaseModel):
    """The file that an operation was about."""

    file_id: str


@router.get("")
async def list_page(
    services: Services, workspace: Caller, query: Annotated[ConversationQuery, Query()]
) -> ConversationPage:
    """A page of the workspace's conversations, by their start."""
    try:
        page = await list_conversations(
            services.pool,
            workspace.id,
            query.to_filter(),
            direction=query.sort_direction,
            page_size=query.page_size,
            cursor=query.cursor,
        )
    except InvalidCursor as error:
        refused = {"type": "value_error", "loc": ("query", "cursor"), "msg": error.message, "input": query.cursor}
        raise RequestValidationError([refused]) from error
    lines = [
        summary_line(
            conversation,
            with_summary=query.summary_mode == "include",
            with_data=bool(query.data_collection_ids),
            with_evaluation=bool(query.evaluation_criteria_ids),
            prices=token_prices,
        )
        for conversation in page.conversations
    ]
    return ConversationPage(conversations=lines, next_cursor=page.next_cursor, has_more=page.next_cursor is not None)


@router.get("/resolve")
async def resolve(workspace: Caller, agent_id: str, reference: str) -> ConversationView:
    """The conversation behind a Slack or Zendesk URL: this server has neither integration."""
    raise NoSuchReference


@router.get("/{conversation_id}")
async def get_conversation(
    conversation_id: str,
    request: Request,
    services: Services,
    workspace: Caller,
    format: Literal["json", "opentelemetry"] = "json",  # noqa: A002 - the reference's name
) -> ConversationView:
    """A whole conversation: metadata, transcript, analysis; in the other format with its trace in OTLP too."""
    link = _linker(request, services)
    found = await service.get(services.pool, workspace.id, conversation_id, link=link, prices=token_prices)
    if format == "opentelemetry":
        conversation = await service.find(services.pool, workspace.id, conversation_id)
        journal = await service.load_journal(services.pool, workspace.id, conversation_id)
        found.otlp_traces = otlp_traces(conversation, journal, source="api")
    return found


@router.delete("/{conversation_id}")
async def delete_conversation(conversation_id: str, services: Services, workspace: Caller) -> dict[str, str]:
    """Erase a conversation with its files and all that was said in it."""
    await service.delete(
        services.pool,
        services.clock,
        services.objects,
        workspace.id,
        conversation_id,
    )
    return {"status": "ok"}


@router.get("/{conversation_id}/summary")
async def get_summary(
    conversation_id: str,
    services: Services,
    workspace: Caller,
    max_messages: Annotated[int, Query(ge=1, le=200, description="With more messages they are left out.")] = 40,
) -> SummaryView:
    """A conversation in short."""
    return await service.get_summary(services.pool, workspace.id, conversation_id, max_messages)


@router.get("/{conversation_id}/audio", response_class=StreamingResponse)
async def get_audio(conversation_id: str, request: Request, services: Services, workspace: Caller) -> Response:
    """The recording of a conversation that was spoken, as MP3: the person left, the agent right. Takes ranges."""
    await service.find(services.pool, workspace.id, conversation_id)
    recording = await find_recording(services.pool, workspace.id, conversation_id)
    if recording is None:
        raise NoAudio
    return await ranged(
        partial(read_recording, services.objects, recording),
        recording.size_bytes,
        request.headers,
        media_type=MIME_TYPE,
        etag=f'"{recording.conversation_id}-{recording.size_bytes}"',
        headers={"cache-control": "private, max-age=900", "x-content-type-options": "nosniff"},
    )


@router.post("/{conversation_id}/feedback")
async def give_feedback(
    conversation_id: str, services: Services, workspace_id: RatingClient, body: Rating
) -> dict[str, str]:
    """Rate a conversation. The client of one on a socket needs no key until an hour after its end."""
    said = Feedback(score=body.feedback, rating=body.rating, comment=body.comment or None)
    await service.rate(services.pool, services.clock, workspace_id, conversation_id, said)
    return {"status": "ok"}


@router.options("/{conversation_id}/feedback", include_in_schema=False)
async def may_give_feedback(conversation_id: str) -> Response:
    """What a browser asks before it sends JSON to another site."""
    return Response(status_code=204, headers=PREFLIGHT)


@router.post("/{conversation_id}/files")
async def upload_file(
    conversation_id: str,
    services: Services,
    workspace_id: LiveClient,
    file: Annotated[UploadFile, File()],
) -> UploadedFile:
    """Upload an image, a PDF or a text file into an open conversation.

    The client of a running conversation on a socket needs no key: its id is the credential.
    """
    limit = services.settings.media_max_bytes
    data = await file.read(limit + 1)
    if len(data) > limit:
        raise FileTooLarge
    uploaded = await uploads.upload(
        services.pool,
        services.clock,
        services.objects,
        workspace_id,
        conversation_id,
        filename=file.filename or "",
        declared_type=file.content_type,
        data=data,
    )
    return UploadedFile(file_id=uploaded.id)


@router.get("/{conversation_id}/files/{file_id}", response_class=StreamingResponse)
async def get_file(
    conversation_id: str, file_id: str, request: Request, services: Services, workspace: Caller
) -> Response:
    """The bytes of a file of a conversation. Takes ranges."""
    return await _serve(request, services, workspace.id, conversation_id, file_id)


@router.get("/{conversation_id}/files/{file_id}/content", response_class=StreamingResponse)
async def get_file_by_link(
    conversation_id: str, file_id: str, request: Request, services: Services, token: Annotated[str, Query()]
) -> Response:
    """The bytes of a file, for a link out of a transcript: needs no key and lives for a quarter of an hour."""
    workspace_id = uploads.open_token(services.vault, services.clock, token, conversation_id, file_id)
    return await _serve(request, services, workspace_id, conversation_id, file_id)


@router.delete("/{conversation_id}/files/{file_id}")
async def delete_file(conversation_id: str, file_id: str, services: Services, workspace: Caller) -> UploadedFile:
    """Take away an uploaded file that no message has used."""
    await uploads.remove(services.pool, services.objects, workspace.id, conversation_id, file_id)
    return UploadedFile(file_id=file_id)


async def _serve(
    request: Request, services: AppServices, workspace_id: str, conversation_id: str, file_id: str
) -> Response:
    """A download, whatever it holds: shown in a browser, a person's file could run in this server's name."""
    file = await uploads.find_file(services.pool, workspace_id, conversation_id, file_id)
    try:
        return await ranged(
            partial(read_part, services.objects, file),
            file.size_bytes,
            request.headers,
            media_type=file.mime_type,
            etag=f'"{file.sha256.hex()}"',
            headers={
                "content-disposition": f"attachment; filename*=utf-8''{quote(file.filename, safe='')}",
                "x-content-type-options": "nosniff",
                "content-security-policy": "sandbox; default-src 'none'",
                "cache-control": "private, max-age=900",
            },
        )
    except ObjectMissing as error:
        raise FileNotFound("The bytes of this file are not in the storage any more.") from error


def _linker(request: Request, services: AppServices) -> Callable[[ConversationFile], str]:
    base = services.settings.public_url or str(request.base_url)
    return uploads.link_maker(services.vault, services.clock, base)
