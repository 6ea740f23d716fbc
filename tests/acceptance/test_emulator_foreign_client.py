"""The emulator as a Graph client meets it that knows nothing of Greenline: ``pywa``, given another base URL."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pywa.errors import WhatsAppError
from pywa_async import WhatsApp, filters, types
from pywa_async.types import templates

from support.meta import Emulator, Person, emulator
from support.scripted import Answer, Request, scripted
from support.wait import PATIENCE_SECONDS, until

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)


@dataclass
class Shop:
    """A business whose software is made with pywa: its client, and what its callback was told."""

    meta: Emulator
    wa: WhatsApp
    callback: str
    told: list[Request]
    handled: int = 0

    async def until(self, condition: Callable[[], object]) -> None:
        """Let pywa handle what comes until the condition is true."""

        async def so() -> bool:
            while self.handled < len(self.told):
                request = self.told[self.handled]
                self.handled += 1
                refusal = await self.wa.webhook_update_validator(request.body, request.headers["x-hub-signature-256"])
                assert refusal is None
                assert (await self.wa.webhook_update_handler(request.body))[1] == 200
            return bool(condition())

        await until(so)

    @property
    def handlers(self) -> Any:
        """The client, to register handlers with. What pywa says of the types there is true of other uses only.

        Its decorators are those of a module without a client, its updates those of the synchronous client.
        """
        return self.wa

    @property
    def business(self) -> dict[str, Any]:
        return self.meta.business


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """An emulator with one business, and pywa on another base URL than Meta's."""
    told: list[Request] = []

    def callback(request: Request) -> Answer:
        if request.method == "GET":
            return Answer(200, httpx.URL(request.target).params["hub.challenge"].encode())
        told.append(request)
        return Answer(200, b"")

    async with (
        scripted(callback) as server,
        emulator(review_delay=0) as meta,
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as session,
    ):
        business = meta.business
        wa = WhatsApp(
            phone_id=business["phone_number_id"],
            token=business["token"],
            session=session,
            verify_token="ours",
            waba_id=business["waba_id"],
            app_id=business["app_id"],
            app_secret=business["app_secret"],
        )
        session.base_url = httpx.URL(f"{meta.url}/v25.0")
        yield Shop(meta, wa, f"{server.url}/hook", told)


@pytest.fixture
async def listening(shop: Shop) -> Person:
    """Ann, to a business whose callback is set and proven."""
    app_id = int(shop.business["app_id"])
    token = await shop.wa.get_app_access_token(app_id, shop.business["app_secret"])
    await shop.wa.set_app_callback_url(
        app_id, token, shop.callback, "ours", ["messages", "message_template_status_update"]
    )
    assert await shop.wa.delete_waba_callback_url()  # which subscribes the app to the account
    return await shop.meta.person("Ann", "4915550100001")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "roses.png"
    file.write_bytes(PNG)
    return file


async def test_an_app_is_set_up_and_reads_its_account(shop: Shop) -> None:
    wa, business = shop.wa, shop.business
    app_id = int(business["app_id"])
    token = await wa.get_app_access_token(app_id, business["app_secret"])
    fields = ["messages", "message_template_status_update"]
    assert await wa.set_app_callback_url(app_id, token, shop.callback, "ours", fields)
    assert await wa.override_waba_callback_url(shop.callback, "ours")
    account = await wa.get_business_account()
    assert (account.name, account.account_review_status) == ("Fern & Field", "APPROVED")
    assert account.subscribed_apps is not None
    assert [app.id for app in account.subscribed_apps] == [business["app_id"]]
    assert await wa.delete_waba_callback_url()
    assert await wa.override_phone_callback_url(shop.callback, "ours")
    number = await wa.get_business_phone_number()
    assert (number.verified_name, number.status) == ("Fern & Field", "CONNECTED")
    assert number.webhook_configuration == {"phone_number": shop.callback, "application": shop.callback}
    assert await wa.delete_phone_callback_url()
    assert [known.id for known in await wa.get_business_phone_numbers()] == [shop.meta.number]
    settings = await wa.get_business_phone_number_settings()
    assert settings.calling is not None
    assert await wa.deregister_phone_number()
    assert await wa.register_phone_number(pin=123456)


async def test_a_business_profile_is_read_and_changed(shop: Shop) -> None:
    new = await shop.wa.get_business_profile()
    assert (new.industry, new.about) == (types.Industry.UNDEFINED, "Hey there! I am using WhatsApp.")
    changes: dict[str, Any] = {"about": "Plants", "email": "us@fern.example", "websites": ["https://fern.example"]}
    assert await shop.wa.update_business_profile(industry=types.Industry.RETAIL, **changes)
    profile = await shop.wa.get_business_profile()
    assert (profile.about, profile.industry, profile.websites) == (
        *("Plants", types.Industry.RETAIL),
        ("https://fern.example",),
    )
    with pytest.raises(WhatsAppError, match="Invalid parameter"):
        await shop.wa.update_business_profile(websites=["nowhere"])


