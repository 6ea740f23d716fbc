"""What the web widget and shared pages read of an agent (reference: UI components)."""

from __future__ import annotations

import html
import re
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import QueryParams

from greenline.agents import service
from greenline.agents.config.conversation import FileInputConfig
from greenline.agents.models import AgentChanges, AgentNotFound, AgentVersion
from greenline.api.conversation_auth import AccessRefused
from greenline.api.deps import AppServices, Caller, Services
from greenline.api.public_files import HEADERS, read_public_file
from greenline.api.refusing import refusing
from greenline.channels.socket.access import Gate, Handshake, workspace_of_agent
from greenline.channels.socket.errors import Refused
from greenline.conversations.files import write_file
from greenline.conversations.models import FileNotFound, FileTooLarge, UnsupportedFile
from greenline.conversations.uploads import detect_type
from greenline.errors import BadRequest
from greenline.ids import new_id

router = APIRouter(prefix="/v1/convai/agents", tags=["Agents"])

AVATAR_MAX_BYTES: Final = 2_000_000
"""A widget shows it as large as a thumb, to everybody who opens the page."""
_AVATAR: Final = "avatar"
_AVATAR_ID: Final = re.compile(r"avatar_[0-9a-z]{26}")
"""The files of conversations lie in the same folder, and are not for everybody."""
_OWN: Final = frozenset({"language_selector", "custom_avatar_path", "language_presets"})
"""What of the settings the widget is told in another form, or not at all."""


class NoPicture(BadRequest):
    """An avatar is a picture: JPEG, PNG, WebP or GIF, of at most 2 MB."""

    code = "unsupported_file_type"


class LinkToken(BaseModel):
    """A token that lets whoever has it talk to the agent (SDK: ConversationTokenResponseModel)."""

    agent_id: str
    conversation_token: str
    expiration_time_unix_secs: int | None = None
    conversation_id: str | None = None
    purpose: Literal["signed_url", "shareable_link"] = "shareable_link"
    token_requester_user_id: str | None = None


class AgentLink(BaseModel):
    """How the agent is shared; ``token`` is null where none is set (``auth.shareable_token``)."""

    agent_id: str
    token: LinkToken | None


class WidgetLanguage(BaseModel):
    """The widget in another language."""

    first_message: str | None = None
    text_contents: dict[str, Any] | None = None
    terms_text: str | None = None
    terms_html: str | None = None
    terms_key: str | None = None


class WidgetView(BaseModel):
    """The settings ``platform_settings.widget`` with what a widget needs to know of the agent besides.

    (SDK: WidgetConfigResponse.)
    """

    model_config = ConfigDict(extra="allow")

    language: str
    supported_language_overrides: list[str] | None
    language_presets: dict[str, WidgetLanguage]
    text_only: bool
    first_message: str | None
    use_rtc: bool = False
    file_input_config: FileInputConfig


class AgentWidget(BaseModel):
    """The widget of an agent."""

    agent_id: str
    widget_config: WidgetView


class AgentAvatar(BaseModel):
    """Where the new picture is."""

    agent_id: str
    avatar_url: str


@router.get("/{agent_id}/link")
async def get_link(agent_id: str, services: Services, workspace: Caller) -> AgentLink:
    """The token under which the agent is shared."""
    agent = await service.get(services.pool, workspace.id, agent_id)
    token = agent.version.platform_settings.auth.shareable_token
    return AgentLink(
        agent_id=agent_id, token=LinkToken(agent_id=agent_id, conversation_token=token) if token else None
    )


@router.get("/{agent_id}/widget")
async def get_widget(
    agent_id: str,
    request: Request,
    services: Services,
    conversation_signature: Annotated[str | None, Query(description="Of a signed URL.")] = None,
) -> AgentWidget:
    """What a widget shows. Needs no key where the agent talks to everybody; else as its socket does."""
    version = await _admitted(agent_id, request, services)
    return AgentWidget(agent_id=agent_id, widget_config=widget_view(version))


