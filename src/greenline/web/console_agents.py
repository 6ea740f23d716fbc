"""The agents of the workspace: the list, and one to look at and to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from nicegui import ui
from pydantic import ValidationError

from greenline.agents import listing, service
from greenline.agents.models import MAX_NAME, Agent, AgentChanges
from greenline.errors import GreenlineError
from greenline.web.console_frame import Visit
from greenline.web.parts import Tag, ask_browser, box, button, link, pretty

SHOWN: Final = 100
KEEP: Final = """(value) => {
  const kept = JSON.parse(sessionStorage.getItem('greenline.agent %s') || '{}');
  kept['%s'] = value;
  kept.version = window.agentVersion;
  sessionStorage.setItem('greenline.agent %s', JSON.stringify(kept));
}"""
KEPT: Final = "JSON.parse(sessionStorage.getItem('greenline.agent %s') || 'null')"
FORGET: Final = "sessionStorage.removeItem('greenline.agent %s')"


async def draw_list(visitor: Visit) -> None:
    """Draw the agents."""
    services = visitor.services
    page = await listing.list_agents(
        services.pool, services.clock, visitor.workspace.id, listing.Filter(), page_size=SHOWN
    )
    Tag("h1", "Agents", "gl-h1")
    if not page.agents:
        Tag("div", "No agent yet. Create one with POST /v1/convai/agents/create; see /docs.", "gl-empty")
        return
    with box("gl-card gl-inbox"):
        for agent in page.agents:
            with box("gl-line", "a") as line:
                Tag("span", agent.name[:1].upper() or "A", "gl-avatar small")
                with box("gl-grow"):
                    Tag("div", agent.name, "gl-line-name")
                    Tag("div", " · ".join((agent.id, *agent.tags)), "gl-soft gl-small")
                if agent.archived:
                    Tag("span", "archived", "gl-chip")
            line.props["href"] = f"/console/agents/{agent.id}"
    if page.next_cursor:
        Tag("p", f"The newest {SHOWN} are shown.", "gl-soft")


async def draw_one(visitor: Visit, agent_id: str) -> None:
    """Draw an agent, with the parts that are changed most as a form."""
    link("← Agents", "/console/agents")
    try:
        agent = await service.get(visitor.services.pool, visitor.workspace.id, agent_id)
    except GreenlineError as error:
        Tag("div", error.message, "gl-empty")
        return
    await AgentForm(visitor, agent).restore()


@dataclass(frozen=True, slots=True)
class Values:
    """What the form holds."""

    name: str
    first_message: str
    prompt: str
    model: str

    def changes_from(self, before: Values) -> AgentChanges | None:
        """What was changed; None if nothing was. What somebody else changed meanwhile stays."""
        prompt: dict[str, Any] = {}
        if self.prompt != before.prompt:
            prompt["prompt"] = self.prompt
        if self.model != before.model:
            prompt["llm"] = self.model
        agent: dict[str, Any] = {"prompt": prompt} if prompt else {}
        if self.first_message != before.first_message:
            agent["first_message"] = self.first_message
        if self == before:
            return None
        return AgentChanges(
            name=self.name if self.name != before.name else None,
            conversation_config={"agent": agent} if agent else None,
            description="Changed in the console",
        )


class AgentForm:
    """Name, first message, prompt and model; saving makes a new version."""

    def __init__(self, visitor: Visit, agent: Agent) -> None:
        self._visitor = visitor
        self._id = agent.version.agent_id
        self._before = _values(agent)
        self._title = Tag("h1", agent.version.agent_name, "gl-h1")
        with box("gl-card gl-form"):
            self._name = ui.input("Name", value=self._before.name).props(f"outlined maxlength={MAX_NAME}")
            self._model = ui.input("Model", value=self._before.model).props("outlined")
            self._first = ui.textarea("First message", value=self._before.first_message).props("outlined rows=2")
            self._prompt = ui.textarea("Prompt", value=self._before.prompt).props("outlined rows=18")
            with box("gl-head-row"):
                button("Save as a new version", self._save, "gl-button")
                self._discard = button("Discard changes", self._forget, "gl-button gl-plain")
                self._version = Tag("span", "", "gl-soft gl-small")
        with box("gl-card gl-tool", "details"):
            Tag("summary", "Whole configuration")
            self._whole = Tag("pre", "", "gl-detail")
        self._discard.set_visibility(False)
        self._fields: dict[str, ui.input | ui.textarea] = {
            "name": self._name,
            "model": self._model,
            "first": self._first,
            "prompt": self._prompt,
        }
        for name, field in self._fields.items():
            field.props("readonly")  # until `restore` has had its say: it would write over what was typed before
            field.on("update:model-value", js_handler=KEEP % (self._id, name, self._id))
        self._show(agent)

    async def restore(self) -> None:
        """Put into the form what was being changed when the page loaded anew, as it does when the server was away."""
        try:
            kept = await ask_browser(KEPT % self._id)
        finally:
            for field in self._fields.values():
                field.props(remove="readonly")
        if not isinstance(kept, dict) or kept.pop("version", None) != self._newest:
            return  # of a version that is not the newest any more
        for name, value in kept.items():
            if name in self._fields and isinstance(value, str):
                self._fields[name].value = value
        self._discard.set_visibility(self._values() != self._before)

    async def _save(self) -> None:
        changes = self._values().changes_from(self._before)
        if changes is None:
            ui.notify("Nothing was changed.")
            return
        if not await self._visitor.is_allowed():
            ui.navigate.to("/console")
            return
        services = self._visitor.services
        try:
            agent = await service.update(services.pool, services.clock, self._visitor.workspace.id, self._id, changes)
        except ValidationError as error:
            ui.notify("; ".join(str(problem["msg"]) for problem in error.errors()), type="negative")
        except GreenlineError as error:
            ui.notify(error.message, type="negative")
        else:
            self._before = _values(agent)
            self._show(agent)
            ui.run_javascript(FORGET % self._id)
            self._discard.set_visibility(False)
            ui.notify("Saved. New conversations use this version.", type="positive")

    def _values(self) -> Values:
        return Values(
            (self._name.value or "").strip() or self._before.name,
            self._first.value or "",
            self._prompt.value or "",
            (self._model.value or "").strip(),
        )

    def _forget(self) -> None:
        ui.run_javascript(FORGET % self._id)
        before = self._before
        self._name.value, self._model.value = before.name, before.model
        self._first.value, self._prompt.value = before.first_message, before.prompt
        self._discard.set_visibility(False)

    def _show(self, agent: Agent) -> None:
        self._newest = agent.version.id
        ui.run_javascript(f"window.agentVersion = {orjson.dumps(self._newest).decode()}")
        self._title.set_text(agent.version.agent_name)
        self._version.set_text(f"Version {agent.version.id}")
        config = agent.version.conversation_config.model_dump(mode="json")
        self._whole.set_text(pretty(config))


def _values(agent: Agent) -> Values:
    spoken = agent.version.conversation_config.agent
    return Values(agent.version.agent_name, spoken.first_message, spoken.prompt.prompt, str(spoken.prompt.llm))
