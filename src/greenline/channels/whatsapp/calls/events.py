"""What happens to a call, and what is to be done about it: the words that the state machine knows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

Action: TypeAlias = Literal["pre_accept", "accept", "reject", "terminate", "connect"]
"""The actions of ``POST /{phone_number_id}/calls``."""
Result: TypeAlias = Literal["answered", "voicemail", "busy", "no_answer", "failed"]
"""``metadata.whatsapp.call_result`` of the reference."""
PICKED_UP: Final[frozenset[Result]] = frozenset({"answered", "voicemail"})
"""For Meta a call that a machine took is an answered one."""
PermissionState: TypeAlias = Literal["sent", "accepted", "declined", "blocked"]
"""``metadata.whatsapp.call_permission_request.state`` of the reference."""
Ending: TypeAlias = Literal["reject", "terminate"]
"""The actions that end a call."""


class Timer(Enum):
    """The clocks of a call; a call has at most one of each."""

    MEDIA = "media"
    """The peer connection must be up."""
    RING = "ring"
    """The person must pick up."""
    GOODBYE = "goodbye"
    """The media is gone; Meta's word about it must follow."""
    HANG_UP = "hang_up"
    """Meta must take our word that the call is over; a later repetition of it holds nobody."""
    REDIAL = "redial"
    """The person is in another call."""
    PERMISSION = "permission"
    """The person must answer the request."""
    DRAIN = "drain"
    """The process stops. Started by the driver, and heard of as `Closing`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended. ``reason`` is for people; ``code`` is Meta's, where Meta gave one."""

    result: Result
    reason: str
    failed: bool = False
    code: int | None = None


# What happens


@dataclass(frozen=True, slots=True)
class Offered:
    """A person calls. ``refusal`` tells why this server can't take the call."""

    sdp: str
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Our side of the media is ready, with its description; and the agent is."""

    sdp: str


@dataclass(frozen=True, slots=True)
class NotPrepared:
    """Media or agent can't be made ready."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Meta carried out our action. ``wacid``: the id of the call that ``connect`` made."""

    action: Action
    wacid: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Meta did not carry out our action; ``unknown`` if it may have done so all the same, ``passing`` if it may do so
    later.
    """

    action: Action
    reason: str
    code: int | None = None
    unknown: bool = False
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """Meta's relay answers our offer. The person has not picked up."""

    sdp: str


@dataclass(frozen=True, slots=True)
class MediaUp:
    """Sound can flow."""


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The peer is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The person we call has accepted."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The person we call has rejected."""


@dataclass(frozen=True, slots=True)
class Terminated:
    """Meta: the call is over. ``picked_up``: its start time is there, the only proof that somebody answered."""

    picked_up: bool
    failed: bool = False
    reason: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class HungUp:
    """The conversation has ended on our side. ``failed`` with the reason when it broke."""

    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class PermissionKnown:
    """What Meta says of the permission to call a person; ``granted`` is null where it does not say it."""

    may_call: bool
    may_ask: bool
    granted: bool | None = None
    reason: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The request for permission is on its way to the person."""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The request could not be sent."""

    reason: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Replied:
    """The person's word about being called. ``automatic``: Meta gave it for them."""

    granted: bool
    permanent: bool = False
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class TimeUp:
    """A timer has run out."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Orphaned:
    """The process that held the media is gone."""


@dataclass(frozen=True, slots=True)
class Closing:
    """This process is about to stop, and its patience is over."""


Happening: TypeAlias = (
    Offered
    | Prepared
    | NotPrepared
    | Done
    | Refused
    | Answered
    | MediaUp
    | MediaLost
    | PickedUp
    | Declined
    | Terminated
    | HungUp
    | PermissionKnown
    | Asked
    | NotAsked
    | Replied
    | TimeUp
    | Orphaned
    | Closing
)


# What is to be done


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make media and agent ready: answer ``offer``, or make our own offer without one."""

    offer: str | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """Tell Meta; ``sdp`` is ours."""

    action: Action
    sdp: str | None = None


@dataclass(frozen=True, slots=True)
class Connect:
    """Bring the media up, with the peer's ``answer`` if we made the offer."""

    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Speak:
    """Let sound out, and begin the conversation."""


@dataclass(frozen=True, slots=True)
class AskMeta:
    """Ask Meta whether the person may be called."""


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Send the person a request for permission."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a timer, anew if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Finish:
    """The call is over: end the conversation, close the media, record the outcome. The last command of a call."""

    outcome: Outcome


Command: TypeAlias = Prepare | Post | Connect | Speak | AskMeta | AskPerson | Start | Stop | Finish
