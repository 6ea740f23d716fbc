"""System tools: what an agent can do about the conversation itself.

An agent has those of its ``built_in_tools`` that are switched on. The interactive ones exist in conversations by text
where the other side can draw them, on WhatsApp and in the widget; their message ends the turn, because it is the
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from greenline.llm.models import ToolSpec
from greenline.tools.models import Button, Buttons, Menu, Row, Say, Section, Text, ToolContext, ToolResult

MAX_ROWS: Final = 10  # Meta: interactive list, rows in total
UNTIL_THEY_SPEAK: Final = -1.0
"""A pause without an end (reference: ``wait_timeout_secs``)."""


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)


class EndCall(_Arguments):
    """End the conversation when the person has said goodbye or all they wanted is done."""

    reason: str = Field("", description="Why the conversation ends.")
    message: str | None = Field(None, description="A last sentence to the person.")

    def result(self) -> ToolResult:
        say = (Text(self.message),) if self.message else ()
        return ToolResult("The conversation has ended.", say=say, ends="conversation", reason=self.reason)


class SkipTurn(_Arguments):
    """Say nothing now: the person asked for a moment, or wrote something that needs no answer."""

    reason: str = Field("", description="Why nothing is said.")

    def result(self) -> ToolResult:
        return ToolResult("Nothing is said in this turn.", ends="turn", reason=self.reason, pause=UNTIL_THEY_SPEAK)


class _Button(_Arguments):
    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=20, description="What the button says, different on each.")


class SendButtons(_Arguments):
    """Answer with a short text and one to three buttons to tap. Use it when the person has a few choices."""

    body_text: str = Field(min_length=1, max_length=1024)
    buttons: list[_Button] = Field(min_length=1, max_length=3)
    footer_text: str | None = Field(None, max_length=60)

    @model_validator(mode="after")
    def _distinct(self) -> SendButtons:
        if len({button.title for button in self.buttons}) < len(self.buttons):
            raise ValueError("each button needs a title of its own")
        if len({button.id for button in self.buttons}) < len(self.buttons):
            raise ValueError("each button needs an id of its own")
        return self

    def result(self) -> ToolResult:
        buttons = tuple(Button(button.id, button.title) for button in self.buttons)
        return _said(Buttons(self.body_text, buttons, self.footer_text))


class _Row(_Arguments):
    id: str = Field(min_length=1, max_length=200)
    title: str = Field(min_length=1, max_length=24)
    description: str | None = Field(None, max_length=72)


class _Section(_Arguments):
    title: str = Field("", max_length=24)
    rows: list[_Row] = Field(min_length=1, max_length=MAX_ROWS)


class SendList(_Arguments):
    """Answer with a list to choose from, up to ten rows. Use it when the person asks what there is."""

    body_text: str = Field(min_length=1, max_length=4096)
    button_text: str = Field(min_length=1, max_length=20, description="What the button that opens the list says.")
    sections: list[_Section] = Field(min_length=1, max_length=10)
    header_text: str | None = Field(None, max_length=60)
    footer_text: str | None = Field(None, max_length=60)

    @model_validator(mode="after")
    def _fits(self) -> SendList:
        rows = [row for section in self.sections for row in section.rows]
        if len(rows) > MAX_ROWS:
            raise ValueError(f"a list has at most {MAX_ROWS} rows in all, this one has {len(rows)}")
        if len({row.id for row in rows}) < len(rows):
            raise ValueError("each row needs an id of its own")
        if len(self.sections) > 1 and not all(section.title for section in self.sections):
            raise ValueError("each of several sections needs a title")
        return self

    def result(self) -> ToolResult:
        sections = tuple(
            Section(section.title, tuple(Row(row.id, row.title, row.description) for row in section.rows))
            for section in self.sections
        )
        return _said(Menu(self.body_text, self.button_text, sections, self.header_text, self.footer_text))


def _said(message: Say) -> ToolResult:
    return ToolResult("Sent.", say=(message,), ends="turn")


_KINDS: Final[Mapping[str, type[EndCall | SkipTurn | SendButtons | SendList]]] = {
    "end_call": EndCall,
    "skip_turn": SkipTurn,
    "send_interactive_buttons": SendButtons,
    "send_interactive_list": SendList,
}
INTERACTIVE: Final = frozenset({"send_interactive_buttons", "send_interactive_list"})


@dataclass(frozen=True, slots=True)
class SystemTool:
    """One of the tools above, with the description that the agent gives it, and how long a skipped turn lasts."""

    name: str
    description: str
    pause: float = UNTIL_THEY_SPEAK
    type: str = "system"
    has_effect: bool = False

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        schema = _KINDS[self.name].model_json_schema()
        return ToolSpec(self.name, self.description, {**_inline(schema), "type": "object"})

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Check the arguments; over-limit content is an error that tells the model what to shorten."""
        try:
            result = _KINDS[self.name].model_validate(arguments).result()
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            return ToolResult(f"Not sent. {faults}", is_error=True, error_type="invalid_arguments")
        return result if result.pause is None else replace(result, pause=self.pause)


def system_tools(built_in: Mapping[str, Any], *, interactive: bool) -> tuple[SystemTool, ...]:
    """The system tools that ``built_in_tools`` of an agent switches on; a description of its own replaces ours."""
    found = []
    for name, kind in _KINDS.items():
        config = built_in.get(name)
        if config is None or (name in INTERACTIVE and not interactive):
            continue
        options = config if isinstance(config, Mapping) else {}
        pause = (options.get("params") or {}).get("wait_timeout_secs")
        description = options.get("description") or (kind.__doc__ or "").strip()
        found.append(SystemTool(name, description, UNTIL_THEY_SPEAK if pause is None else pause))
    return tuple(found)


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without ``$defs`` and titles: not every model follows references."""
    definitions = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return walk(definitions[node["$ref"].rsplit("/", 1)[-1]])
            return {key: walk(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}
        return [walk(item) for item in node] if isinstance(node, list) else node

    walked: Callable[[Any], dict[str, Any]] = walk
    return walked(schema)