async def test_a_person_is_answered_and_the_business_hears_how_it_arrived(shop: Shop, listening: Person) -> None:
    ann = listening
    messages: list[Any] = []
    statuses: list[Any] = []

    async def answer(_: WhatsApp, message: Any) -> None:
        messages.append(message)
        await message.mark_as_read()
        await message.indicate_typing()
        await message.reply("Sure?", buttons=[types.Button("Yes", "yes")], tracker="order-7")

    async def hear(_: WhatsApp, status: Any) -> None:
        statuses.append(status)

    shop.handlers.on_message(filters.text)(answer)
    shop.handlers.on_message_status(hear)
    await shop.meta.say(ann, "One fern, please")
    await shop.until(lambda: len(statuses) == 2)
    assert [(m.text, m.from_user.name) for m in messages] == [("One fern, please", "Ann")]
    assert {status.status.value for status in statuses} == {"sent", "delivered"}
    assert {(status.tracker, status.from_user.name) for status in statuses} == {("order-7", "Ann")}
    assert await shop.meta.answers(ann) == ["Sure?"]


async def test_a_button_is_tapped(shop: Shop, listening: Person) -> None:
    taps: list[Any] = []

    async def tapped(_: WhatsApp, tap: Any) -> None:
        taps.append(tap)

    shop.handlers.on_callback_button(tapped)
    await shop.meta.say(listening, "Hi")
    sent = await shop.wa.send_message(f"+{listening.wa_id}", "Sure?", buttons=[types.Button("Yes", "yes")])
    await until(lambda: shop.meta.answers(listening))
    tap = {"phone_number_id": shop.meta.number, "message_id": sent.id, "index": 0}
    await shop.meta.call("POST", f"/people/{listening.person_id}/tap", **tap)
    await shop.until(lambda: taps)
    assert [(tap.data, tap.title) for tap in taps] == [("yes", "Yes")]


async def test_files_go_both_ways(shop: Shop, listening: Person, picture: Path) -> None:
    pictures: list[Any] = []

    async def seen(_: WhatsApp, message: Any) -> None:
        pictures.append(message)

    shop.handlers.on_message(filters.image)(seen)
    file = {"data_base64": base64.b64encode(PNG).decode(), "mime_type": "image/png"}
    said = {"phone_number_id": shop.meta.number, "type": "image", "file": file}
    await shop.meta.call("POST", f"/people/{listening.person_id}/messages", **said)
    await shop.until(lambda: pictures)
    image = pictures[0].image
    assert image is not None
    assert image.url is not None
    assert await shop.wa.get_media_bytes(image.url) == PNG
    assert await shop.wa.get_media_bytes(await image.get_media_url()) == PNG
    await shop.wa.send_image(f"+{listening.wa_id}", picture, caption="Ours")

    async def arrived() -> bool:
        return [m["image"]["caption"] for m in await shop.meta.chat(listening) if m["direction"] == "out"] == ["Ours"]

    await until(arrived)


async def test_a_template_with_a_picture_is_made_listed_sent_and_deleted(
    shop: Shop, listening: Person, picture: Path
) -> None:
    wa = shop.wa
    states: list[str] = []

    async def told(_: WhatsApp, update: Any) -> None:
        states.append(update.new_status.value)

    shop.handlers.on_template_status_update(told)
    header = templates.HeaderImage(example=picture)
    body = templates.BodyText("Hi {{name}}, roses today!", name="Ann")
    english = templates.TemplateLanguage.ENGLISH_US
    made = await wa.create_template(
        templates.Template(
            name="roses",
            language=english,
            category=templates.TemplateCategory.MARKETING,
            parameter_format=templates.ParamFormat.NAMED,
            components=[header, body, templates.FooterText(text="Fern")],
        )
    )
    await shop.until(lambda: states)
    listed = await wa.get_templates(statuses=[templates.TemplateStatus.APPROVED], name_or_content="roses")
    assert [(t.id, t.status) for t in listed] == [(made.id, templates.TemplateStatus.APPROVED)]
    assert (listed.total_count, listed.message_template_count) == (1, 1)
    known = await wa.get_template(made.id)
    assert known.quality_score is not None
    assert known.quality_score.score is templates.QualityScoreType.UNKNOWN
    assert known.quality_score.date.timestamp() > 0
    params = [header.params(image=picture), body.params(name="Bob")]
    await wa.send_template(f"+{listening.wa_id}", "roses", english, params=params)

    async def rendered() -> list[str]:
        return [m["rendered"] for m in await shop.meta.chat(listening) if m["direction"] == "out"]

    assert await until(rendered) == ["[image]\nHi Bob, roses today!\nFern"]
    assert await wa.delete_template("roses")
    await shop.until(lambda: len(states) == 2)
    assert states == ["APPROVED", "DELETED"]


async def test_people_are_blocked_and_unblocked(shop: Shop, listening: Person) -> None:
    await shop.meta.say(listening, "Hi")
    blocked = await shop.wa.block_users([f"+{listening.wa_id}"])
    assert [user.wa_id for user in blocked.added_users] == [listening.wa_id]
    freed = await shop.wa.unblock_users([f"+{listening.wa_id}"])
    assert [user.wa_id for user in freed.removed_users] == [listening.wa_id]


async def test_what_is_not_emulated_is_refused_in_metas_words(shop: Shop) -> None:
    for call in (shop.wa.get_qr_codes, shop.wa.get_flows, shop.wa.get_commerce_settings):
        with pytest.raises(WhatsAppError) as refused:
            await call()
        assert (refused.value.code, refused.value.subcode) == (100, 33)
