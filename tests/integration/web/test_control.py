"""The emulator as the phone page asks it."""

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
