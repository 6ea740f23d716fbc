"""The life of a call as a pure function: a call and what happened, to the call after it and what is to be done.

Rules that hold whatever happens in whatever order (tested by properties): a call ends once, with `Finish`; nothing
is done after it. Sound is let out once, after Meta's 200 to ``accept`` or the person's pick-up. The description in
``accept`` is that of ``pre_accept``. Meta is told of the end exactly when it can't know: ``reject`` before the call
was accepted, ``terminate`` after it, neither when Meta itself has said that the call is over. What Meta has not taken
of that when the call ends here stays in ``owes``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Literal, TypeAlias

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
    Ending,
    Finish,
    Happening,
    HungUp,
    MediaLost,
    MediaUp,
    NotAsked,
    NotPrepared,
    Offered,
    Orphaned,
    Outcome,
    PermissionKnown,
    PermissionState,
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

NO_PERMISSION: Final = 138006  # Meta: Calling API, errors
ALREADY_IN_CALL: Final = 138003
REDIALS: Final = 4
DECLINED: Final = "User declined the call permission request."  # reference: WhatsApp, outbound call
UNANSWERED: Final = "User did not answer the call permission request."


class Phase(Enum):
    """Where a call is."""

    NEW = "new"
    # A person calls us
    PREPARING = "preparing"
    PRE_ACCEPTING = "pre_accepting"
    CONNECTING = "connecting"
    ACCEPTING = "accepting"
    # We call a person
    CHECKING = "checking"
    ASKING = "asking"
    WAITING = "waiting"
    DIALING = "dialing"
    BUSY = "busy"
    RINGING = "ringing"
    # Both
    ACTIVE = "active"
    LEAVING = "leaving"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Permission:
    """What became of the request to call a person."""

    state: PermissionState | None = None
    permanent: bool | None = None
    by_users_call: bool | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call at one moment. ``sdp`` is our description, ``wacid`` Meta's id of a call that exists there."""

    direction: Literal["inbound", "outbound"]
    phase: Phase = Phase.NEW
    wacid: str | None = None
    sdp: str | None = None
    picked_up: bool = False
    voicemail: bool = False
    """A machine has picked up, as the agent found out."""
    answered: bool = False
    """Meta's relay has answered our offer."""
    media_up: bool = False
    redials: int = 0
    permission: Permission = Permission()
    outcome: Outcome | None = None
    """How it ends, known while Meta is being told of it as well."""
    owes: Ending | None = None
    """What Meta has still to be told, so that it does not hold the call for alive."""


Step: TypeAlias = tuple[Call, tuple[Command, ...]]


def step(call: Call, event: Happening) -> Step:
    """The call after ``event``, and what is to be done. What does not fit the moment changes nothing."""
    if call.phase is Phase.ENDED:
        return call, ()
    match event:
        case Closing() | Orphaned() if call.phase is Phase.BUSY:  # nothing of it is anywhere: the next process calls
            return replace(call, phase=Phase.CHECKING, sdp=None), (Stop(Timer.REDIAL),)
        case Terminated():
            return _end(replace(call, owes=None), _told(call, event))
        case Orphaned():
            return _abandon(call, Outcome("failed", "The process that held the call ended.", failed=True))
        case Closing():
            return _leave(call, Outcome(_so_far(call), "The server is shutting down.", failed=not call.picked_up))
        case HungUp():
            return _leave(call, Outcome(_so_far(call), event.reason, failed=event.failed))
    if call.phase is Phase.LEAVING:
        return _leaving(call, event)
    return _inbound(call, event) if call.direction == "inbound" else _outbound(call, event)


def begin_outbound(call: Call) -> Step:
    """The first step of a call that the business starts."""
    return replace(call, phase=Phase.CHECKING), (AskMeta(),)


def _inbound(call: Call, event: Happening) -> Step:
    match call.phase, event:
        case Phase.NEW, Offered(refusal=str(refusal)):
            return _leave(call, Outcome("busy", refusal, failed=True))
        case Phase.NEW, Offered(sdp=sdp):
            return replace(call, phase=Phase.PREPARING), (Prepare(sdp),)
        case Phase.PREPARING, Prepared(sdp=sdp):
            return replace(call, phase=Phase.PRE_ACCEPTING, sdp=sdp), (Post("pre_accept", sdp),)
        case Phase.PREPARING, NotPrepared(reason=reason):
            return _leave(call, Outcome("failed", reason, failed=True))
        case Phase.PRE_ACCEPTING, Done(action="pre_accept"):
            return replace(call, phase=Phase.CONNECTING), (Start(Timer.MEDIA), Connect())
        case Phase.CONNECTING, MediaUp():
            accepting = replace(call, phase=Phase.ACCEPTING, media_up=True)
            return accepting, (Stop(Timer.MEDIA), Post("accept", call.sdp))
        case Phase.ACCEPTING, Done(action="accept"):
            return _talk(replace(call, picked_up=True))
        case ((Phase.PRE_ACCEPTING | Phase.ACCEPTING), Refused() as refused):
            # An `accept` without an answer may have been carried out: then only `terminate` ends the call.
            unsure = refused.action == "accept" and refused.unknown
            told = replace(call, phase=Phase.CONNECTING, owes="terminate" if unsure else None)
            return _leave(told, Outcome("failed", refused.reason, failed=True, code=refused.code))
    return _media(call, event)


