"""The emulator's control API, as the phone page uses it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import httpx2
from starlette.status import HTTP_404_NOT_FOUND, HTTP_409_CONFLICT

from greenline.text import clean_data

Permission: TypeAlias = Literal["permanent", "temporary", "declined"]

PERMISSION_SECONDS: Final = 168 * 3600  # Meta: Call permissions


class EmulatorGone(Exception):
    """The emulator can't be reached, or refused; the text tells which."""


class NotThere(EmulatorGone):
    """The emulator answers, and does not know what was asked for: it began anew."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that a person sends from the page; ``voice`` for a voice note."""

    name: str
    mime_type: str
    data: bytes = field(repr=False)
    voice: bool = False

    @property
    def kind(self) -> str:
        """The type of message that carries it."""
        base = self.mime_type.partition("/")[0]
        if self.mime_type in ("image/jpeg", "image/png", "video/mp4"):
            return base
        return "audio" if base == "audio" else "document"


class Control:
    """One emulator. Every method raises `EmulatorGone`."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.AsyncClient(base_url=f"{url.rstrip('/')}/control", trust_env=False, timeout=10)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def state(self) -> dict[str, Any]:
        """Numbers, business accounts, people, the number of the last event."""
        return await self._call("GET", "/state")

    async def add_person(self, name: str) -> dict[str, Any]:
        """Somebody new, who reads when the page shows it."""
        return await self._call("POST", "/people", {"name": name, "reads": "manual"})

    async def chat(self, person_id: str, number_id: str) -> dict[str, Any]:
        """What the phone shows: ``messages``, ``typing``, ``window_open``."""
        return await self._call("GET", f"/people/{person_id}/chats/{number_id}")

    async def events(self, after: int, seconds: float) -> list[dict[str, Any]]:
        """What happened after the event of a number; waits for something at most ``seconds``."""
        answer = await self._call("GET", f"/events?after={after}&wait={seconds}", patience=seconds + 10)
        return list(answer["events"])

    async def say(self, person_id: str, number_id: str, text: str, context: dict[str, str] | None = None) -> None:
        """A person writes; ``context`` is the message that is answered, as Meta's webhooks have it."""
        body = {"phone_number_id": number_id, "type": "text", "text": {"body": text}, "context": context}
        await self._call("POST", f"/people/{person_id}/messages", body)

    async def send_file(self, person_id: str, number_id: str, file: SentFile) -> None:
        """A person sends a file."""
        content = {
            "data_base64": base64.b64encode(file.data).decode(),
            "mime_type": file.mime_type,
            "filename": file.name if file.kind == "document" else None,
            "voice": file.voice if file.kind == "audio" else None,
        }
        body = {"phone_number_id": number_id, "type": file.kind, "file": content}
        await self._call("POST", f"/people/{person_id}/messages", body)

    async def tap(self, person_id: str, number_id: str, message_id: str, place: int) -> None:
        """A person taps a button or a row by its place in the message."""
        body = {"phone_number_id": number_id, "message_id": message_id, "index": place}
        await self._call("POST", f"/people/{person_id}/tap", body)

    async def react(self, person_id: str, number_id: str, message_id: str, emoji: str) -> None:
        """A person reacts; without an emoji the reaction is taken back."""
        body = {"phone_number_id": number_id, "message_id": message_id, "emoji": emoji}
        await self._call("POST", f"/people/{person_id}/react", body)

    async def read(self, person_id: str, number_id: str) -> None:
        """A person reads everything."""
        await self._call("POST", f"/people/{person_id}/read", {"phone_number_id": number_id})

    async def permit(self, person_id: str, number_id: str, message_id: str, answer: Permission) -> None:
        """A person answers a request to be called."""
        reply = permission_reply(answer, (await self.state())["now"])
        context = {"id": message_id}
        body = {"phone_number_id": number_id, "type": "interactive", "interactive": reply, "context": context}
        await self._call("POST", f"/people/{person_id}/messages", body)

    async def play(self, person_id: str, number_id: str, message_id: str) -> None:
        """A person plays a voice note."""
        body = {"phone_number_id": number_id, "message_id": message_id}
        await self._call("POST", f"/people/{person_id}/play", body)

    async def dial(self, person_id: str, number_id: str) -> str:
        """A person calls the business; returns the id of the call."""
        call = await self._call("POST", f"/people/{person_id}/calls", {"phone_number_id": number_id})
        return str(call["call_id"])

    async def call_of(self, person_id: str, number_id: str, call_id: str | None) -> dict[str, Any] | None:
        """The call with this id, or else the one that runs between person and number; None without one."""
        if call_id is not None:
            return await self._call("GET", f"/calls/{quote(call_id, safe='')}")
        ends = (person_id, number_id)
        for call in reversed((await self._call("GET", "/calls"))["calls"]):
            if (call["person_id"], call["phone_number_id"]) == ends and call["state"] != "ended":
                found: dict[str, Any] = call
                return found
        return None

    async def speak(self, call_id: str, offer: str) -> tuple[str, int]:
        """A browser is the person's phone: its session description for the one that it gets, and its number.

        The one with the highest number speaks (``browsers`` of the call).
        """
        answer = await self._call("POST", f"/calls/{quote(call_id, safe='')}/browser", {"sdp": offer})
        return str(answer["sdp"]), int(answer["browser"])

    async def take_call(self, call_id: str) -> None:
        """A person takes the call of the business."""
        await self._call("POST", f"/calls/{quote(call_id, safe='')}/accept")

    async def decline_call(self, call_id: str) -> None:
        """A person declines the call of the business."""
        await self._call("POST", f"/calls/{quote(call_id, safe='')}/decline")

    async def hang_up(self, call_id: str) -> None:
        """A person hangs up; a call that is over stays so."""
        await self._call("POST", f"/calls/{quote(call_id, safe='')}/hangup")

    async def file(self, media_id: str) -> tuple[str, bytes]:
        """MIME type and bytes of a file in a chat."""
        answer = await self._ask("GET", f"/media/{quote(media_id, safe='')}")
        return answer.headers.get("content-type", ""), answer.content

    async def _call(self, method: str, path: str, body: Any = None, patience: float = 10) -> dict[str, Any]:
        content: dict[str, Any] = clean_data((await self._ask(method, path, body, patience)).json())
        return content

    async def _ask(self, method: str, path: str, body: Any = None, patience: float = 10) -> httpx2.Response:
        try:
            answer = await self._http.request(method, path, json=body, timeout=patience)
        except httpx2.HTTPError as error:
            raise EmulatorGone(f"The emulator can't be reached: {type(error).__name__}.") from error
        if answer.is_error:
            kind = NotThere if answer.status_code == HTTP_404_NOT_FOUND else EmulatorGone
            raise kind(_refusal(answer))
        return answer


def _refusal(answer: httpx2.Response) -> str:
    """What the person can't do now is told in a sentence (409); anything else is a fault."""
    if answer.status_code == HTTP_409_CONFLICT:
        return str(answer.json()["detail"])
    return f"The emulator answered {answer.status_code}: {answer.text[:200]}"


def permission_reply(answer: Permission, now: float) -> dict[str, Any]:
    """What a phone sends when the person answers a request to be called (Meta: Call permissions)."""
    reply: dict[str, Any] = {
        "response": "reject" if answer == "declined" else "accept",
        "response_source": "user_action",
    }
    if answer != "declined":
        reply["is_permanent"] = answer == "permanent"
    if answer == "temporary":
        reply["expiration_timestamp"] = str(int(now) + PERMISSION_SECONDS)
    return {"type": "call_permission_reply", "call_permission_reply": reply}
