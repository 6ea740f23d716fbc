"""The tool with which a model switches a conversation to another language (reference: Language detection)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from greenline.llm.models import ToolSpec
from greenline.tools.models import ToolContext, ToolResult

NAME: Final = "language_detection"
DESCRIPTION: Final = (
    "Switch the conversation to another language before you answer: when the person speaks or writes one that is not "
    "the present one, or asks for one. A borrowed word or a name is no other language."
)


@dataclass(frozen=True, slots=True)
class LanguageDetection:
    """``languages`` are codes such as ``de``, among them the ``present`` one; ``too_late`` refuses every switch."""

    languages: tuple[str, ...]
    present: str
    description: str = DESCRIPTION
    too_late: bool = False
    type: str = "system"
    has_effect: bool = False

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        properties = {
            "reason": {"type": "string", "description": "Why the language changes."},
            "language": {"type": "string", "enum": list(self.languages)},
        }
        schema = {"type": "object", "properties": properties, "required": ["reason", "language"]}
        return ToolSpec(NAME, f"{self.description} The present language is {self.present}.", schema)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say in which language the conversation goes on."""
        wanted = self._known(str(arguments.get("language") or ""))
        if wanted is None:
            known = ", ".join(self.languages)
            text = f"The conversation stays in {self.present}. It can be in one of: {known}."
            return ToolResult(text, is_error=True, error_type="invalid_arguments")
        if wanted == self.present:
            return ToolResult(f"The conversation is in {wanted} already.")
        if self.too_late:
            text = f"The conversation stays in {self.present}: the language can change at its beginning only."
            return ToolResult(text, is_error=True, error_type="too_late")
        return ToolResult(f"The conversation is in {wanted} now: answer in that language.", language=wanted)

    def _known(self, wanted: str) -> str | None:
        """The language that is meant: models write ``de-DE`` and ``DE`` for ``de``."""
        tag = wanted.strip().replace("_", "-").casefold()
        by_tag = {language.casefold(): language for language in self.languages}
        return by_tag.get(tag) or by_tag.get(tag.partition("-")[0])