def _outbound(call: Call, event: Happening) -> Step:
    if call.phase in (Phase.CHECKING, Phase.ASKING, Phase.WAITING):
        return _permission(call, event)
    if call.phase in (Phase.DIALING, Phase.BUSY):
        after = _dialing(call, event)
        if after is not None:
            return after
    if call.phase in (Phase.DIALING, Phase.RINGING):  # Meta's webhooks may overtake its answer to `connect`
        return _ringing(call, event)
    return _media(call, event)


def _dialing(call: Call, event: Happening) -> Step | None:
    match call.phase, event:
        case Phase.DIALING, Prepared(sdp=sdp) if call.sdp is None:
            return replace(call, sdp=sdp), (Post("connect", sdp),)
        case Phase.DIALING, NotPrepared(reason=reason):
            return _leave(call, Outcome("failed", reason, failed=True))
        case Phase.DIALING, Done(action="connect", wacid=wacid):
            return _talk_if_both(replace(call, phase=Phase.RINGING, wacid=wacid), Start(Timer.RING))
        case Phase.DIALING, Refused(action="connect") as refused:
            return _not_dialed(call, refused)
        case Phase.BUSY, TimeUp(timer=Timer.REDIAL):
            return replace(call, phase=Phase.DIALING), (Post("connect", call.sdp),)
    return None


def _ringing(call: Call, event: Happening) -> Step:
    match event:
        case Answered(sdp=answer) if not call.answered:
            return replace(call, answered=True), (Start(Timer.MEDIA), Connect(answer))
        case MediaUp():
            return _talk_if_both(replace(call, media_up=True), Stop(Timer.MEDIA))
        case PickedUp():
            waits = () if call.media_up else (Start(Timer.MEDIA),)
            return _talk_if_both(replace(call, picked_up=True), Stop(Timer.RING), *waits)
        case Declined():
            return _end(call, Outcome("busy", "The person rejected the call."))
        case TimeUp(timer=Timer.RING) if not call.picked_up:
            return _leave(call, Outcome("no_answer", "Nobody picked up."))
    return _media(call, event)


def _permission(call: Call, event: Happening) -> Step:
    match call.phase, event:
        case Phase.CHECKING, PermissionKnown(may_call=True):
            return _dial(call)
        case Phase.CHECKING, PermissionKnown(may_ask=True):
            return replace(call, phase=Phase.ASKING), (AskPerson(),)
        case Phase.CHECKING, PermissionKnown(granted=False, reason=reason, code=code):
            return _blocked(call, reason, code)
        case Phase.CHECKING, PermissionKnown(reason=reason, code=code):  # nobody need be asked, or nobody knows
            return _end(call, Outcome("failed", reason or "Meta allows no call now.", failed=True, code=code))
        case Phase.ASKING, Asked():
            asked = replace(call, phase=Phase.WAITING, permission=Permission("sent"))
            return asked, (Start(Timer.PERMISSION),)
        case ((Phase.ASKING | Phase.WAITING), NotAsked(reason=reason, code=code)):
            return _blocked(call, reason, code)
        case ((Phase.CHECKING | Phase.ASKING | Phase.WAITING), Replied(granted=True) as reply):
            granted = Permission("accepted", reply.permanent, reply.automatic)
            return _dial(replace(call, permission=granted), Stop(Timer.PERMISSION))
        # Meta's own ``reject`` withdraws an old permission (four missed calls); the request stands.
        case ((Phase.CHECKING | Phase.ASKING | Phase.WAITING), Replied(automatic=False)):
            return _end(replace(call, permission=Permission("declined")), Outcome("failed", DECLINED, failed=True))
        case Phase.WAITING, TimeUp(timer=Timer.PERMISSION):
            return _end(call, Outcome("failed", UNANSWERED, failed=True))
    return call, ()


def _media(call: Call, event: Happening) -> Step:
    """What may happen to the media in every phase that has one."""
    match event:
        # A person who hangs up or declines closes the media first; Meta's word follows within a second.
        case MediaLost(reason=reason) if call.phase is Phase.ACTIVE and call.outcome is None:
            return replace(call, outcome=Outcome("answered", f"The connection was lost: {reason}")), (
                Start(Timer.GOODBYE),
            )
        case MediaLost(reason=reason) if call.phase is Phase.RINGING and call.outcome is None:
            lost = Outcome("failed", f"No connection could be made: {reason}", failed=True)
            return replace(call, outcome=lost), (Start(Timer.GOODBYE),)
        case MediaLost(reason=reason) if call.phase not in (Phase.ACTIVE, Phase.RINGING):
            return _leave(call, Outcome("failed", f"No connection could be made: {reason}", failed=True))
        case TimeUp(timer=Timer.MEDIA) if not call.media_up:
            return _leave(call, Outcome("failed", "No connection could be made in time.", failed=True))
        case TimeUp(timer=Timer.GOODBYE) if call.outcome is not None:
            return _leave(call, call.outcome)
    return call, ()


