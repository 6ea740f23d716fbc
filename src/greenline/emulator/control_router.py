"""What the routes of the control API share: they are made once, for every emulator of a process."""

from __future__ import annotations

from typing import Annotated, TypeAlias, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request

from greenline.emulator.control_answers import EscapedResponse
from greenline.emulator.meta import Meta


async def _meta(request: Request) -> Meta:
    return cast("Meta", request.app.state.meta)


Emulated: TypeAlias = Annotated[Meta, Depends(_meta)]
"""The emulator that a request is for."""


def control_router() -> APIRouter:
    """A router of the control API."""
    return APIRouter(default_response_class=EscapedResponse)
