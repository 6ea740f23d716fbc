"""Dynamic variables: ``{{name}}`` in prompts and messages, named in tools (reference: Personalization).

A start must bring every variable that is used. Names that begin with ``system__`` are the server's own; names that
begin with ``secret__`` go into headers only and are never shown to a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from greenline.agents.config import ConversationConfig
from greenline.errors import BadRequest
from greenline.llm.cascade import CUSTOM

SYSTEM: Final = "system__"
SECRET: Final = "secret__"  # noqa: S105 - a prefix of names
ENVIRONMENT: Final = "system__env_"
"""Before the label of an environment variable."""
OF_THE_SERVER: Final = frozenset(
    {
        "system__agent_id",
        "system__current_agent_id",
        "system__caller_id",
        "system__called_number",
        "system__call_sid",
        "system__call_id",
        "system__call_duration_secs",
        "system__conversation_id",
        "system__conversation_history",
        "system__is_text_only",
        "system__time",
        "system__time_utc",
        "system__timezone",
        "system__agent_turns",
        "system__current_agent_turns",
        "system__current_subagent_turns",
    }
)
"""What every conversation has (reference: System variables); `greenline.engine.system_variables` makes them."""

# Text in double braces that is no name, such as JSON or a template's {{1}}, is left as it stands.
_PLACEHOLDER = re.compile(r"\{\{[ \t]*([^\W\d][\w.-]*)[ \t]*\}\}")


Place: TypeAlias = Literal["first message", "prompt", "tools"]
"""Of a variable in an agent, in the reference's words; its own model and other texts count among the tools."""


class MissingVariables(BadRequest):
    """The agent uses dynamic variables that the start of the conversation did not bring."""

    code = "missing_dynamic_variable"

    def __init__(self, names: Iterable[str], place: Place) -> None:
        self.names = tuple(names)
        self.place = place
        of_environment = any(name.startswith(ENVIRONMENT) for name in self.names)
        more = f" Those that begin with {ENVIRONMENT} are environment variables: give them a value." * of_environment
        super().__init__(
            f"Missing required dynamic variables: {', '.join(self.names)}. Send them in dynamic_variables.{more}",
            variables=list(self.names),
        )


class ReservedVariable(BadRequest):
    """Names that begin with system__ are set by the server."""

    code = "reserved_dynamic_variable"


class UnknownVariable(BadRequest):
    """The server sets no dynamic variable of this name."""

    code = "unknown_system_variable"


class SecretVariable(BadRequest):
    """Variables whose name begins with secret__ can be used in request headers only."""

    code = "secret_dynamic_variable"


def placeholders(text: str) -> tuple[str, ...]:
    """The names of the variables in ``text``, each once, in the order in which they come."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def render(text: str, values: Mapping[str, Any], place: Place = "tools") -> str:
    """``text`` with its placeholders filled in once: what a value holds is never filled in again.

    Raises `MissingVariables`, which names all of them and the ``place`` of the text, and `SecretVariable`.
    """
    names = placeholders(text)
    _refuse_secrets(names)
    missing = [name for name in names if values.get(name) is None]
    if missing:
        raise MissingVariables(missing, place)
    return _PLACEHOLDER.sub(lambda match: as_text(values[match.group(1)]), text)


def environment_labels(texts: Iterable[str]) -> set[str]:
    """The labels of the environment variables that texts use."""
    names = (name for text in texts for name in placeholders(text))
    return {name.removeprefix(ENVIRONMENT) for name in names if name.startswith(ENVIRONMENT)}


def fill_environment(text: str, values: Mapping[str, str]) -> str | None:
    """``text`` with its environment variables filled in by label, and nothing else; None when one is missing."""
    if environment_labels([text]) - values.keys():
        return None
    return _PLACEHOLDER.sub(
        lambda match: (
            values[name.removeprefix(ENVIRONMENT)]
            if (name := match.group(1)).startswith(ENVIRONMENT)
            else match.group(0)
        ),
        text,
    )


def as_text(value: Any) -> str:
    """A value as it stands in a text: JSON, but for texts without the quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def check_given(values: Mapping[str, Any]) -> None:
    """Refuse names that a client may not set. Raises `ReservedVariable`."""
    reserved = [name for name in values if name.startswith(SYSTEM)]
    if reserved:
        raise ReservedVariable(f"{', '.join(reserved)}: names that begin with {SYSTEM} are set by the server.")


def shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a model, a transcript and a person may see: all but the secret ones."""
    return {name: value for name, value in values.items() if not name.startswith(SECRET)}


def check_supplied(config: ConversationConfig, values: Mapping[str, Any]) -> None:
    """Whether a conversation with the start data ``values`` can begin: what the agent uses, it brings.

    Raises `MissingVariables` with every variable that ``values`` lacks, and `SecretVariable` when a prompt or a first
    message names a secret one. Variables of the server, of the environment and those that a tool's answer fills in
    later are not asked for: `render` misses them.
    """
    _refuse_secrets([*placeholders(config.agent.first_message), *placeholders(config.agent.prompt.prompt)])
    later = assigned_later(config)
    missing = [
        name
        for name in used(config)
        if values.get(name) is None
        and name not in OF_THE_SERVER
        and name not in later
        and not name.startswith(ENVIRONMENT)
    ]
    if missing:
        raise MissingVariables(missing, _place(config, missing))


def assigned_later(config: ConversationConfig) -> frozenset[str]:
    """The variables that answers of the tools written into the agent set."""
    return frozenset(assignment.dynamic_variable for assignment in _assignments(config))


def render_prompt(config: ConversationConfig, values: Mapping[str, Any]) -> str:
    """The agent's prompt, filled in: a variable that no tool has set yet is empty. Raises as `render` does."""
    return render(config.agent.prompt.prompt, {**dict.fromkeys(assigned_later(config), ""), **values}, "prompt")


def check_system(config: ConversationConfig) -> None:
    """Whether the server sets every variable of its own that the agent uses. Raises `UnknownVariable`.

    A conversation of an agent with such a slip could never begin. Environment variables may come later.
    """
    own = (name for name in used(config) if name.startswith(SYSTEM) and not name.startswith(ENVIRONMENT))
    if unknown := [name for name in own if name not in OF_THE_SERVER]:
        raise UnknownVariable(
            f"{', '.join(unknown)}: the server sets no such variable. It knows {', '.join(sorted(OF_THE_SERVER))} "
            f"and {ENVIRONMENT}<label>."
        )


def used(config: ConversationConfig) -> tuple[str, ...]:
    """The variables that first message, prompt, own model and the tools written into the agent name, each once."""
    prompt = config.agent.prompt
    names = [*placeholders(config.agent.first_message), *placeholders(prompt.prompt)]
    if prompt.llm == CUSTOM and prompt.custom_llm is not None:
        names.extend(_named(prompt.custom_llm.model_dump(mode="json")))
    for tool in prompt.tools:
        names.extend(_named(tool.model_dump(mode="json", exclude={"dynamic_variables", "assignments"})))
    return tuple(dict.fromkeys(names))


def _place(config: ConversationConfig, names: Sequence[str]) -> Place:
    """Where ``names`` are used."""
    if {*placeholders(config.agent.first_message)}.issuperset(names):
        return "first message"
    return "prompt" if {*placeholders(config.agent.prompt.prompt)} & {*names} else "tools"


def _refuse_secrets(names: Iterable[str]) -> None:
    """What a model, a transcript and a person may not see is filled into no text of theirs."""
    secrets = [name for name in names if name.startswith(SECRET)]
    if secrets:
        raise SecretVariable(f"{', '.join(secrets)}: variables that begin with {SECRET} go into headers only.")


def _named(value: Any) -> Iterator[str]:
    """Names in a tool: sources of its parameters and values of its headers."""
    if isinstance(value, dict):
        for key in ("dynamic_variable", "variable_name"):
            if isinstance(value.get(key), str) and value[key]:
                yield value[key]
        for child in value.values():
            yield from _named(child)
    elif isinstance(value, list):
        for child in value:
            yield from _named(child)


def _assignments(config: ConversationConfig) -> Iterator[Any]:
    for tool in config.agent.prompt.tools:
        yield from getattr(tool, "assignments", ())
