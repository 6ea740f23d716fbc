"""What a prompt knows, in sentences that can be said to a person.

A prompt is written for a model: it says who the agent is and how it should behave, and somewhere what it should know.
Only the last is for people. Where a prompt has headings, their sections are knowledge, except those whose heading
speaks of the agent (role, tone, goal, rules, ...), and the text before the first heading is not. Sentences that tell
the agent what to do are left out everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_CHARACTERS: Final = 300
"""A longer passage is no sentence that a person would write in a chat."""

_HEADING: Final = re.compile(r"^\s*(?:#{1,6}\s*(?P<marked>.{1,300}?)\s*#*|\*\*(?P<bold>[^*]+?):?\*\*:?)\s*$")
_ITEM: Final = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_ROW: Final = re.compile(r"^\s*\|(?P<cells>.+)\|\s*$")
_RULE: Final = re.compile(r"^\s*\|[\s|:-]+\|\s*$")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-Þ0-9¿¡“\"'])")
_MARKUP: Final = re.compile(r"\*\*|__|`+|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)")
_OF_THE_AGENT: Final = re.compile(
    r"""\b(?:
        role|persona|personality|identity|character|goals?|objectives?|tasks?|instructions?|guidelines?|guardrails?
        |rules?|restrictions?|limits?|tone|style|voice|behaviou?r|tools?|environment|workflow|steps?|format|examples?
        |rolle|persönlichkeit|ziele?|aufgaben?|anweisungen?|regeln|stil|verhalten|werkzeuge|beispiele
        |rol|personalidad|objetivos?|tareas?|instrucciones|reglas|tono|estilo|herramientas
        |rôle|personnalité|objectifs?|tâches?|règles|ton|outils
        |papel|personalidade|tarefas?|instruções|regras|tom|ferramentas
        |ruolo|personalità|obiettiv[oi]|compiti|istruzioni|regole|stile|strumenti
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_INSTRUCTION: Final = re.compile(
    r"""^(?:
        you\ are|you're|you\ (?:must|should|will|speak|help|answer|work|have\ to|never|always)
        |your\ (?:name|role|job|goal|task)|act\ as|pretend|refer\ to|stay|introduce|greet|remember
        |never|always|do\ not|don't|avoid|make\ sure|only|keep|use|answer|respond|reply|speak|write
        |be\ (?:warm|brief|polite|kind|short|friendly|helpful|concise)
        |(?:if|when)\ (?:you|they|someone|somebody|asked|the\ (?:customer|user|person|caller|client))
        |tell\ (?:the|them|people)|ask\ (?:the|them|for)|offer\ (?:the|them)|call\ the
        |du\ (?:bist|sollst|musst)|sie\ sind\ ein|antworte|eres|responde|tu\ es|vous\ êtes\ (?:un|une|l)|réponds
        |você\ é|responda|sei\ (?:un|una|l)|rispondi
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence, or an item of a list, below a heading."""

    text: str
    section: str
    is_item: bool

    @property
    def sentence(self) -> str:
        """As it is said."""
        return self.text if self.text.endswith((".", "!", "?", "…", ":")) else f"{self.text}."


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, an item or a row of a table, its lines joined."""

    text: str
    section: str | None
    is_item: bool


@lru_cache(maxsize=64)
def passages(prompt: str) -> tuple[Passage, ...]:
    """The sentences of a prompt that are for people."""
    blocks = tuple(_blocks(prompt))
    known = [block for block in blocks if block.section is not None and not _OF_THE_AGENT.search(block.section)]
    return tuple(_sentences(known or blocks))


def _sentences(blocks: list[_Block] | tuple[_Block, ...]) -> Iterator[Passage]:
    for block in blocks:
        pieces = [block.text] if block.is_item else _SENTENCE.split(block.text)
        for piece in pieces:
            text = _MARKUP.sub("", piece).strip()
            if text and len(text) <= MAX_CHARACTERS and not _INSTRUCTION.match(text):
                yield Passage(text, block.section or "", block.is_item)


def _blocks(prompt: str) -> Iterator[_Block]:
    section: str | None = None
    lines: list[str] = []
    is_item = False

    def ended() -> Iterator[_Block]:
        if lines:
            yield _Block(" ".join(lines), section, is_item)
            lines.clear()

    for line in _without_table_heads(prompt.splitlines()):
        heading, row = _HEADING.match(line), _ROW.match(line)
        starts = heading or row or _ITEM.match(line)
        if starts or not line.strip():
            yield from ended()
        if heading:
            section = heading["marked"] or heading["bold"]
        elif row:
            is_item = True
            yield from _row(row["cells"], section)
        elif line.strip():
            is_item = bool(starts) or (is_item and bool(lines))
            lines.append(_ITEM.sub("", line).strip())
    yield from ended()


def _without_table_heads(lines: list[str]) -> Iterator[str]:
    """Lines without the first row of a table and the rule below it."""
    for line, following in zip(lines, [*lines, ""][1:], strict=True):
        if not _RULE.match(line) and not (_ROW.match(line) and _RULE.match(following)):
            yield line


def _row(cells: str, section: str | None) -> Iterator[_Block]:
    first, *others = (cell.strip() for cell in cells.split("|"))
    rest = ", ".join(cell for cell in others if cell)
    yield _Block(f"{first}: {rest}" if rest else first, section, is_item=True)
