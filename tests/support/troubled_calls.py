"""Calls in which something goes wrong: what happens in one, what Meta refuses meanwhile, and when it must be over."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from greenline.channels.orders import Order, place
from greenline.channels.whatsapp.calls.events import Action
from greenline.channels.whatsapp.calls.machine import REDIALS
from greenline.channels.whatsapp.calls.outbound import OutboundCall
from greenline.channels.whatsapp.calls.run import MEDIA_SECONDS, REDIAL_SECONDS
from support.call_scenarios import ANSWERS, OF_HANG_UPS, Moment, Scenario
from support.calling import CallChannel, ScriptedVoice
from support.rows import NUMBER, WORKSPACE
from support.rtc_peer import RtcPeer
from support.scripted import Answer
from support.wait import eventually, until

IN_TIME: Final = 2.0
"""Within so many seconds of the clock a call is over, once what ends it has happened."""


@dataclass
class TroubledCall:
    """A call that a `Scenario` happens to; ``chance`` decides what is said twice, and how Meta takes the hang-up."""

    channel: CallChannel
    number: int
    scenario: Scenario
    chance: random.Random
    within: float = IN_TIME
    """Seconds of the clock, from the end of `live`, after which the call is over."""
    over_at_meta: bool = False
    asked_for: list[dict[str, Any]] = field(default_factory=list)
    carried_out: list[str] = field(default_factory=list)
    _refusals: dict[str, list[str]] = field(default_factory=dict)
    _conversation_id: str = ""
    _peer: RtcPeer = field(default_factory=RtcPeer)

    def __post_init__(self) -> None:
        # Of a call that was over when Meta told of it, nothing but the request itself limits the wait for an answer.
        is_late = self.scenario.refuses == ("connect", "cut")
        hang_up = self.chance.choice([one for one in OF_HANG_UPS if not (is_late and one == "silent")])
        self._refusals = {name: [hang_up] if hang_up else [] for name in ("reject", "terminate")}
        if self.scenario.refuses is not None:
            action, how = self.scenario.refuses
            self._refusals[action] = [how] * (1 + REDIALS if how == "in_a_call" else 1)

    @property
    def person(self) -> str:
        """The number that an outbound call goes to."""
        return f"1555{self.number:07}"

    @property
    def wacid(self) -> str:
        """Meta's id of the call."""
        if self.scenario.direction == "inbound":
            return f"wacid.IN{self.number}"
        return next((wacid for wacid, to in self.channel.meta.made.items() if to == f"+{self.person}"), "")

    def answer(self, body: dict[str, Any]) -> Answer | None:
        """Meta's answer to an action on this call; None: it is carried out."""
        action = body["action"]
        self.asked_for.append(body)
        refusals = self._refusals.get(action)
        refusal = refusals.pop(0) if refusals else None
        if action in ("reject", "terminate") and refusal in (None, "wrong"):
            self.over_at_meta = True  # what Meta refuses for good it does not hold for alive
        if refusal is None:
            self.carried_out.append(action)
            return None
        return ANSWERS[refusal]

    async def live(self) -> None:
        """Return when that which ends the call has happened."""
        if self.scenario.direction == "inbound":
            await self._answered_by_us()
        else:
            await self._made_by_us()

    async def row(self) -> dict[str, Any]:
        """The call as it is written down."""
        inbound = self.scenario.direction == "inbound"
        key, value = ("wacid", self.wacid) if inbound else ("conversation_id", self._conversation_id)
        found = await self.channel.pool.fetchrow(f"select * from whatsapp_call where {key} = $1", value)
        return dict(found or {})

    async def ended(self) -> bool:
        """Whether it has reached its last phase."""
        return (await self.row()).get("phase") == "ended"

    async def close(self) -> None:
        """The person's side is gone."""
        await self._peer.close()

    async def check(self, decided_at: datetime) -> tuple[str, str | None]:
        """What holds of every call that has ended; gives its result and reason."""
        row = await self.row()
        assert row["result"] in self.scenario.results, (self.scenario, row["result"], row["reason"])
        assert (row["ended_at"] - decided_at).total_seconds() <= self.within, self.scenario
        assert self.over_at_meta or not self.wacid, f"{self.scenario}: Meta holds it for alive"
        assert row["hang_up"] is None, self.scenario
        for once in ("pre_accept", "accept", "reject", "terminate"):
            assert self.carried_out.count(once) <= 1, (self.scenario, self.carried_out)
        described = {body["session"]["sdp"] for body in self.asked_for if body["action"] in ("pre_accept", "accept")}
        assert len(described) <= 1, f"{self.scenario}: accepted with another description"
        if self._conversation_id:
            kinds = [event.kind for event in await self.channel.journal(self._conversation_id)]
            assert kinds.count("call_ended") == 1, (self.scenario, kinds)
        return row["result"], row["reason"]

    async def say_again(self) -> None:
        """Meta repeats itself after the end."""
        if self.wacid:
            await self.channel.tell_call("connect", self.wacid, session={"sdp_type": "answer", "sdp": "v=0"})
            await self.channel.tell_call("terminate", self.wacid, status="COMPLETED", again=True)

    # A person calls

    async def _answered_by_us(self) -> None:
        fate = self.scenario.fate
        if fate == "agent_refuses":
            self.channel.agents.unlucky.add(self.wacid)
        if self._at("first"):
            await self._strike()
        sdp = "v=0" if fate == "unusable" else await self._peer.offer()
        for _ in range(self.chance.randint(1, 2)):
            await self.channel.ring(sdp, self.wacid, repeated=self.chance.random())
        if self._at("first") or fate in ("unusable", "agent_refuses"):
            return
        if self._at("offered") and fate != "refused":
            await self._strike()
            return
        answer = (await self._asked("pre_accept"))["session"]["sdp"]
        if self._at("offered"):
            return
        if fate == "broken":
            (await self._voice()).fail = True
        if self._at("pre_accepted") and fate != "refused":
            await self._strike()
            return
        await self._peer.apply_answer(answer)
        await self._asked("accept")
        await self._until_its_end(at_once=self._at("accepted"))

    # The business calls

    async def _made_by_us(self) -> None:
        request = OutboundCall(NUMBER, self.person, self.channel.agent_id, "may_we_call", "en")
        self._conversation_id = await self.channel.starter.start(WORKSPACE, request)
        connect = await self._asked("connect")
        if self.scenario.fate == "refused":
            await self._not_made(connect)
            return
        if self.scenario.fate.startswith("asked_") and not await self._granted():
            return
        connect = await self._asked("connect", 1 + (self.scenario.fate == "asked_granted"))
        await eventually(lambda: self.wacid)
        if self._at("dialed"):
            await self._strike()
            return
        await until(self._known)  # what is told sooner waits for the clock
        if self.scenario.fate == "vanished" and self._at("picked_up"):  # Meta's relay never answers
            await self.channel.tell_status("ACCEPTED", self.wacid)
            self.within = MEDIA_SECONDS + IN_TIME
            return
        await self._relayed(connect)
        if self._at("ringing"):
            await self._strike()
            return
        if self.scenario.fate == "broken":
            (await self._voice()).fail = True
        await self.channel.tell_status("ACCEPTED", self.wacid)
        await self._until_its_end()

    async def _known(self) -> bool:
        return bool((await self.row())["wacid"])

    async def _not_made(self, connect: dict[str, Any]) -> None:
        assert self.scenario.refuses is not None
        match self.scenario.refuses[1]:
            case "in_a_call":
                self.within = REDIALS * REDIAL_SECONDS + IN_TIME
            case "cut":  # it was made, and the answer lost: Meta's news of it are the first that we hear
                await until(self.ended)
                wacid = f"wacid.LOST{self.number}"
                self.channel.meta.made[wacid] = f"+{self.person}"
                callback = connect["biz_opaque_callback_data"]
                await self.channel.tell_status("RINGING", wacid, biz_opaque_callback_data=callback)

                async def dealt_with() -> bool:
                    return bool((await self.row())["wacid"] == wacid)

                await until(dealt_with)

    async def _granted(self) -> bool:
        async def waits() -> bool:
            return (await self.row()).get("phase") == "waiting"

        await until(waits)
        granted = self.scenario.fate == "asked_granted"
        if self.scenario.fate == "asked_unanswered":
            self.within = self.channel.settings.call_permission_days * 86_400 + IN_TIME
            return False
        reply = {"response": "accept" if granted else "reject", "response_source": "user_action"}
        said = {"type": "call_permission_reply", "call_permission_reply": reply}
        await self.channel.hear("", self.person, type="interactive", interactive=said)
        return granted

    async def _relayed(self, connect: dict[str, Any]) -> None:
        sdp = await self._peer.answer(connect["session"]["sdp"], setup="active")
        session = {"sdp_type": "answer", "sdp": sdp}
        for _ in range(self.chance.randint(1, 2)):
            await self.channel.tell_call(
                "connect",
                self.wacid,
                direction="BUSINESS_INITIATED",
                session=session,
                repeated=self.chance.random(),
            )
        await self.channel.tell_status("RINGING", self.wacid)
        await eventually(lambda: self._peer.connected)

    # Both

    async def _until_its_end(self, *, at_once: bool = False) -> None:
        if self.scenario.fate == "refused":
            return
        if self.scenario.fate == "broken":
            await self._asked("terminate")
            return
        if not at_once:
            voice = await self._voice()
            await eventually(lambda: voice.running)
        await self._strike()

    async def _strike(self) -> None:
        """Let that happen which ends the call."""
        match self.scenario.fate:
            case "terminated" | "asked_granted":
                self.over_at_meta = True
                talked = {"start_time": "1", "duration": 1} if self._at("active") else {}
                for _ in range(self.chance.randint(1, 3)):
                    more = {**talked, "repeated": self.chance.random()}
                    await self.channel.tell_call("terminate", self.wacid, status="COMPLETED", **more)
            case "declined":
                self.over_at_meta = True
                await self.channel.tell_status("REJECTED", self.wacid)
            case "vanished":
                await self._peer.close()
                if self._at("pre_accepted"):  # it was never there
                    self.within = MEDIA_SECONDS + IN_TIME
            case "hung_up":
                (await self._voice()).end("All was said.")
                await self._asked("terminate")
            case "cut":
                task = (await self._voice()).task
                assert task is not None
                task.cancel()
            case "unanswered":
                self.within = self.channel.settings.call_ring_seconds + IN_TIME
            case "ordered":
                clock = self.channel.clock
                await place(self.channel.pool, clock, WORKSPACE, self._conversation_id, Order("end_call"))

    def _at(self, moment: Moment) -> bool:
        return self.scenario.moment == moment

    async def _asked(self, action: Action, count: int = 1) -> dict[str, Any]:
        """What Meta was asked, when it was asked for the ``count``th time; it may have refused."""

        def asked() -> list[dict[str, Any]]:
            return [body for body in self.asked_for if body["action"] == action]

        await eventually(lambda: len(asked()) >= count)
        return asked()[count - 1]

    async def _voice(self) -> ScriptedVoice:
        async def prepared() -> ScriptedVoice | None:
            held = (await self.row()).get("conversation_id")
            voices = reversed(self.channel.agents.voices)  # a call that is made again has one more
            return next((voice for voice in voices if voice.conversation_id == held), None)

        voice = await until(prepared)
        assert voice is not None
        return voice
