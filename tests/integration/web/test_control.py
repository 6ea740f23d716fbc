"""The emulator as the phone page asks it."""

import json

import orjson
import pytest

from greenline.web.control import Control, EmulatorGone, NotThere
from support.meta import emulator


async def test_an_emulator_that_began_anew_and_one_that_is_gone_are_told_apart() -> None:
    async with emulator() as meta:
        control = Control(meta.url)
        with pytest.raises(NotThere):
            await control.call_of("person_1", "1", "wacid.of.an/earlier+one=")
        assert await control.call_of("person_1", "1", None) is None
    with pytest.raises(EmulatorGone) as gone:
        await control.state()
    assert not isinstance(gone.value, NotThere)
    await control.aclose()


async def test_what_a_page_could_not_write_is_shown_as_a_replacement() -> None:
    """Meta may send half of a character; what is sent to a browser holds none."""
    async with emulator() as meta:
        control = Control(meta.url)
        person = await meta.person("Ann", "15551230000")
        content = json.dumps({"phone_number_id": meta.number, "text": {"body": "Hi \ud800"}})
        headers = {"content-type": "application/json"}
        await meta.http.post(f"/control/people/{person.person_id}/messages", content=content, headers=headers)
        [message] = (await control.chat(person.person_id, meta.number))["messages"]
        assert message["text"]["body"] == "Hi \ufffd"
        assert orjson.dumps(message)
        await control.aclose()


async def test_who_dials_twice_is_told_why_not_in_a_sentence() -> None:
    async with emulator() as meta:
        control = Control(meta.url)
        ann = (await control.add_person("Ann"))["person_id"]
        await control.dial(ann, meta.number)
        with pytest.raises(EmulatorGone, match=r"^Another call is under way on this phone: it must end first\.$"):
            await control.dial(ann, meta.number)
        await control.aclose()
