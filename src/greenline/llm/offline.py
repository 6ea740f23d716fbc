"""The offline model: deterministic, without key or network, and honest about what it is.

It answers from the text that the agent was given: greetings, thanks and goodbyes as a polite person would, and
questions by the passage that speaks of them. What it does not find it says so. Passages are the paragraphs, list
items and sentences below a heading such as ``# Knowledge``; instructions to the agent are never read out.

A prompt can hold a script, one rule a line, that is tried before anything else::

    offline: when <regular expression> -> say <text> ; call <tool> <JSON> ; wait <seconds> ; fail <kind>

In what is said, ``\\1`` stands for the first group of the expression, as in `re.Match.expand`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, get_args

from greenline.llm.errors import Kind, ModelError
from greenline.llm.models import FilePart, ModelReply, ModelRequest, StreamEvent, TextDelta, ToolCall, Usage
from greenline.llm.retrieval import Index, terms

NAME: Final = "offline"
HONEST: Final = (
    "I'm Greenline's offline model, a program that looks answers up in what this business gave me. "
    "I don't understand language as a large model does."
)
ENOUGH: Final = 0.35
"""Share of a question, by weight of its words, that a passage must speak of to be an answer."""
ALSO: Final = 0.75
"""A second passage is told as well when it is nearly as good as the first."""

_RULE: Final = re.compile(r"^\s*offline:\s*when\s+(?P<when>.+?)\s*->\s*(?P<then>.+?)\s*$", re.MULTILINE)
_HEADING: Final = re.compile(r"^\s*#{1,6}\s*(?P<title>.+?)\s*#*\s*$")
_KNOWLEDGE: Final = re.compile(
    r"knowledge|catalog|product|menu|price|polic|facts?\b|information|faq|hours|deliver|return|warranty|service"
    r"|contact|about|shop|store|offer|repair|payment",
    re.IGNORECASE,
)
_CATALOGUE: Final = re.compile(r"catalog|product|menu|range|offer|assortment", re.IGNORECASE)
_ITEM: Final = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_INSTRUCTION: Final = re.compile(
    r"^(you|your|never|always|do not|don't|be|answer|if|use|keep|ask|speak|write|offer)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-ZÀ-Þ0-9“\"'])")
_CONTACT: Final = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\+?\d[\d\s()/-]{6,}\d")

_GREETING: Final = re.compile(
    r"^\W*(hi|hello|hey|hiya|good (morning|afternoon|evening)|hallo|moin|guten (tag|morgen|abend)|hola|buen[oa]s"
    r"( d[ií]as| tardes| noches)?|bonjour|salut|ciao|buongiorno|ol[aá]|bom dia)( there| again| all)?\W*$",
    re.IGNORECASE,
)
_THANKS: Final = re.compile(
    r"^\W*(ok(ay)?,?\s+)?(great,?\s+)?(many |much )?"
    r"(thanks?|thank you|thx|cheers|danke|gracias|merci|grazie|obrigad[oa])\b.{0,40}$",
    re.IGNORECASE,
)
_GOODBYE: Final = re.compile(
    r"\b(bye|goodbye|good ?night|see you|that'?s all|that is all|tsch[uü]ss|auf wiedersehen|adi[oó]s|au revoir"
    r"|arrivederci|tchau)\b",
    re.IGNORECASE,
)
_WHO: Final = re.compile(
    r"\b(who|what) are you\b|\bare you (a |an )?(bot|robot|human|real|person|ai|machine)\b|\bam i talking to\b",
    re.IGNORECASE,
)
_OPTIONS: Final = re.compile(
    r"\b(what do you (have|sell|offer)|catalog(ue)?|menu|products?|options|assortment|show me (everything|all)"
    r"|what can i (buy|order|get))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Passage:
    text: str
    section: str
    is_item: bool


class OfflineModel:
    """The provider of the model ``offline``."""

    async def stream(self, request: ModelRequest, model: str) -> AsyncIterator[StreamEvent]:
        """The whole text as one delta, then the reply."""
        begun = time.perf_counter()
        prompt = "\n".join(message.text for message in request.messages if message.role == "system")
        scripted = _script(prompt, _last_words(request))
        text, calls = await scripted.play() if scripted else _answer(prompt, request)
        if text:
            yield TextDelta(text)
        seconds = time.perf_counter() - begun
        words = sum(len(message.text.split()) for message in request.messages)
        yield ModelReply(request.model, text, calls, Usage(words, len(text.split())), (), seconds, seconds)


@dataclass(frozen=True, slots=True)
class _Script:
    actions: tuple[str, ...]

    async def play(self) -> tuple[str, tuple[ToolCall, ...]]:
        said: list[str] = []
        calls: list[ToolCall] = []
        for action in self.actions:
            verb, _, rest = action.strip().partition(" ")
            if verb == "say":
                said.append(rest)
            elif verb == "call":
                name, _, arguments = rest.partition(" ")
                calls.append(ToolCall(f"offline_{len(calls)}", name, _arguments(arguments)))
            elif verb == "wait":
                await asyncio.sleep(float(rest))
            elif verb == "fail" and rest in get_args(Kind):
                raise ModelError(rest, "the script says so")  # type: ignore[arg-type]
            else:
                raise ModelError("configuration", f"the offline script has no action {action.strip()!r}")
        return "\n".join(said), tuple(calls)


def _arguments(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise ModelError("configuration", f"the offline script calls with no JSON: {text!r}") from error
    if not isinstance(value, dict):
        raise ModelError("configuration", f"the offline script calls with no object: {text!r}")
    return value


def _script(prompt: str, words: str) -> _Script | None:
    for rule in _RULE.finditer(prompt):
        try:
            matches = re.search(rule["when"], words, re.IGNORECASE)
            then = matches.expand(rule["then"]) if matches and "\\" in rule["then"] else rule["then"]
        except re.error as error:
            raise ModelError("configuration", f"the offline script has a bad expression: {rule['when']}") from error
        if matches:
            return _Script(tuple(re.split(r"\s+;\s+(?=(?:say|call|wait|fail)\b)", then)))
    return None


def _last_words(request: ModelRequest) -> str:
    for message in reversed(request.messages):
        if message.role == "user":
            return message.text
    return ""


def _answer(prompt: str, request: ModelRequest) -> tuple[str, tuple[ToolCall, ...]]:
    if request.messages and request.messages[-1].role == "tool":
        return _after_tool(request), ()
    words = _last_words(request)
    tools = {tool.name for tool in request.tools}
    if _GOODBYE.search(words) and len(terms(words)) <= 6:
        if "end_call" in tools:
            call = ToolCall("offline_0", "end_call", {"reason": "The person said goodbye.", "message": "Goodbye!"})
            return "", (call,)
        return "Goodbye!", ()
    simple = _small_talk(words, request)
    if simple:
        return simple, ()
    passages = _passages(prompt)
    if _OPTIONS.search(words) and (menu := _menu(passages, tools)):
        return "", (menu,)
    return _found(words, passages) or _not_found(prompt, request), ()


def _small_talk(words: str, request: ModelRequest) -> str | None:
    if _GREETING.match(words):
        met = any(message.role == "assistant" for message in request.messages)
        return "What can I do for you?" if met else "Hello! What can I do for you?"
    if _THANKS.match(words):
        return "You're welcome!"
    return HONEST if _WHO.search(words) else None


def _after_tool(request: ModelRequest) -> str:
    result = request.messages[-1].text
    return result if result else "Done."


def _found(words: str, passages: tuple[_Passage, ...]) -> str | None:
    index = _index(passages)
    hits = index.search(words)
    if not hits or index.coverage(words, hits[0][1]) < ENOUGH:
        return None
    best = hits[0]
    told = [best[1], *(text for score, text in hits[1:3] if score >= ALSO * best[0])]
    shown = {f"{p.section}: {p.text}": p.text for p in passages}
    return " ".join(_sentence(shown[text]) for text in told)


def _sentence(text: str) -> str:
    text = re.sub(r"[*_`]+", "", text).strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _not_found(prompt: str, request: ModelRequest) -> str:
    files = [part for message in request.messages[-1:] for part in message.parts if isinstance(part, FilePart)]
    if files:
        return f"I've received {files[0].filename}, but I'm an offline model and can't look into files."
    contact = next((p.text for p in _passages(prompt) if _CONTACT.search(p.text)), None)
    answer = "I can't find that in what I was given."
    return f"{answer} {_sentence(contact)}" if contact else f"{answer} Could you put it another way?"


def _menu(passages: tuple[_Passage, ...], tools: set[str]) -> ToolCall | None:
    items = [p for p in passages if p.is_item and _CATALOGUE.search(p.section)][:10]
    if not items or "send_interactive_list" not in tools:
        return None
    rows = []
    for place, item in enumerate(items):
        name, _, rest = re.sub(r"[*_`]+", "", item.text).partition(":")
        rows.append({"id": f"item_{place + 1}", "title": _cut(name, 24), "description": _cut(rest or name, 72)})
    arguments = {
        "body_text": "Here is what we have. Choose something to hear more about it.",
        "button_text": "See the list",
        "sections": [{"title": _cut(items[0].section, 24), "rows": rows}],
    }
    return ToolCall("offline_0", "send_interactive_list", arguments)


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


@lru_cache(maxsize=64)
def _passages(prompt: str) -> tuple[_Passage, ...]:
    lines = _RULE.sub("", prompt).splitlines()
    headed = any(_is_knowledge(line) for line in lines)
    found: list[_Passage] = []
    section, taking = "", not headed
    for line in lines:
        heading = _HEADING.match(line)
        if heading:
            section, taking = heading["title"], not headed or _is_knowledge(line)
        elif taking and line.strip():
            is_item = _ITEM.match(line) is not None
            text = _ITEM.sub("", line).strip()
            pieces = [text] if is_item else _SENTENCE.split(text)
            found.extend(_Passage(piece, section, is_item) for piece in pieces if headed or _is_fact(piece))
    return tuple(found)


@lru_cache(maxsize=64)
def _index(passages: tuple[_Passage, ...]) -> Index:
    return Index([f"{passage.section}: {passage.text}" for passage in passages])


def _is_knowledge(line: str) -> bool:
    heading = _HEADING.match(line)
    return heading is not None and _KNOWLEDGE.search(heading["title"]) is not None


def _is_fact(text: str) -> bool:
    return not _INSTRUCTION.match(text)
