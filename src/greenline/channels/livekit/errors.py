"""Why there is no room for a conversation."""

from __future__ import annotations

from greenline.errors import GreenlineError, Unavailable

INSTEAD = (
    'Without it, connect over the WebSocket: connectionType "websocket" in the JavaScript client, or a URL of '
    "/v1/convai/conversation/get-signed-url."
)


class NoRooms(GreenlineError):
    """WebRTC needs a LiveKit server, and this server has none."""

    http_status = 501
    code = "webrtc_not_configured"


class RoomUnreachable(GreenlineError):
    """The LiveKit server does not let the agent into a room. The log of this server has the cause; the settings are
    GREENLINE_LIVEKIT_URL, GREENLINE_LIVEKIT_API_KEY and GREENLINE_LIVEKIT_API_SECRET.
    """

    http_status = 502
    code = "livekit_unreachable"


class TooManyRooms(Unavailable):
    """Too many tokens wait for the people they were made for. Try again in a moment."""

    code = "too_many_rooms"
