"""Tools that the connected client carries out (reference: Client tools)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greenline.agents.config import ConversationConfig
from greenline.agents.config.tool_schema import ObjectProperty
from greenline.agents.config.tools import ClientTool
from greenline.agents.variables import as_text
from greenline.channels.live.effects import ClientCalls
from greenline.llm.models import ToolSpec
from greenline.tools.assignments import assign
from greenline.tools.manners import Manners, manners
from greenline.tools.models import Tool, ToolContext, ToolResult

EVENT: Final = "client_tool_call"
"""By which a client learns of a call."""
UNTOLD: Final = f"This was not done: the client is told of no calls, as the agent's client_events lack {EVENT}."
FAILED: Final = "The tool failed."
"""What a model is told of an error that is hidden from it."""
MOST_OF_ERROR: Final = 200
"""Characters of an error that is summarized."""
Ask = Callable[[str, str, Mapping[str, Any]], None]
"""Tells the client to run a tool: call id, name, parameters."""


@dataclass(frozen=True, slots=True)
class ClientToolCall:
    """One client tool of an agent, as a tool of the engine. ``told``: whether its client hears of calls."""

    config: ClientTool
    variables: Mapping[str, Any] = field(repr=False)
    ask: Ask = field(repr=False)
    calls: ClientCalls = field(repr=False)
    told: bool = True
    type: str = "client"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        """What the model sees: the parameters that it has to give."""
        schema = _schema(self.config.parameters.model_dump(mode="json")) if self.config.parameters else {}
        return ToolSpec(self.config.name, self.config.description, {"properties": {}, **schema, "type": "object"})

    @property
    def manners(self) -> Manners:
        """How the agent behaves around it."""
        return manners(self.config, self.config.execution_mode)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Ask the client, and wait for its answer where one is expected."""
        if not self.told:
            return ToolResult(UNTOLD, is_error=True, error_type="client_untold")
        call_id = context.idempotency_key.partition(":")[2]
        given = _given(self.config.parameters, {**self.variables, **context.variables}, arguments)
        self.ask(call_id, self.config.name, given)
        if not self.config.expects_response:
            return ToolResult("The client was told.")
        limit = self.config.response_timeout_secs
        try:
            text, is_error = await self.calls.wait(call_id, None if limit < 0 else limit)
        except TimeoutError:
            return ToolResult(f"The client did not answer in {limit} seconds.", is_error=True, error_type="timeout")
        if is_error:
            told = _told(text, self.config.tool_error_handling_mode)
            return ToolResult(told, is_error=True, error_type="client_error", raw_error=text)
        return assign(ToolResult(text), self.config.assignments)


def client_tools(
    config: ConversationConfig, variables: Mapping[str, Any], ask: Ask, calls: ClientCalls
) -> tuple[Tool, ...]:
    """The client tools among an agent's own tools."""
    told = EVENT in config.conversation.client_events
    own = (tool for tool in config.agent.prompt.tools if isinstance(tool, ClientTool))
    return tuple(ClientToolCall(tool, variables, ask, calls, told) for tool in own)


def _told(error: str, mode: str) -> str:
    """What the model is told of a client's error (reference: ``tool_error_handling_mode``)."""
    if mode == "passthrough":
        return error
    if mode == "summarized":
        line = error.strip().partition("\n")[0]
        return line if len(line) <= MOST_OF_ERROR else f"{line[:MOST_OF_ERROR]}…"
    return FAILED


def _given(
    parameters: ObjectProperty | None, variables: Mapping[str, Any], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What the client gets: the model's arguments, and over them what constants and dynamic variables give."""
    found = _fixed(parameters.model_dump(mode="json"), variables, arguments) if parameters else arguments
    return dict(found)


def _fixed(node: Mapping[str, Any], variables: Mapping[str, Any], argument: Any) -> Any:
    if node.get("constant_value") not in (None, ""):
        return node["constant_value"]
    if node.get("dynamic_variable") in variables:
        value = variables[node["dynamic_variable"]]
        return value if isinstance(value, int | float | bool) else as_text(value)
    if node["type"] == "object" and (argument is None or isinstance(argument, Mapping)):
        given = dict(argument or {})
        for name, child in node.get("properties", {}).items():
            value = _fixed(child, variables, given.get(name))
            if value is not None:
                given[name] = value
        return given or argument
    if node["type"] == "array" and node.get("items") and isinstance(argument, list):
        return [_fixed(node["items"], variables, item) for item in argument]
    return argument


def _schema(node: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema of what the model gives: values from elsewhere are left out."""
    kept: dict[str, Any] = {"type": node["type"]}
    kept.update({key: node[key] for key in ("description", "enum") if node.get(key)})
    if node["type"] == "object":
        properties = {name: child for name, child in node.get("properties", {}).items() if _asked(child)}
        kept["properties"] = {name: _schema(child) for name, child in properties.items()}
        kept["required"] = [name for name in node.get("required") or () if name in properties]
    elif node["type"] == "array" and node.get("items"):
        kept["items"] = _schema(node["items"])
    return kept


def _asked(node: Mapping[str, Any]) -> bool:
    elsewhere = node.get("constant_value") not in (None, "") or node.get("dynamic_variable")
    return not (elsewhere or node.get("is_system_provided") or node.get("is_omitted"))
