"""The commands of docs/emulator.md, carried out in their order by an emulator."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

from support.meta import Emulator, emulator_here

DOCUMENT = Path(__file__).parents[3] / "docs" / "emulator.md"
SERVER = "localhost:8090"


def commands() -> list[list[str]]:
    """The words of each ``curl``."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    words = shlex.split("\n".join(blocks).replace("\\\n", " "), comments=True)
    begins = [place for place, word in enumerate(words) if word == "curl"]
    return [words[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True)]


async def carry_out(command: list[str], emulator: Emulator) -> str:
    """The path of the command, once the emulator has taken it."""
    options = dict(pairwise(command))
    [address] = (word for word in command if word.startswith(SERVER))
    path = address.removeprefix(SERVER).replace("$PHONE_NUMBER_ID", emulator.number)
    headers = dict(word.split(": ") for word in command if re.match("(authorization|content-type): ", word))
    if "authorization" in headers:
        headers["authorization"] = headers["authorization"].replace("$TOKEN", emulator.business["token"])
    body = options.get("-d", "").replace('"..."', f'"{emulator.number}"')
    answer = await emulator.http.request("POST", path, headers=headers, content=body)
    assert answer.is_success, (command, answer.text)
    return path


async def test_the_commands_work() -> None:
    asked = commands()
    assert len(asked) >= 8
    async with emulator_here() as emulator:
        done = [
            await carry_out(command, emulator)
            for command in asked
            if "$CALL_ID" not in str(command)  # a message that is left after a call which the business has refused
        ]
        assert "/control/people/person_1/calls" in done
        told = await emulator.graph("GET", f"{emulator.number}/call_permissions?user_wa_id=15550100001")
    assert told["permission"]["status"] == "permanent"
