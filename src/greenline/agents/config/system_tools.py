"""Tools that the server carries out itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Tag, model_validator

from greenline.agents.config.base import ConfigModel, Integer, Map, Name, open_union
from greenline.agents.config.telephony import PhoneNumberTransfer
from greenline.agents.config.tool_common import ToolBase


class ProcedureRef(ConfigModel):
    """A procedure at one version, or its draft when no version is named."""

    procedure_id: str
    version_id: str | None = None


class AgentTransfer(ConfigModel):
    """An agent to which the model may hand the conversation. A negative delay is no delay."""

    agent_id: str | None = None
    branch_id: str | None = None
    node_id: str | None = None
    condition: str
    delay_ms: Integer = 0
    transfer_message: str | None = None
    enable_transferred_agent_first_message: bool = False
    is_workflow_node_transfer: bool = False
    preserve_client_tts_overrides: bool = False
    preserve_voice_settings: bool = False


class EndCallParams(ConfigModel):
    """No parameter."""

    system_tool_type: Literal["end_call"] = "end_call"


class KnowledgeBaseParams(ConfigModel):
    """The searches that the model may run."""

    system_tool_type: Literal["knowledge_base"]
    enabled_strategies: list[Name] = []


class LanguageDetectionParams(ConfigModel):
    """When the language may change."""

    system_tool_type: Literal["language_detection"]
    only_at_conversation_start: bool = False


class KeypadParams(ConfigModel):
    """How keypad tones are played."""

    system_tool_type: Literal["play_keypad_touch_tone"]
    use_out_of_band_dtmf: bool = False
    suppress_turn_after_dtmf: bool = False


class SkipTurnParams(ConfigModel):
    """How long the agent stays silent, in seconds."""

    system_tool_type: Literal["skip_turn"]
    wait_timeout_secs: float | None = None


class ProcedureParams(ConfigModel):
    """The procedures that the model may start or end."""

    system_tool_type: Literal["start_procedure", "end_procedure"]
    procedures: Map[ProcedureRef] = {}


class TransferToAgentParams(ConfigModel):
    """The agents in the order of the index that the model gives."""

    system_tool_type: Literal["transfer_to_agent"]
    transfers: list[AgentTransfer]


class TransferToNumberParams(ConfigModel):
    """The numbers that the model may choose."""

    system_tool_type: Literal["transfer_to_number"]
    transfers: list[PhoneNumberTransfer]
    enable_client_message: bool = True


class VoicemailParams(ConfigModel):
    """What is left on a mailbox; empty hangs up."""

    system_tool_type: Literal["voicemail_detection"]
    voicemail_message: str | None = None


class OtherParams(ConfigModel):
    """A system tool without parameters that this server knows: kept as it came."""

    system_tool_type: str


SystemToolParams: TypeAlias = Annotated[
    Annotated[EndCallParams, Tag("end_call")]
    | Annotated[KnowledgeBaseParams, Tag("knowledge_base")]
    | Annotated[LanguageDetectionParams, Tag("language_detection")]
    | Annotated[KeypadParams, Tag("play_keypad_touch_tone")]
    | Annotated[SkipTurnParams, Tag("skip_turn")]
    | Annotated[ProcedureParams, Tag("start_procedure")]
    | Annotated[ProcedureParams, Tag("end_procedure")]
    | Annotated[TransferToAgentParams, Tag("transfer_to_agent")]
    | Annotated[TransferToNumberParams, Tag("transfer_to_number")]
    | Annotated[VoicemailParams, Tag("voicemail_detection")]
    | Annotated[OtherParams, Tag("other")],
    open_union(
        "system_tool_type",
        "end_call",
        "knowledge_base",
        "language_detection",
        "play_keypad_touch_tone",
        "skip_turn",
        "start_procedure",
        "end_procedure",
        "transfer_to_agent",
        "transfer_to_number",
        "voicemail_detection",
    ),
]


class SystemTool(ToolBase):
    """A built-in tool; an empty description stands for the server's own text."""

    type: Literal["system"] = "system"
    description: str = ""
    params: SystemToolParams


class BuiltInTools(ConfigModel):
    """The built-in tools by name; null (or ``false``) is switched off.

    Those that send buttons and lists are of this server: the reference has them as tools of an integration.
    """

    transfer_to_agent: SystemTool | None = None
    end_call: SystemTool | None = None
    language_detection: SystemTool | None = None
    transfer_to_number: SystemTool | None = None
    skip_turn: SystemTool | None = None
    play_keypad_touch_tone: SystemTool | None = None
    voicemail_detection: SystemTool | None = None
    send_interactive_buttons: SystemTool | None = None
    send_interactive_list: SystemTool | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_by_key(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: _named(key, tool) if key in cls.model_fields else tool for key, tool in data.items()}

    def enabled(self) -> dict[str, SystemTool]:
        """The tools that are switched on, by name."""
        tools = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: tool for name, tool in tools.items() if tool is not None}


def _named(key: str, tool: Any) -> Any:
    """The key says which tool it is: ``{"end_call": {}}`` is enough, and so is ``{"end_call": true}``."""
    if isinstance(tool, bool):
        tool = {} if tool else None
    if not isinstance(tool, dict):
        return tool
    params = tool.get("params") or {}
    if isinstance(params, dict):
        params = {"system_tool_type": key, **params}
    return {"name": key, **tool, "params": params}
