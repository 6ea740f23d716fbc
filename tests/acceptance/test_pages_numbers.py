"""The phone page of a person who knows several businesses."""

import pytest
from playwright.async_api import expect

from support.pages import Business, Place, write

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

BUSINESS = Business()


async def test_the_person_chooses_whom_to_write_to(place: Place) -> None:
    other = await place.meta.call("POST", "/setup", business_name="Leaf & Co", display_phone_number="+1 555-777-0001")
    phone = await place.phone("Ann")
    await write(phone, "Hello")
    await expect(phone.locator(".gl-row.theirs")).to_contain_text("You said Hello")

    await phone.get_by_role("button", name="Chats").click()
    await expect(phone.locator(".gl-option", has_text="Fern & Field")).to_contain_text("You said Hello")
    await phone.locator(".gl-option", has_text="Leaf & Co").click()

    await expect(phone.locator(".gl-bar-name")).to_have_text("Leaf & Co")
    await expect(phone.locator(".gl-person.on")).to_contain_text("Ann")
    await write(phone, "Do you sell leaves?")
    await expect(phone.locator(".gl-row.mine")).to_contain_text("Do you sell leaves?")
    ann = await place.person_id("Ann")
    chat = await place.meta.call("GET", f"/people/{ann}/chats/{other['phone_number_id']}")
    assert [message["text"]["body"] for message in chat["messages"]] == ["Do you sell leaves?"]
