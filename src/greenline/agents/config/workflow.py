"""A workflow: nodes that change what the agent is, and edges with conditions between them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from greenline.agents.config.base import ConfigModel, Integer, Map
from greenline.agents.config.knowledge import KnowledgeBaseLocator
from greenline.agents.config.partial import PartialConversationConfig
from greenline.agents.config.telephony import NumberTransfer
from greenline.agents.config.workflow_expression import BooleanLiteral, Expression

START_NODE_ID = "start_node"


class Position(ConfigModel):
    """A place on the editor's canvas."""

    x: float = 0.0
    y: float = 0.0


class UnconditionalCondition(ConfigModel):
    """Always; it is tried after every other edge of its node."""

    type: Literal["unconditional"]
    label: str | None = None


class ModelCondition(ConfigModel):
    """The model judges whether the text holds."""

    type: Literal["llm"]
    label: str | None = None
    condition: str


class ResultCondition(ConfigModel):
    """The outcome of the tool or transfer of the node."""

    type: Literal["result"]
    label: str | None = None
    successful: bool


def _empty_is_false(value: Any) -> Any:
    return BooleanLiteral(type="boolean_literal", value=False) if value == {} else value


class ExpressionCondition(ConfigModel):
    """An expression that is true; the empty one is false (reference: Agents)."""

    type: Literal["expression"]
    label: str | None = None
    expression: Annotated[Expression, BeforeValidator(_empty_is_false)]


Condition: TypeAlias = Annotated[
    UnconditionalCondition | ModelCondition | ResultCondition | ExpressionCondition, Field(discriminator="type")
]


class Edge(ConfigModel):
    """A way from one node to another, and back if it has a ``backward_condition``."""

    source: str
    target: str
    forward_condition: Condition | None = None
    backward_condition: Condition | None = None
    reroutes: list[Position] = []


class Node(ConfigModel):
    """What all nodes have: a place, and the order in which the edges that leave it are tried."""

    position: Position = Position()
    edge_order: list[str] = []


class StartNode(Node):
    """Where a conversation begins."""

    type: Literal["start"]


class EndNode(Node):
    """Where a conversation ends."""

    type: Literal["end"]
    outcome: Literal["success", "failure"] = "success"


class SubagentNode(Node):
    """Settings of a node at which the agent speaks."""

    conversation_config: PartialConversationConfig = {}
    additional_prompt: str = ""
    additional_knowledge_base: list[KnowledgeBaseLocator] = []
    additional_tool_ids: list[str] = []
    label: str = ""


class OverrideAgentNode(SubagentNode):
    """The agent, changed."""

    type: Literal["override_agent"]
    entry_behavior: Literal["generate_immediately", "wait_for_user", "auto"] = "auto"


class TranslatedText(ConfigModel):
    """A text in one language."""

    value: str


class LiteralMessage(ConfigModel):
    """Words to say as they are; translations have a language code as key."""

    type: Literal["literal"]
    text: str
    text_translations: Map[TranslatedText] = {}


class PromptedMessage(ConfigModel):
    """Words that the model makes from a prompt."""

    type: Literal["prompt"]
    prompt: str


class SayNode(SubagentNode):
    """Says something and goes on; its tools and documents are kept but not used (reference: Workflows)."""

    type: Literal["say"]
    message: Annotated[LiteralMessage | PromptedMessage, Field(discriminator="type")]
    wait_for_speech_completion: bool = True
    wait_for_user_response: bool = False


class StandaloneAgentNode(Node):
    """Hands the conversation to another agent."""

    type: Literal["standalone_agent"]
    agent_id: str | None = None
    branch_id: str | None = None
    node_id: Annotated[str, Field(min_length=1)] | None = None
    delay_ms: Integer = 0
    transfer_message: str | None = None
    enable_transferred_agent_first_message: bool = False
    preserve_client_tts_overrides: bool = False
    preserve_voice_settings: bool = False


class PhoneNumberNode(NumberTransfer, Node):
    """Hands a call to a number."""

    type: Literal["phone_number"]


class ToolLocator(ConfigModel):
    """A tool, with other sources for some of its parameters (keys are JSON paths)."""

    tool_id: str
    schema_overrides: Map[Any] = {}


class ToolNode(Node):
    """Calls tools; its ``result`` edges tell what comes of it."""

    type: Literal["tool"]
    tools: list[ToolLocator] = []


class StateUpdate(ConfigModel):
    """Writes the value of an expression to a dynamic variable."""

    type: Literal["dynamic_variable"] = "dynamic_variable"
    variable_name: str
    expression: Expression
    required: bool = False


class UpdateStateNode(Node):
    """Writes dynamic variables."""

    type: Literal["update_state"]
    label: str = ""
    updates: Annotated[list[StateUpdate], Field(max_length=10)] = []


AnyNode: TypeAlias = Annotated[
    StartNode
    | EndNode
    | OverrideAgentNode
    | SayNode
    | StandaloneAgentNode
    | PhoneNumberNode
    | ToolNode
    | UpdateStateNode,
    Field(discriminator="type"),
]


class Workflow(ConfigModel):
    """Nodes and edges by id. A workflow of one start node is no workflow: the agent alone speaks."""

    edges: Map[Edge] = {}
    nodes: Map[AnyNode] = {START_NODE_ID: StartNode(type="start")}
    prevent_subagent_loops: bool = False

    @model_validator(mode="after")
    def _connected(self) -> Self:
        _check_start(self)
        pairs: set[frozenset[str]] = set()
        for edge_id, edge in self.edges.items():
            _check_edge(self, edge_id, edge)
            pair = frozenset((edge.source, edge.target))
            if pair in pairs:
                raise ValueError(
                    f"edge {edge_id}: there is one already between {edge.source} and {edge.target}; "
                    "a way back is the backward_condition of that edge"
                )
            pairs.add(pair)
        return self


def _check_start(workflow: Workflow) -> None:
    starts = [node_id for node_id, node in workflow.nodes.items() if node.type == "start"]
    if workflow.nodes and starts != [START_NODE_ID]:
        raise ValueError(f"a workflow has one node of type start, with the id {START_NODE_ID}")


def _check_edge(workflow: Workflow, edge_id: str, edge: Edge) -> None:
    for end in (edge.source, edge.target):
        if end not in workflow.nodes:
            raise ValueError(f"edge {edge_id}: there is no node {end}")
    if workflow.nodes[edge.source].type == "end":
        raise ValueError(f"edge {edge_id}: nothing follows an end node")
    if workflow.nodes[edge.target].type == "end" and edge.backward_condition is not None:
        raise ValueError(f"edge {edge_id}: nothing follows an end node")
