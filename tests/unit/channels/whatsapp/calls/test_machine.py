"""The life of a call, by example and by properties over every order of events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.channels.whatsapp.calls.events import (
    Answered,
    Asked,
    AskMeta,
    AskPerson,
    Closing,
    Command,
    Connect,
    Declined,
    Done,
    Finish,
    Happening,
    HungUp,
    MediaLost,
    MediaUp,
    NotAsked,
    NotPrepared,
    Offered,
    Orphaned,
    PermissionKnown,
    PickedUp,
    Post,
    Prepare,
    Prepared,
    Refused,
    Replied,
    Speak,
    Start,
    Stop,
    Terminated,
    Timer,
    TimeUp,
)
from greenline.channels.whatsapp.calls.machine import DECLINED, Call, Phase, begin_outbound, step
from greenline.channels.whatsapp.calls.run import GOODBYE_SECONDS, HANG_UP_SECONDS, MEDIA_SECONDS, REDIAL_SECONDS


def run(call: Call, *events: Happening) -> tuple[Call, list[Command]]:
    """The call after ``events``, and the commands of the last one."""
    commands: tuple[Command, ...] = ()
    for event in events:
        call, commands = step(call, event)
    return call, list(commands)


def inbound(*events: Happening) -> tuple[Call, list[Command]]:
    return run(Call("inbound", wacid="wacid.1"), *events)


def outbound(*events: Happening) -> tuple[Call, list[Command]]:
    call, commands = begin_outbound(Call("outbound"))
    assert commands == (AskMeta(),)
    return run(call, *events)


CONNECTING = (Offered("offer"), Prepared("ours"), Done("pre_accept"))
ACTIVE = (*CONNECTING, MediaUp(), Done("accept"))
DIALED = (PermissionKnown(may_call=True, may_ask=True), Prepared("ours"))
RINGING = (*DIALED, Done("connect", "wacid.2"))


def test_a_person_calls_and_is_answered() -> None:
    call = Call("inbound", wacid="wacid.1")
    said: list[Command] = []
    for event in ACTIVE:
        call, commands = step(call, event)
        said.extend(commands)
    assert said == [
        Prepare("offer"),
        Post("pre_accept", "ours"),
        Start(Timer.MEDIA),
        Connect(),
        Stop(Timer.MEDIA),
        Post("accept", "ours"),
        Speak(),
    ]


def test_the_person_hangs_up() -> None:
    call, commands = inbound(*ACTIVE, Terminated(picked_up=True))
    assert call.phase is Phase.ENDED
    assert [command.outcome.result for command in commands if isinstance(command, Finish)] == ["answered"]


def test_the_agent_hangs_up() -> None:
    call, commands = inbound(*ACTIVE, HungUp("end_call tool was called"))
    assert commands == [Start(Timer.HANG_UP), Post("terminate")]
    call, commands = run(call, Done("terminate"))
    assert call.outcome is not None
    assert (call.outcome.result, call.outcome.reason) == ("answered", "end_call tool was called")
    assert commands == [Finish(call.outcome)]


@pytest.mark.parametrize("end", [(HungUp("a beep"), Done("terminate")), (Terminated(picked_up=True),)])
def test_a_call_that_a_machine_took_is_told_from_an_answered_one(end: tuple[Happening, ...]) -> None:
    call, _ = outbound(*RINGING, Answered("theirs"), MediaUp(), PickedUp())
    assert call.phase is Phase.ACTIVE
    call, _ = run(replace(call, voicemail=True), *end)
    assert call.outcome is not None
    assert (call.phase, call.outcome.result) == (Phase.ENDED, "voicemail")


def test_over_capacity_is_rejected_at_once() -> None:
    call, commands = inbound(Offered("offer", refusal="no room"))
    assert commands == [Start(Timer.HANG_UP), Post("reject")]
    call, _ = run(call, Refused("reject", "no", 100))
    assert (call.phase, call.owes) == (Phase.ENDED, None)


@pytest.mark.parametrize(
    "answer",
    [Refused("terminate", "later", 4, passing=True), Refused("terminate", "?", unknown=True), TimeUp(Timer.HANG_UP)],
)
def test_what_meta_has_not_taken_of_the_end_is_owed(answer: Happening) -> None:
    call, _ = inbound(*ACTIVE, HungUp("bye"), answer)
    assert (call.phase, call.owes) == (Phase.ENDED, "terminate")


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ((Offered("offer"), NotPrepared("bad description")), "reject"),
        ((Offered("offer"), Prepared("ours"), Refused("pre_accept", "SDP invalid", 100)), "reject"),
        ((*CONNECTING, TimeUp(Timer.MEDIA)), "reject"),
        ((*CONNECTING, MediaLost("failed")), "reject"),
        ((*CONNECTING, MediaUp(), Refused("accept", "no", 100)), "reject"),
        ((*CONNECTING, MediaUp(), Refused("accept", "timed out", unknown=True)), "terminate"),
        ((*CONNECTING, MediaUp(), Orphaned()), "terminate"),
        ((*CONNECTING, Orphaned()), "reject"),
        ((*ACTIVE, Orphaned()), "terminate"),
        ((*ACTIVE, Closing()), "terminate"),
        ((*ACTIVE, MediaLost("failed"), TimeUp(Timer.GOODBYE)), "terminate"),
    ],
)
def test_meta_is_told_of_the_end_as_it_must_be(events: tuple[Happening, ...], last: str) -> None:
    _, commands = inbound(*events)
    assert [command.action for command in commands if isinstance(command, Post)] == [last]


def test_an_accept_in_the_air_is_waited_for_before_the_call_is_ended() -> None:
    call, commands = inbound(*CONNECTING, MediaUp(), Closing())
    assert commands == [Start(Timer.HANG_UP)]
    _, commands = run(call, Done("accept"))
    assert commands == [Post("terminate")]
    _, commands = run(call, Refused("accept", "no"))
    assert commands == [Post("reject")]
    left, _ = run(call, TimeUp(Timer.HANG_UP))
    assert (left.phase, left.owes) == (Phase.ENDED, "terminate")


@pytest.mark.parametrize(
    "doubt",
    [
        (Refused("accept", "timed out", unknown=True),),
        (Closing(), Refused("accept", "timed out", unknown=True)),
        (Orphaned(),),
    ],
)
def test_a_phone_that_rings_on_since_its_accept_was_not_carried_out_is_rejected(doubt: tuple[Happening, ...]) -> None:
    call, commands = inbound(*CONNECTING, MediaUp(), *doubt)
    assert Post("terminate") in commands
    call, _ = run(call, Refused("terminate", "no such call", 100))
    assert (call.phase, call.owes) == (Phase.ENDED, "reject")


def test_lost_media_waits_for_metas_word() -> None:
    call, commands = inbound(*ACTIVE, MediaLost("closed"))
    assert commands == [Start(Timer.GOODBYE)]
    call, _ = run(call, Terminated(picked_up=True))
    assert call.outcome is not None
    assert (call.outcome.result, call.outcome.failed) == ("answered", False)


@pytest.mark.parametrize(
    ("word", "result"),
    [
        (Declined(), "busy"),
        (Terminated(picked_up=False), "no_answer"),
        (Terminated(picked_up=True), "answered"),
        (TimeUp(Timer.GOODBYE), "failed"),
    ],
)
@pytest.mark.parametrize("media", [(MediaUp(), MediaLost("closed")), (MediaLost("closed"),)])
def test_a_person_who_declines_closes_the_media_before_metas_word(
    media: tuple[Happening, ...], word: Happening, result: str
) -> None:
    call, commands = outbound(*RINGING, Answered("theirs"), *media)
    assert Start(Timer.GOODBYE) in commands
    call, commands = run(call, word)
    assert call.outcome is not None
    assert call.outcome.result == result
    leaving = [Start(Timer.HANG_UP), Post("terminate")]
    assert commands == (leaving if result == "failed" else [Finish(call.outcome)])


def test_nothing_is_said_to_media_that_are_gone() -> None:
    _, commands = outbound(*RINGING, Answered("theirs"), MediaUp(), MediaLost("closed"), PickedUp())
    assert Speak() not in commands


def test_a_call_that_ends_before_it_was_accepted_is_missed() -> None:
    call, _ = inbound(*CONNECTING, Terminated(picked_up=False))
    assert call.outcome is not None
    assert call.outcome.result == "no_answer"


def test_we_call_a_person_who_picks_up() -> None:
    call, commands = outbound(*RINGING)
    assert (call.wacid, commands) == ("wacid.2", [Start(Timer.RING)])
    call, commands = run(call, Answered("theirs"))
    assert commands == [Start(Timer.MEDIA), Connect("theirs")]
    assert run(call, Answered("theirs"))[1] == [], "a repeated answer is not applied again"
    call, commands = run(call, MediaUp())
    assert commands == [Stop(Timer.MEDIA)]
    assert Speak() not in commands
    call, commands = run(call, PickedUp())
    assert commands == [Stop(Timer.RING), Speak()]
    assert run(call, PickedUp())[1] == []


def test_a_pick_up_before_the_media_starts_the_greeting_when_the_media_is_there() -> None:
    call, commands = outbound(*RINGING, PickedUp())
    assert commands == [Stop(Timer.RING), Start(Timer.MEDIA)]
    _, commands = run(call, Answered("theirs"), MediaUp())
    assert commands == [Stop(Timer.MEDIA), Speak()]


def test_webhooks_that_overtake_the_answer_to_connect_are_kept() -> None:
    call, commands = outbound(*DIALED, Answered("theirs"), MediaUp(), PickedUp())
    assert Speak() not in commands
    _, commands = run(call, Done("connect", "wacid.2"))
    assert commands[-1] == Speak()


@pytest.mark.parametrize(
    ("events", "result", "failed"),
    [
        ((*RINGING, Declined()), "busy", False),
        ((*RINGING, Terminated(picked_up=False)), "no_answer", False),
        ((*RINGING, Terminated(picked_up=False, failed=True)), "failed", True),
        ((*RINGING, TimeUp(Timer.RING), Done("terminate")), "no_answer", False),
        ((*RINGING, PickedUp(), TimeUp(Timer.MEDIA), Done("terminate")), "answered", True),
        ((*RINGING, PickedUp(), Orphaned(), Done("terminate")), "answered", True),
        ((*RINGING, Answered("x"), TimeUp(Timer.MEDIA), Done("terminate")), "failed", True),
        ((*DIALED, Refused("connect", "not enabled", 138000)), "failed", True),
        ((*RINGING, Terminated(picked_up=True)), "answered", False),
    ],
)
def test_every_end_of_a_call_of_ours_has_its_result(events: tuple[Happening, ...], result: str, failed: bool) -> None:
    call, _ = outbound(*events)
    assert call.phase is Phase.ENDED
    assert call.outcome is not None
    assert (call.outcome.result, call.outcome.failed) == (result, failed)


def test_who_was_never_asked_is_asked_and_called_when_they_agree() -> None:
    call, commands = outbound(PermissionKnown(may_call=False, may_ask=True))
    assert commands == [AskPerson()]
    call, commands = run(call, Asked())
    assert (commands, call.permission.state) == ([Start(Timer.PERMISSION)], "sent")
    call, commands = run(call, Replied(granted=True, permanent=True))
    assert commands == [Stop(Timer.PERMISSION), Prepare()]
    assert (call.permission.state, call.permission.permanent) == ("accepted", True)


def test_who_declines_is_not_called() -> None:
    call, _ = outbound(PermissionKnown(may_call=False, may_ask=True), Asked(), Replied(granted=False))
    assert call.outcome is not None
    assert (call.outcome.reason, call.outcome.failed, call.permission.state) == (DECLINED, True, "declined")


def test_a_call_of_the_person_grants_the_permission() -> None:
    call, _ = outbound(PermissionKnown(may_call=False, may_ask=True), Asked(), Replied(granted=True, automatic=True))
    assert call.permission.by_users_call is True
    assert call.phase is Phase.DIALING


def test_a_permission_that_comes_while_meta_is_asked_is_used() -> None:
    call, commands = outbound(Replied(granted=True, permanent=True))
    assert commands == [Stop(Timer.PERMISSION), Prepare()]
    assert call.permission.state == "accepted"


def test_an_old_permission_that_meta_withdraws_leaves_the_request_open() -> None:
    asked = (PermissionKnown(may_call=False, may_ask=True), Asked())
    call, _ = outbound(*asked, Replied(granted=False, automatic=True))
    assert (call.phase, call.permission.state) == (Phase.WAITING, "sent")


@pytest.mark.parametrize(
    "events",
    [
        (PermissionKnown(may_call=False, may_ask=False, granted=False, reason="limit"),),
        (PermissionKnown(may_call=False, may_ask=True), NotAsked("limit", 138009)),
        (PermissionKnown(may_call=False, may_ask=True), Asked(), NotAsked("undeliverable", 131026)),
    ],
)
def test_a_request_that_can_not_be_sent_is_blocked(events: tuple[Happening, ...]) -> None:
    call, _ = outbound(*events)
    assert (call.phase, call.permission.state) == (Phase.ENDED, "blocked")


@pytest.mark.parametrize("granted", [True, None])
def test_where_nobody_was_to_be_asked_nothing_is_blocked(granted: bool | None) -> None:
    known = PermissionKnown(may_call=False, may_ask=False, granted=granted, reason="limit of calls", code=4)
    call, _ = outbound(known)
    assert (call.phase, call.permission.state) == (Phase.ENDED, None)
    assert call.outcome is not None
    assert (call.outcome.result, call.outcome.reason, call.outcome.code) == ("failed", "limit of calls", 4)


def test_a_request_without_an_answer_expires() -> None:
    call, _ = outbound(PermissionKnown(may_call=False, may_ask=True), Asked(), TimeUp(Timer.PERMISSION))
    assert call.phase is Phase.ENDED


def test_a_permission_that_expired_between_question_and_call_is_asked_for() -> None:
    _, commands = outbound(*DIALED, Refused("connect", "no permission", 138006))
    assert commands == [AskPerson()]


def test_a_person_in_another_call_is_called_again_a_few_times() -> None:
    call, commands = outbound(*DIALED)
    tries = 0
    while call.phase is not Phase.ENDED:
        call, commands = run(call, Refused("connect", "busy", 138003))
        if commands == [Start(Timer.REDIAL)]:
            tries += 1
            call, commands = run(call, TimeUp(Timer.REDIAL))
            assert commands == [Post("connect", "ours")]
    assert tries == 4
    assert call.outcome is not None
    assert call.outcome.result == "busy"


@pytest.mark.parametrize("event", [Closing(), Orphaned()])
def test_a_call_that_waits_for_a_person_in_another_one_is_made_by_the_next_process(event: Happening) -> None:
    call, commands = outbound(*DIALED, Refused("connect", "busy", 138003), event)
    assert (call.phase, commands) == (Phase.CHECKING, [Stop(Timer.REDIAL)])
    _, begun = begin_outbound(call)
    call, commands = run(call, PermissionKnown(may_call=True, may_ask=True))
    assert (begun, commands) == ((AskMeta(),), [Prepare()])


def test_leaving_while_connect_is_in_the_air_ends_the_call_that_it_makes() -> None:
    call, commands = outbound(*DIALED, Closing())
    assert commands == [Start(Timer.HANG_UP)]
    _, commands = run(call, Done("connect", "wacid.2"))
    assert commands == [Post("terminate")]
    call, _ = run(call, Refused("connect", "no"))
    assert call.phase is Phase.ENDED


# Properties


@dataclass
class World:
    """Meta, media, agent and clocks, as far as a call meets them; everything may take any time."""

    call: Call
    now: float = 0.0
    open: list[tuple[float, Happening]] = field(default_factory=list)
    """What is bound to come, and when; timers among it."""
    history: list[tuple[Happening, tuple[Command, ...]]] = field(default_factory=list)
    alive_at_meta: bool = False
    over_at_meta: bool = False
    decided_at: float | None = None
    ended_at: float | None = None
    handed_on: bool = False
    """Whether another process begins it anew."""

    def feed(self, event: Happening) -> None:
        # Its run is over: a `connect` in the air is found by its webhooks.
        if self.call.phase is Phase.ENDED or self.handed_on:
            return
        match event:
            case Done(action="connect"):
                self.alive_at_meta = not self.over_at_meta
            case Terminated() | Declined() | Done(action="reject" | "terminate"):
                self.alive_at_meta, self.over_at_meta = False, True
            case Refused(action="reject" | "terminate", unknown=False, passing=False):
                self.alive_at_meta, self.over_at_meta = False, True
            case Orphaned():  # what was in the air finds nobody; the webhooks of a call that nobody made end it
                self.open = [
                    one for one in self.open if not (isinstance(one[1], Done) and one[1].action == "connect")
                ]
        self.call, commands = step(self.call, event)
        self.record(event, commands)
        self.handed_on = isinstance(event, Closing | Orphaned) and self.call.phase is Phase.CHECKING
        if self.call.outcome is not None and self.decided_at is None:
            self.decided_at = self.now
        if self.call.phase is Phase.ENDED:
            self.ended_at = self.now

    def record(self, event: Happening, commands: tuple[Command, ...]) -> None:
        self.history.append((event, commands))
        for command in commands:
            if isinstance(command, Start | Stop):
                self.open = [one for one in self.open if one[1] != TimeUp(command.timer)]

    def answers(self, command: Command) -> list[Happening]:
        """What may come of a command; one of them does."""
        match command:
            case Prepare():
                return [Prepared("ours"), NotPrepared("broken")]
            case Post(action="connect"):
                return [
                    Done("connect", "wacid.2"),
                    Refused("connect", "no", 138000),
                    Refused("connect", "no permission", 138006),
                    Refused("connect", "busy", 138003),
                ]
            case Post(action=action):
                return [
                    Done(action),
                    Refused(action, "no", 100),
                    Refused(action, "timed out", unknown=True),
                    Refused(action, "too many", 130429, passing=True),
                ]
            case Connect():
                return [MediaUp(), MediaLost("failed")]
            case Start(timer=timer):
                return [TimeUp(timer)]
            case Speak():
                return [HungUp("bye"), HungUp("broken", failed=True), MediaLost("closed"), Closing()]
            case AskMeta():
                return [
                    PermissionKnown(may_call=yes, may_ask=ask, granted=granted)
                    for yes, ask, granted in (
                        (False, True, False),
                        (True, True, True),
                        (False, False, False),
                        (False, False, None),
                    )
                ]
            case AskPerson():
                return [Asked(), NotAsked("limit", 138009)]
        return []


TIMES = st.sampled_from([0.0, 0.1, 0.4, 0.9, 1.0, 1.5, 3.0, 8.0, 12.0, 70.0])
"""Seconds: how long Meta, the media and the agent take, and when anything else happens."""
SECONDS = {
    Timer.MEDIA: MEDIA_SECONDS,
    Timer.RING: 60.0,
    Timer.GOODBYE: GOODBYE_SECONDS,
    Timer.HANG_UP: HANG_UP_SECONDS,
    Timer.REDIAL: REDIAL_SECONDS,
    Timer.PERMISSION: 7 * 86_400.0,
}
CHAOS = st.sampled_from(
    [
        Offered("again"),
        Answered("theirs"),
        PickedUp(),
        Declined(),
        MediaUp(),
        MediaLost("failed"),
        Terminated(picked_up=False),
        Terminated(picked_up=True),
        Terminated(picked_up=False, failed=True),
        HungUp("bye"),
        Closing(),
        Orphaned(),
        Replied(granted=True),
        Replied(granted=False),
        NotAsked("late", 131026),
    ]
)


@settings(max_examples=600)
@given(data=st.data(), direction=st.sampled_from(["inbound", "outbound"]))
def test_every_call_ends_once_and_keeps_its_rules(data: st.DataObject, direction: str) -> None:
    world = play(data, direction)
    check(world)


def play(data: st.DataObject, direction: str) -> World:
    if direction == "inbound":
        world = World(Call("inbound", wacid="wacid.1"), open=[(0.0, Offered("offer"))], alive_at_meta=True)
    else:
        call, commands = begin_outbound(Call("outbound"))
        world = World(call)
        world.open.append((0.0, data.draw(st.sampled_from(world.answers(commands[0])))))
    world.open += data.draw(st.lists(st.tuples(TIMES, CHAOS), max_size=5))
    while world.open:
        coming = min(world.open, key=lambda one: one[0])
        world.open.remove(coming)
        world.now = coming[0]
        before = len(world.history)
        world.feed(coming[1])
        for _, commands in world.history[before:]:
            for command in commands:
                if options := world.answers(command):
                    answer = data.draw(st.sampled_from(options))
                    takes = SECONDS[command.timer] if isinstance(command, Start) else data.draw(TIMES)
                    world.open.append((world.now + takes, answer))
    return world


def check(world: World) -> None:
    commands = [command for _, some in world.history for command in some]
    story = "\n".join(f"{event} -> {some}" for event, some in world.history)
    finishes = [command for command in commands if isinstance(command, Finish)]
    if world.handed_on:
        assert not finishes, story
        assert not world.alive_at_meta, story
        return
    assert world.call.phase is Phase.ENDED, story
    assert len(finishes) == 1, story
    assert commands[-1] is finishes[0], story
    assert commands.count(Speak()) <= 1, story
    assert not world.alive_at_meta or world.call.owes, f"the call is left alive at Meta:\n{story}"
    assert world.ended_at is not None, story
    assert world.decided_at is not None, story
    assert world.ended_at - world.decided_at <= 2.0, story
    descriptions = {command.sdp for command in commands if isinstance(command, Post) and command.sdp}
    assert len(descriptions) <= 1, story
    if Speak() in commands:
        seen: list[Happening] = []
        for event, some in world.history:
            seen.append(event)
            if Speak() in some:
                break
        assert Done("accept") in seen or (PickedUp() in seen and Done("connect", "wacid.2") in seen), story
        assert MediaUp() in seen, story
