"""What pages find in the scope of their request."""

from __future__ import annotations

from typing import Final, cast

from starlette.requests import Request

from greenline.api.deps import AppServices
from greenline.web.control import Control

SERVICES: Final = "greenline.services"
EMULATOR: Final = "greenline.emulator"


def services_of(request: Request) -> AppServices:
    """The parts of the server."""
    return cast("AppServices", request.scope[SERVICES])


def emulator_of(request: Request) -> Control | None:
    """The emulator whose people can be played, if there is one."""
    return cast("Control | None", request.scope[EMULATOR])