def _leaving(call: Call, event: Happening) -> Step:
    """Whatever was in the air when the end was decided has come down: tell Meta, or be done."""
    outcome = call.outcome
    assert outcome is not None  # noqa: S101 - set when the phase is entered
    match event:
        case Refused(action="reject" | "terminate") as refused if refused.unknown or refused.passing:
            return _end(call, outcome)
        case Refused(action="terminate") if call.direction == "inbound" and not call.picked_up:
            return _end(replace(call, owes="reject"), outcome)  # the `accept` was not carried out: the phone rings
        case Done(action="reject" | "terminate") | Refused(action="reject" | "terminate") | Declined():
            return _end(replace(call, owes=None), outcome)
        case Refused(action="connect") | TimeUp(timer=Timer.HANG_UP):
            return _end(call, outcome)
        case Done(action="connect", wacid=wacid) if call.wacid is None:
            return replace(call, wacid=wacid, owes="terminate"), (Post("terminate"),)
        case Done(action="accept"):
            return replace(call, picked_up=True), (Post("terminate"),)
        case Refused(action="accept", unknown=True):
            return call, (Post("terminate"),)
        case Refused(action="accept"):
            return replace(call, owes="reject"), (Post("reject"),)
    return call, ()


def _talk(call: Call, *before: Command) -> Step:
    return replace(call, phase=Phase.ACTIVE), (*before, Speak())


def _talk_if_both(call: Call, *before: Command) -> Step:
    ready = call.picked_up and call.media_up and call.phase is Phase.RINGING and call.outcome is None
    return _talk(call, *before) if ready else (call, before)


def _dial(call: Call, *before: Command) -> Step:
    return replace(call, phase=Phase.DIALING), (*before, Prepare())


def _not_dialed(call: Call, refused: Refused) -> Step:
    if refused.code == NO_PERMISSION and call.permission.state is None:
        return replace(call, phase=Phase.ASKING, sdp=None), (AskPerson(),)
    if refused.code == ALREADY_IN_CALL and call.redials < REDIALS:
        return replace(call, phase=Phase.BUSY, redials=call.redials + 1), (Start(Timer.REDIAL),)
    result: Literal["busy", "failed"] = "busy" if refused.code == ALREADY_IN_CALL else "failed"
    return _end(call, Outcome(result, refused.reason, failed=True, code=refused.code))


def _blocked(call: Call, reason: str, code: int | None) -> Step:
    blocked = replace(call, permission=Permission("blocked"))
    return _end(blocked, Outcome("failed", reason or "The person can't be asked now.", failed=True, code=code))


def _told(call: Call, event: Terminated) -> Outcome:
    """The outcome when Meta ends the call; what was on its way already stays the reason."""
    if call.outcome is not None and call.phase is Phase.LEAVING:
        return call.outcome
    if call.picked_up or event.picked_up:
        return Outcome("answered", event.reason or "The person hung up.", failed=event.failed, code=event.code)
    if event.failed:
        return Outcome("failed", event.reason or "Meta could not connect the call.", failed=True, code=event.code)
    return Outcome("no_answer", event.reason or "Nobody picked up." if call.direction == "outbound" else "Missed.")


def _so_far(call: Call) -> Literal["answered", "no_answer", "failed"]:
    if call.phase is Phase.ACTIVE:
        return "answered"
    return "no_answer" if call.direction == "outbound" and call.wacid else "failed"


def _leave(call: Call, outcome: Outcome) -> Step:
    """End a call that Meta believes alive: tell it first. One that Meta does not know just ends."""
    if call.phase is Phase.LEAVING:
        return call, ()
    in_the_air = call.phase is Phase.ACCEPTING or (call.phase is Phase.DIALING and call.sdp is not None)
    if in_the_air:  # what to tell depends on what becomes of it
        owes: Ending | None = "terminate" if call.phase is Phase.ACCEPTING else None
        return replace(call, phase=Phase.LEAVING, outcome=outcome, owes=owes), (Start(Timer.HANG_UP),)
    return _abandon(call, outcome)


def _abandon(call: Call, outcome: Outcome) -> Step:
    """As `_leave`, with nobody to learn what becomes of an action in the air."""
    if call.wacid is None:
        return _end(call, outcome)
    unheard = call.direction == "inbound" and not call.picked_up and call.phase is not Phase.ACCEPTING
    action = call.owes or ("reject" if unheard else "terminate")
    leaving = replace(call, phase=Phase.LEAVING, outcome=outcome, owes=action)
    return leaving, (Start(Timer.HANG_UP), Post(action))


def _end(call: Call, outcome: Outcome) -> Step:
    if call.direction == "outbound" and call.picked_up:  # as Meta sees it, and charges it, whatever broke after that
        outcome = replace(outcome, result="voicemail" if call.voicemail else "answered")
    return replace(call, phase=Phase.ENDED, outcome=outcome), (Finish(outcome),)
