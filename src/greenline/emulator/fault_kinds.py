"""Every fault by name, with its parameters. The docstring of a kind is what the documentation tells of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from greenline.emulator.faults import Fault

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]
Code = Annotated[int, Field(ge=0, le=10_000_000)]
Status = Annotated[int, Field(ge=400, le=599)]
Copies = Annotated[int, Field(ge=0, le=100)]


class GraphFault(Fault):
    """A fault of Graph calls."""

    about: ClassVar = frozenset({"path", "edge", "phone_number_id", "sends"})


class GraphError(GraphFault):
    """refuses a call before it is processed: `code`, `http_status`, `subcode`"""

    name: Literal["graph_error"] = "graph_error"
    code: Code = 131000
    http_status: Status | None = None
    subcode: int | None = None


class GraphTimeout(GraphFault):
    """answers after `seconds`; `accepted` tells whether the call is carried out"""

    name: Literal["graph_timeout"] = "graph_timeout"
    seconds: Seconds = 30.0
    accepted: bool = True


class ResetBeforeAccept(GraphFault):
    """closes the connection without processing the call"""

    name: Literal["reset_before_accept"] = "reset_before_accept"


class ResetAfterAccept(GraphFault):
    """processes the call, then closes the connection without an answer"""

    name: Literal["reset_after_accept"] = "reset_after_accept"


class Slow(GraphFault):
    """answers each call `seconds` later"""

    name: Literal["slow"] = "slow"
    seconds: Seconds = 1.0


class TokenExpired(Fault):
    """every token counts as expired"""

    name: Literal["token_expired"] = "token_expired"
    about: ClassVar = frozenset({"token"})


class MediaExpired(Fault):
    """media addresses are dead at once"""

    name: Literal["media_expired"] = "media_expired"
    about: ClassVar = frozenset({"media_id"})


class WebhookFault(Fault):
    """A fault of deliveries; one with several updates fits where one of them does."""

    about: ClassVar = frozenset({"field", "phone_number_id"})


class WebhookDuplicate(WebhookFault):
    """sends each delivery `copies` times more, or `fewest` to `copies` times, at once or `delay` seconds later"""

    name: Literal["webhook_duplicate"] = "webhook_duplicate"
    copies: Copies = 1
    fewest: Copies | None = None
    delay: Seconds = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> WebhookDuplicate:
        if self.fewest is not None and self.fewest > self.copies:
            raise ValueError("fewest is more than copies")
        return self

    def count(self) -> int:
        """How many copies this time."""
        return self.copies if self.fewest is None else self.between(self.fewest, self.copies)


class WebhookShuffle(WebhookFault):
    """holds deliveries, each copy for itself, for up to `seconds`, so that they arrive in any order"""

    name: Literal["webhook_shuffle"] = "webhook_shuffle"
    seconds: Seconds = 0.5


class WebhookDelay(WebhookFault):
    """holds each delivery for `seconds`"""

    name: Literal["webhook_delay"] = "webhook_delay"
    seconds: Seconds = 1.0


class WebhookDrop(WebhookFault):
    """takes the callback's answer for lost and delivers again"""

    name: Literal["webhook_drop"] = "webhook_drop"


class WebhookLost(WebhookFault):
    """never sends a delivery: it is lost for good, as what Meta gives up"""

    name: Literal["webhook_lost"] = "webhook_lost"


class WebhookBatch(WebhookFault):
    """collects up to `size` updates of numbers for `seconds` into one body, for each callback its own"""

    name: Literal["webhook_batch"] = "webhook_batch"
    size: int = Field(1000, ge=1, le=1000)
    seconds: Seconds = 0.5


class UnknownField(WebhookFault):
    """adds unknown fields to every webhook"""

    name: Literal["unknown_field"] = "unknown_field"


class MessageFault(Fault):
    """A fault of messages and people."""

    about: ClassVar = frozenset({"person_id", "phone_number_id"})


class LateFailed(MessageFault):
    """reports `failed` with `code` after `sent`"""

    name: Literal["late_failed"] = "late_failed"
    code: Code = 131000


class TemplateHeld(MessageFault):
    """holds a message of a template for `seconds`, then sends it, or fails it with 132015 if it `fails`"""

    name: Literal["template_held"] = "template_held"
    seconds: Seconds = 600.0
    fails: bool = False


class StatusOrder(MessageFault):
    """sends `read` before `delivered`, and those before `sent`, each `seconds` after the other"""

    name: Literal["status_order"] = "status_order"
    seconds: Seconds = 0.1


class UnknownType(MessageFault):
    """turns each inbound message into one of an unknown type"""

    name: Literal["unknown_type"] = "unknown_type"


class OmitPhone(Fault):
    """leaves phone numbers out of webhooks"""

    name: Literal["omit_phone"] = "omit_phone"
    about: ClassVar = frozenset({"person_id"})


class CallFault(Fault):
    """A fault of what is told of calls."""

    about: ClassVar = frozenset({"call_id", "person_id", "phone_number_id", "direction", "event"})


class CallConnectLost(CallFault):
    """the `connect` of a call is never told"""

    name: Literal["call_connect_lost"] = "call_connect_lost"


class CallEndFirst(CallFault):
    """`connect` is told after `terminate`"""

    name: Literal["call_end_first"] = "call_end_first"


class CallStaleConnect(CallFault):
    """`connect` is told once more, `seconds` after `terminate`"""

    name: Literal["call_stale_connect"] = "call_stale_connect"
    seconds: Seconds = 1.0


class CallDuplicate(CallFault):
    """tells of a call `copies` times more, `seconds` later"""

    name: Literal["call_duplicate"] = "call_duplicate"
    copies: Copies = 1
    seconds: Seconds = 0.0


class CallShuffle(CallFault):
    """holds what is told of calls for up to `seconds` each"""

    name: Literal["call_shuffle"] = "call_shuffle"
    seconds: Seconds = 1.0


class CallBatch(CallFault):
    """collects up to `size` tellings of calls for `seconds` into one webhook"""

    name: Literal["call_batch"] = "call_batch"
    size: int = Field(10, ge=1, le=1000)
    seconds: Seconds = 0.5


class CallSwapped(CallFault):
    """writes `from` and `to` of a call the wrong way round"""

    name: Literal["call_swapped"] = "call_swapped"


class CallUndirected(CallFault):
    """leaves the `direction` of a call out"""

    name: Literal["call_undirected"] = "call_undirected"


class CallUnsure(Fault):
    """carries an `action` of a call out, then answers with `code` and `http_status` (131000 and 500)"""

    name: Literal["call_unsure"] = "call_unsure"
    about: ClassVar = frozenset({"action", "call_id", "person_id", "phone_number_id"})
    code: Code = 131000
    http_status: Status = 500


AnyFault: TypeAlias = Annotated[
    GraphError
    | GraphTimeout
    | ResetBeforeAccept
    | ResetAfterAccept
    | Slow
    | WebhookDuplicate
    | WebhookShuffle
    | WebhookDelay
    | WebhookDrop
    | WebhookLost
    | WebhookBatch
    | LateFailed
    | TemplateHeld
    | StatusOrder
    | OmitPhone
    | UnknownType
    | UnknownField
    | MediaExpired
    | CallConnectLost
    | CallEndFirst
    | CallStaleConnect
    | CallDuplicate
    | CallShuffle
    | CallBatch
    | CallSwapped
    | CallUndirected
    | CallUnsure
    | TokenExpired,
    Field(discriminator="name"),
]

NAMES: Final = {str(kind.model_fields["name"].default): str(kind.__doc__) for kind in get_args(get_args(AnyFault)[0])}