@router.post("/{agent_id}/avatar")
async def set_avatar(
    agent_id: str, request: Request, services: Services, workspace: Caller, avatar_file: Annotated[UploadFile, File()]
) -> AgentAvatar:
    """Upload a picture for the widget: a new version on the main branch shows it."""
    await service.get(services.pool, workspace.id, agent_id)
    data = await avatar_file.read(AVATAR_MAX_BYTES + 1)
    _picture_type(data)
    file_id = new_id(_AVATAR)
    await write_file(services.objects, workspace.id, file_id, data)
    base = (services.settings.public_url or str(request.base_url)).rstrip("/")
    url = f"{base}{router.prefix}/{agent_id}/avatar/{file_id}"
    changes = AgentChanges(
        platform_settings={"widget": {"avatar": {"type": "image", "url": url}}}, description="A new avatar"
    )
    with refusing():
        await service.update(services.pool, services.clock, workspace.id, agent_id, changes)
    return AgentAvatar(agent_id=agent_id, avatar_url=url)


@router.get("/{agent_id}/avatar/{file_id}", response_class=Response)
async def get_avatar(agent_id: str, file_id: str, services: Services) -> Response:
    """An uploaded picture, for everybody: it is what a public page shows."""
    picture = None
    if _AVATAR_ID.fullmatch(file_id):
        picture = await read_public_file(services, agent_id, file_id, service.workspaces_of_picture)
    if picture is None:
        raise FileNotFound("The agent has no picture with this id.")
    return Response(picture, media_type=detect_type(picture, None), headers=HEADERS)


def widget_view(version: AgentVersion) -> WidgetView:
    """The widget of an agent's version."""
    config, widget = version.conversation_config, version.platform_settings.widget
    languages = sorted({*config.language_presets, *widget.language_presets})
    return WidgetView(
        **_with_terms(widget.model_dump(mode="json", exclude=set(_OWN))),
        language=config.agent.language,
        supported_language_overrides=list(config.language_presets) if widget.language_selector else None,
        language_presets={language: _language(version, language) for language in languages},
        text_only=config.conversation.text_only,
        first_message=config.agent.first_message or None,
        file_input_config=config.conversation.file_input,
    )


def _language(version: AgentVersion, language: str) -> WidgetLanguage:
    spoken = version.conversation_config.language_presets.get(language)
    shown = version.platform_settings.widget.language_presets.get(language)
    said = spoken.overrides.agent.first_message if spoken and spoken.overrides.agent else None
    texts = shown.model_dump(mode="json", include=set(WidgetLanguage.model_fields)) if shown else {}
    return WidgetLanguage(first_message=said, **_with_terms(texts))


def _with_terms(shown: dict[str, Any]) -> dict[str, Any]:
    """``shown`` with its terms as HTML: the widget asks for no consent where there is none."""
    text = shown.get("terms_text")
    if not text or shown.get("terms_html") is not None:
        return shown
    paragraphs = [html.escape(part).replace("\n", "<br>") for part in re.split(r"\n\s*\n", text.strip())]
    return {**shown, "terms_html": "".join(f"<p>{part}</p>" for part in paragraphs)}


async def _admitted(agent_id: str, request: Request, services: AppServices) -> AgentVersion:
    """The version that the page may talk to. Raises `AgentNotFound` or `AccessRefused`."""
    if await workspace_of_agent(services.pool, agent_id) is None:
        raise AgentNotFound
    gate = Gate(services.pool, services.keyring, services.vault, services.clock)
    query = QueryParams({**request.query_params, "agent_id": agent_id})
    try:
        return (await gate.admit(Handshake(request.headers, query))).version
    except Refused as error:
        raise AccessRefused(error.reason) from error


def _picture_type(data: bytes) -> str:
    """The MIME type of an uploaded picture. Raises `FileTooLarge`, `EmptyFile` or `NoPicture`."""
    if len(data) > AVATAR_MAX_BYTES:
        raise FileTooLarge("An avatar has at most 2 MB.")
    try:
        kind = detect_type(data, None)
    except UnsupportedFile:
        raise NoPicture from None
    if not kind.startswith("image/"):
        raise NoPicture
    return kind
