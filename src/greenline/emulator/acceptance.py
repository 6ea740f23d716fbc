"""Whether Meta takes a message of a business: to whom it goes, what it holds, how many there may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from greenline.emulator import templates
from greenline.emulator.clock import MovableClock
from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.limits import check_envelope, check_message, files_of
from greenline.emulator.media import Media, MediaStore, base_type, suits
from greenline.emulator.portfolio import Portfolio
from greenline.emulator.template_fill import fill, needs_phone
from greenline.emulator.throughput import DAY, Throughput
from greenline.emulator.world import Account, Chat, Message, Number, Person, World, aliases

MESSAGE_LIFE: Final = 30 * DAY  # Meta: the oldest message that can be reacted to, quoted or marked as read


class Acceptance:
    """Judges messages before anything is done about them."""

    def __init__(
        self,
        world: World,
        config: Config,
        clock: MovableClock,
        media: MediaStore,
        portfolio: Portfolio,
        throughput: Throughput,
    ) -> None:
        self._world = world
        self._config = config
        self._clock = clock
        self._media = media
        self._portfolio = portfolio
        self._throughput = throughput

    def recipient(self, number: Number, body: Mapping[str, Any]) -> tuple[str, Person | None]:
        """Who a message is for: as the business wrote it, and whom that reaches. Raises `MetaError`."""
        name = str(body.get("to") or body.get("recipient") or "")
        if not name:
            raise MetaError(131008, "The parameter to is required.")
        plain = name if is_user_id(name) else "".join(c for c in name if c in "0123456789")
        if not plain:
            raise MetaError(131009, f"{name} is no phone number and no user id.")
        if plain == number.wa_id:
            raise MetaError(131021)
        if number.test_recipients is not None and not number.test_recipients & set(aliases(plain)):
            raise MetaError(131030, "A test number only sends to the recipients on its list.")
        person = self._world.find_person(plain)
        if person is None and not is_user_id(name) and not name.startswith("+"):
            person = self._world.find_person(number.wa_id[:2].rstrip("0") + plain)
        if person is not None and person.id in number.blocked:
            raise MetaError(130403, "The business has blocked this person.")
        return name, person

    def content(self, number: Number, body: dict[str, Any]) -> dict[str, Any] | None:
        """Judge the body of a message; returns its template, if it has one. Raises `MetaError`."""
        if not number.registered:
            raise MetaError(133010)
        check_envelope(body)
        template = self._template(self._world.accounts[number.account_id], body)
        if template is None:
            check_message(body)
        for _, file in files_of(body):
            if file.get("id") and self._file(number, file) is None:
                raise MetaError(131009, f"Media {file['id']} is not known to this number.")
        return template

    def rates(self, chat: Chat | None, number: Number) -> None:
        """Judge how much the number sends, in all and to one person, and count it. Raises `MetaError`."""
        now, config = self._clock.now(), self._config
        self._throughput.judge(number)
        if chat is not None and config.enforce_pair_rate:
            if chat.pair_clock > now + config.pair_interval * (config.pair_burst - 1):
                raise MetaError(131056, "Too many messages from this number to this person in a short time.")
            chat.pair_clock = max(now, chat.pair_clock) + config.pair_interval
        number.count_message(now)

    def window(self, chat: Chat, kind: str) -> MetaError | None:
        """Why a message will fail for a closed window. Raises it where Meta refuses that at once."""
        if kind == "template" or not self._config.enforce_window or chat.window_until > self._clock.now():
            return None
        error = MetaError(131047, "More than 24 hours have passed since the customer last replied to this number.")
        if self._config.closed_window == "refuse":
            raise error
        return error

    def flaw(self, chat: Chat, body: dict[str, Any]) -> MetaError | None:
        """Why a message that is taken will fail: what Meta only finds when it has answered."""
        if body.get("type") == "reaction" and self.reachable(chat, body["reaction"]["message_id"]) is None:
            return MetaError(131009, "The message to react to is not there, too old, or a reaction itself.")
        for kind, content in files_of(body):
            file = self._file(chat.number, content) if content.get("id") else None
            voice = kind == "audio" and bool(content.get("voice"))
            if file is not None and not suits(base_type(file.mime_type), kind):
                return MetaError(131053, f"{file.mime_type} can't be sent as {kind}.")
            if file is not None and voice and base_type(file.mime_type) != "audio/ogg":
                return MetaError(131053, f"A voice note must be audio/ogg with Opus, and is {file.mime_type}.")
        return self._portfolio.open(chat) if body.get("type") == "template" else None

    def reachable(self, chat: Chat, wamid: str) -> Message | None:
        """A message of the chat that can still be reacted to, quoted or marked as read."""
        message = chat.find(wamid)
        if message is None or message.type == "reaction" or message.at <= self._clock.now() - MESSAGE_LIFE:
            return None
        return message

    def _template(self, account: Account, body: dict[str, Any]) -> dict[str, Any] | None:
        if body.get("type") != "template":
            return None
        sent = body.get("template")
        if not isinstance(sent, dict):
            raise MetaError(131008, "The parameter template is required.")
        template = templates.find(account, sent)
        fill(template, sent)
        if needs_phone(template) and is_user_id(str(body.get("to") or body.get("recipient"))):
            raise MetaError(131062, "A template with a code can't be sent to a business-scoped user id.")
        return template

    def _file(self, number: Number, content: dict[str, Any]) -> Media | None:
        return self._media.find(str(content["id"]), self._clock.now(), number.id)


def is_user_id(name: str) -> bool:
    """Whether it is a business-scoped user id, and no phone number."""
    return "." in name
