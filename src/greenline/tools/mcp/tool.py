"""A tool of an MCP server, as a tool of the engine: approved by whoever must, run over there, answered for here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.clock import Clock
from greenline.llm.models import ToolSpec
from greenline.tools.assignments import assign
from greenline.tools.manners import SHARED, Manners, manners
from greenline.tools.mcp.client import ListedTool, McpClients
from greenline.tools.mcp.desk import APPROVAL_SECONDS, Desk, McpToolCall
from greenline.tools.mcp.endpoint import Endpoint, meta_of
from greenline.tools.mcp.failures import McpFailure
from greenline.tools.mcp.figures import CALLS
from greenline.tools.mcp.models import McpServer, ResponseMock, ToolConfig, tool_hash, tool_id
from greenline.tools.mcp.overrides import given_arguments, shown_schema
from greenline.tools.mcp.results import blocks_of, data_of, shortened, text_of
from greenline.tools.mcp.schemas import plain_object
from greenline.tools.models import ToolContext, ToolResult

log = structlog.get_logger(__name__)

IDEMPOTENCY_KEY: Final = "greenline/idempotency-key"
"""In the ``_meta`` of a call: the same when a turn is resumed after a crash, so that a server can tell."""
MAX_DESCRIPTION: Final = 1_024
"""Characters of a description that every provider takes."""

NOT_HERE: Final = (
    "This tool was not run: a person has to approve it, and in this conversation nobody can. Go on without it."
)
REFUSED: Final = "This tool was not run: the person did not approve it."
NO_ANSWER: Final = "This tool was not run: nobody approved it in time."
NOT_RUN: Final = "This tool was not run: the service behind it can't be reached at the moment."
MAYBE_RUN: Final = "This tool failed. It may have run all the same: don't call it again without asking the person."
CUT_SHORT: Final = "The person interrupted."


@dataclass(frozen=True, slots=True)
class McpTool:
    """``name`` is what the model calls it; ``listed`` is how the server describes it."""

    name: str
    server: McpServer
    listed: ListedTool
    endpoint: Endpoint
    lookup: Lookup = field(repr=False)
    clients: McpClients = field(repr=False)
    desk: Desk = field(repr=False)
    clock: Clock = field(repr=False)
    lost: Callable[[str], None] = field(repr=False)
    """Told why the server is away."""
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    type: str = "mcp"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        schema = shown_schema(plain_object(self.listed.input_schema), self._config.input_overrides)
        return ToolSpec(self.name, self.listed.description[:MAX_DESCRIPTION], schema)

    @property
    def tool_id(self) -> str:
        """How the reference addresses it."""
        return tool_id(self.server.id, self.listed.name)

    @property
    def may_repeat(self) -> bool:
        """What the server itself says of it: it changes nothing, or a second call of the same does nothing more."""
        hints = self.listed.told.get("annotations") or {}
        return hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True

    def details(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the transcript tells of a call (reference: ``tool_details``)."""
        return {
            "type": "mcp",
            "mcp_server_id": self.server.id,
            "mcp_server_name": self.server.config.name,
            "integration_type": "mcp_server",
            "parameters": {name: _as_text(value) for name, value in arguments.items()},
            "approval_policy": self.server.config.approval_policy,
            "requires_approval": self.requires_approval,
            "mcp_tool_name": self.listed.name,
            "mcp_tool_description": self.listed.description,
        }

    @property
    def mocks(self) -> Sequence[ResponseMock]:
        """What answers in its place where its calls are mocked."""
        return self._config.response_mocks

    @property
    def seconds(self) -> float:
        """What a call may take."""
        return self._config.response_timeout_secs or self.server.config.response_timeout_secs

    @property
    def manners(self) -> Manners:
        """How the agent behaves around it: as its server has it, or what it has of its own."""
        server, own = self.server.config, self._config
        changes = {name: getattr(own, name) for name in SHARED if getattr(own, name) is not None}
        # The older form of the server does not win over the newer one of the tool.
        older = {"interruption_mode": "disable_interruptions", "pre_tool_speech": "force_pre_tool_speech"}
        changes = {**{older[name]: False for name in changes if name in older}, **changes}
        return manners(server.model_copy(update=changes), own.execution_mode or server.execution_mode)

    def assign(self, result: ToolResult, data: Any = None) -> ToolResult:
        """``result`` with the variables that it sets; ``data`` is what the answer is beside its text."""
        return assign(result, self._config.assignments, data)

    @property
    def requires_approval(self) -> bool:
        """Whether a person has to approve each call: also of a tool that has changed since it was approved."""
        config = self.server.config
        if config.approval_policy != "require_approval_per_tool":
            return config.approval_policy == "require_approval_all"
        approval = config.approval_of(self.listed.name)
        now = tool_hash(self.listed.name, self.listed.description, self.listed.input_schema)
        return approval is None or approval.tool_hash != now or approval.approval_policy == "requires_approval"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Have it approved and run it."""
        variables = {**self.variables, **context.variables}
        given = given_arguments(arguments, self._config.input_overrides, variables)
        call = McpToolCall(
            server_id=self.server.id,
            # After the id of the message, which holds no colon; that of the call, the model's, may.
            tool_call_id=context.idempotency_key.partition(":")[2],
            tool_name=self.listed.name,
            description=self.listed.description,
            parameters=arguments,
            at=self.clock.now(),
        )
        try:
            blocked = await self._ask(call) if self.requires_approval else None
            result = blocked or await self._call(call, given, context)
        except asyncio.CancelledError:
            self._tell(call, state="failure", error=CUT_SHORT)
            CALLS.labels("cancelled").inc()
            raise
        CALLS.labels(result.error_type or "success").inc()
        return result

    async def _ask(self, call: McpToolCall) -> ToolResult | None:
        """Why it may not run; None when it may."""
        if not self.desk.can_approve:
            log.warning("mcp.not_approvable", server_id=self.server.id, tool=self.listed.name)
            return self._blocked(call, NOT_HERE, "approval_unavailable")
        self._tell(call, state="awaiting_approval")
        approved = await self.desk.approve(call.tool_call_id, APPROVAL_SECONDS)
        if approved is None:
            return self._blocked(call, NO_ANSWER, "approval_timeout")
        return None if approved else self._blocked(call, REFUSED, "not_approved")

    def _blocked(self, call: McpToolCall, text: str, error_type: str) -> ToolResult:
        self._tell(call, state="failure", error=text)
        return ToolResult(text, is_error=True, error_type=error_type, is_blocked=True)

    async def _call(self, call: McpToolCall, given: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """``given`` is for the server only: it may hold what is hidden from the model and the client."""
        self._tell(call, state="loading")
        try:
            lookup = replace(self.lookup, variables={**self.lookup.variables, **context.variables})
            meta, endpoint = await meta_of(self.server.config, self.endpoint, lookup)
            meta[IDEMPOTENCY_KEY] = context.idempotency_key
            answer = await self.clients.call(endpoint, self.listed.name, given, meta, self.seconds)
        except ValueUnavailable as error:
            return self._failed(call, McpFailure("mcp_misconfigured", error.message))
        except McpFailure as failure:
            return self._failed(call, failure)
        text = text_of(answer)
        if answer.is_error:
            self._tell(call, state="failure", error=text)
            return ToolResult(text, is_error=True, error_type="tool_error")
        result = self.assign(ToolResult(text), data_of(answer))
        if result.text == text:
            self._tell(call, state="success", result=blocks_of(answer))
            return result
        text = shortened(result.text)
        self._tell(call, state="success", result=({"type": "text", "text": text},))
        return replace(result, text=text)

    def _failed(self, call: McpToolCall, failure: McpFailure) -> ToolResult:
        """The model, and the client, learn what to do; the transcript and the log hold the reason."""
        log.warning(
            "mcp.call_failed",
            server_id=self.server.id,
            tool=self.listed.name,
            kind=failure.kind,
            reason=failure.reason,
            may_have_run=failure.sent,
        )
        if failure.is_away:
            self.lost(failure.reason)
        text = MAYBE_RUN if failure.sent else NOT_RUN
        text = failure.reason if failure.kind == "mcp_error" else text
        self._tell(call, state="failure", error=text)
        return ToolResult(text, is_error=True, error_type=failure.kind, raw_error=failure.reason)

    def _tell(self, call: McpToolCall, **changes: Any) -> None:
        self.desk.tell(replace(call, at=self.clock.now(), **changes))

    @property
    def _config(self) -> ToolConfig:
        return self.server.config.config_of(self.listed.name) or ToolConfig(tool_name=self.listed.name)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
