"""A person who keeps to a script in a call: says, waits, expects, hangs up. The result says where it went wrong."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field, field_validator, model_validator

from greenline.emulator.calls.call import Call
from greenline.emulator.calls.keys import KEYS
from greenline.emulator.calls.peer import decode_sound

_LOOK_SECONDS: Final = 0.02
_QUIET_SECONDS: Final = 0.3
"""So long must the business be silent to count as silent."""


class _Step(BaseModel, extra="forbid"):
    """A step of a script."""


class Say(_Step):
    """The person speaks. ``data_base64``: a sound file of any usual format; ``wait``: go on when it was said."""

    do: Literal["say"]
    data_base64: str
    wait: bool = True

    @field_validator("data_base64")
    @classmethod
    def _holds_sound(cls, value: str) -> str:
        try:
            decode_sound(base64.b64decode(value, validate=True))
        except binascii.Error as error:
            raise ValueError("not base64") from error
        return value


class Pause(_Step):
    """The person waits."""

    do: Literal["pause"]
    seconds: float = Field(gt=0, le=600)


class Press(_Step):
    """The person presses keys of the telephone; ``wait``: go on when they were sent."""

    do: Literal["press"]
    keys: str = Field(pattern=f"^[{re.escape(KEYS)}]{{1,60}}$")
    wait: bool = True


class HangUp(_Step):
    """The person hangs up."""

    do: Literal["hang_up"]


class Expect(_Step):
    """What the person expects within ``seconds``.

    To hear the business (``voice``), that it falls silent (``silence``, as on an interruption), that it presses
    ``keys`` after those that were expected before, that the call ends.
    """

    do: Literal["expect"]
    what: Literal["voice", "silence", "keys", "end"]
    seconds: float = Field(10.0, gt=0, le=600)
    keys: str = Field("", pattern=f"^[{re.escape(KEYS)}]{{0,60}}$")

    @model_validator(mode="after")
    def _names_keys(self) -> Expect:
        if (self.what == "keys") != bool(self.keys):
            raise ValueError("keys are given if, and only if, keys are expected")
        return self


Step: TypeAlias = Annotated[Say | Press | Pause | HangUp | Expect, Field(discriminator="do")]


class Script(BaseModel, extra="forbid"):
    """The steps of a person from the acceptance of a call on, one after the other."""

    steps: list[Step] = Field(min_length=1, max_length=200)


class Play:
    """One call's script while it runs. ``state``: ``running``, ``passed`` or ``failed``."""

    def __init__(self, call: Call, script: Script, hang_up: Callable[[Call], None]) -> None:
        self._call = call
        self._script = script
        self._hang_up = hang_up
        self.state: Literal["running", "passed", "failed"] = "running"
        self.step = 0
        self.why = ""
        self._keys_expected = 0
        """Keys of the business that expectations have been met by."""

    def shown(self) -> dict[str, Any]:
        """As the control API shows it. ``step`` counts from 0; ``why`` tells what was expected in vain."""
        return {"state": self.state, "step": self.step, "why": self.why}

    async def run(self) -> None:
        """Keep to the script until its end, or until the first expectation that is not met."""
        await self._until(lambda: self._call.state in ("active", "ended"), 120.0)
        for number, step in enumerate(self._script.steps):
            self.step = number
            why = await self._take(step)
            if why:
                self.state, self.why = "failed", why
                self._call.note("script_failed", step=number, why=why)
                return
        self.state = "passed"
        self._call.note("script_passed")

    async def _take(self, step: Step) -> str:
        """Why the step could not be taken; empty when all is well."""
        if isinstance(step, Expect):
            return await self._expect(step)
        if self._call.state != "active":
            return f"the call is {self._call.state}"
        match step:
            case Say():
                self._call.say(decode_sound(base64.b64decode(step.data_base64)))
                if step.wait:
                    await self._until(lambda: self._call.peer.mouth.done.is_set() or self._over(), 600.0)
            case Press():
                self._call.press(step.keys)
                if step.wait:
                    await self._until(lambda: not self._call.peer.keypad.pressing or self._over(), 600.0)
            case Pause():
                await asyncio.sleep(step.seconds)
            case HangUp():
                self._hang_up(self._call)
        return ""

    async def _expect(self, step: Expect) -> str:
        begun = time.monotonic() - self._call.began
        met = {
            "voice": lambda: self._spoke_since(begun),
            "silence": self._is_silent,
            "keys": lambda: self._new_keys.startswith(step.keys),
            "end": self._over,
        }[step.what]
        if await self._until(met, step.seconds):
            self._keys_expected += len(step.keys)
            return ""
        wanted = {
            "voice": "to hear the business",
            "silence": "the business to fall silent",
            "keys": f"the keys {step.keys}",
            "end": "the call to end",
        }[step.what]
        got = f", and got {self._new_keys or 'none'}" if step.keys else ""
        return f"expected {wanted} within {step.seconds:g} s{got}"

    @property
    def _new_keys(self) -> str:
        return self._call.keys[self._keys_expected :]

    def _over(self) -> bool:
        return self._call.state == "ended"

    def _spoke_since(self, moment: float) -> bool:
        voiced = self._call.voiced
        return bool(voiced) and voiced[-1][1] >= moment

    def _is_silent(self) -> bool:
        voiced = self._call.voiced
        return not voiced or time.monotonic() - self._call.began - voiced[-1][1] >= _QUIET_SECONDS

    @staticmethod
    async def _until(condition: Callable[[], bool], seconds: float) -> bool:
        ends = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= ends:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True
