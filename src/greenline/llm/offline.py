"""The offline model: deterministic, without key or network, and honest about what it is.

It answers from the text that the agent was given, and from text files of the person: greetings, thanks and goodbyes
as a polite person would, questions by the one or two sentences that speak of them (`greenline.llm.passages`), the
wish to see everything by a list. What it does not find it says so, and names the contact of the prompt, if there is
one. A script (`greenline.llm.script`) is tried before anything else.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from greenline.llm.models import (
    FilePart,
    Message,
    ModelReply,
    ModelRequest,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolCall,
    ToolSpec,
    Usage,
)
from greenline.llm.offline_judge import judgement
from greenline.llm.parts import text_of
from greenline.llm.passages import Passage, passages
from greenline.llm.phrases import Language, asked, concepts, detect
from greenline.llm.retrieval import Index, terms
from greenline.llm.script import Scene, on_result, on_words, without_rules

ENOUGH: Final = 0.45
"""Share of a question, by weight of its words, that a passage must speak of to be an answer."""
ALSO: Final = 0.75
"""A second sentence is said as well when it is nearly as good as the first."""
MOST_NAMED: Final = 2
"""Items that are told of because a question has a word of their names; more have it by chance: "plant"."""
PLAIN: Final = 0.6
"""Share of a wish that a tool's description must speak of, with two terms at least, to be called."""
FAREWELL_TERMS: Final = 6
"""A longer message that says goodbye asks for something as well."""
ROW_TITLE, ROW_TEXT, BUTTON_TITLE, MAX_ROWS, MAX_BUTTONS = 24, 72, 20, 10, 3  # Meta: interactive lists and buttons
_SPOKEN: Final = re.compile(r"\[(?:Voice message|Audio file|Voicemail)\] ")
_REACTED: Final = re.compile(r"(?:\[In reply to: “.*”\]\n)?\[Reacted with ([^\]]+)\]", re.DOTALL)
_TAPPED: Final = re.compile(
    r"(?:\[In reply to: “.*”\]\n)?\[(?:Button|Chosen from the list): (.*?)(?: \(id: .*\))?\]", re.DOTALL
)
_ORDERED: Final = re.compile(r"\[Order from the catalogue")
_KNOWN_TOOLS: Final = frozenset(
    {"end_call", "skip_turn", "language_detection", "send_interactive_list", "send_interactive_buttons"}
)


class OfflineModel:
    """The provider of the model ``offline``. ``script`` holds rules for every agent, after the agent's own."""

    def __init__(self, script: str = "") -> None:
        self._script = script

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        """The whole text as one delta, then the reply. Only a script raises `greenline.llm.errors.ModelError`."""
        begun = time.perf_counter()
        scene = Scene([judgement(request.judging)]) if request.judging else self._scene(_Talk.of(request))
        if scene.wait:
            await asyncio.sleep(scene.wait)
        if scene.fails:
            raise scene.fails
        text = "\n".join(scene.said)
        if text:
            yield TextDelta(text)
        seconds = time.perf_counter() - begun
        words = sum(len(message.text.split()) for message in request.messages)
        usage = Usage(words, len(text.split()))
        yield ModelReply(request.model, text, tuple(scene.calls), usage, (), seconds, seconds)

    def _scene(self, talk: _Talk) -> Scene:
        return self._scripted(talk) or talk.answer()

    def _scripted(self, talk: _Talk) -> Scene | None:
        script = f"{talk.prompt}\n{self._script}"
        if talk.result is not None:
            return on_result(script, talk.result_of, talk.result)
        return on_words(script, talk.written)


@dataclass(frozen=True, slots=True)
class _Talk:
    """What there is to answer, and from what."""

    prompt: str
    attached: tuple[str, ...]
    written: str
    """What the person sent, for scripts."""
    words: str
    """What they said with it: of a button or a row its title."""
    asked: str
    """The words without greetings, thanks and polite words around what they ask for."""
    language: Language
    tools: tuple[ToolSpec, ...]
    files: tuple[FilePart, ...]
    has_met: bool
    result: str | None
    result_of: str

    @classmethod
    def of(cls, request: ModelRequest) -> _Talk:
        """The first text of the system message is the prompt; others tell a model about style and earlier talks."""
        system = [message.parts[0] for message in request.messages if message.role == "system" and message.parts]
        people = [message for message in reversed(request.messages) if message.role == "user"]
        last = request.messages[-1] if request.messages else Message("user")
        written = _words(people[0]) if people else ""
        tapped = _TAPPED.fullmatch(written.strip())
        said = tapped[1] if tapped else written
        return cls(
            prompt="\n".join(part.text for part in system if isinstance(part, TextPart)),
            attached=tuple(text for part in _files(request.messages) if (text := text_of(part)) is not None),
            written=written,
            words=said,
            asked=asked(said),
            language=detect(map(_words, people)),
            tools=request.tools,
            files=tuple(part for part in _files([last]) if text_of(part) is None),
            has_met=any(message.role == "assistant" for message in request.messages),
            result=last.text if last.role == "tool" else None,
            result_of=_called(request, last.tool_call_id),
        )

    def answer(self) -> Scene:
        """Without a script."""
        if self.result is not None:
            return Scene([_readable(self.result) or self.language.say["done"]])
        return self._farewell() or self._small_talk() or self._menu() or self._tool() or self._looked_up()

    def _farewell(self) -> Scene | None:
        if not self.language.goodbye.search(self.words) or len(terms(self.words, "en")) > FAREWELL_TERMS:
            return None
        if not self._offers("end_call"):
            return Scene([self.language.say["goodbye"]])
        arguments = {"reason": "The person said goodbye.", "message": self.language.say["goodbye"]}
        return _call("end_call", arguments)

    def _small_talk(self) -> Scene | None:
        language, words = self.language, self.words
        if language.greeting.match(words) or (not words.strip() and not self.files):
            return Scene([language.say["again" if self.has_met else "greeting"]])
        if (thanks := language.thanks.match(words)) and "?" not in words and not self._goes_on(words[thanks.end() :]):
            return Scene([language.say["thanks"]])
        if self.has_met and language.yes.match(words):
            return Scene([language.say["again"]])
        if self.has_met and language.no.match(words):
            return Scene([language.say["no_more"]])
        if language.nod.match(words) or (words.strip() and not any(letter.isalnum() for letter in words)):
            return Scene([language.say["nod" if self.has_met else "greeting"]])
        if words.strip() and not self.asked:
            return Scene([language.say["again" if self.has_met else "greeting"]])
        return Scene([language.say["honest"]]) if language.who.search(words) else None

    def _goes_on(self, rest: str) -> bool:
        """Whether ``rest``, which stands after thanks, is a sentence of its own about what is known."""
        return rest.lstrip().startswith((".", "!")) and self._found() is not None

    def _menu(self) -> Scene | None:
        wish = self.language.options.search(self.asked)
        is_wish = wish is not None and not concepts(wish["kind"] or "")  # "your opening hours" are no kind of thing
        items = _items(self._passages()) if is_wish else ()
        if not items:
            return None
        say = self.language.say
        titles = list(dict.fromkeys(_cut(_name(item), BUTTON_TITLE) for item in items))
        if len(titles) == len(items) <= MAX_BUTTONS and self._offers("send_interactive_buttons"):
            buttons = [{"id": f"item_{at}", "title": title} for at, title in enumerate(titles, 1)]
            return _call("send_interactive_buttons", {"body_text": say["choose"], "buttons": buttons})
        if self._offers("send_interactive_list"):
            section = {
                "title": _cut(items[0].section, ROW_TITLE),
                "rows": [_row(at, i) for at, i in enumerate(items, 1)],
            }
            arguments = {"body_text": say["choose"], "button_text": say["open_list"], "sections": [section]}
            return _call("send_interactive_list", arguments)
        return Scene([say["items"].format(items=", ".join(_name(item) for item in items))])

    def _tool(self) -> Scene | None:
        """A tool that needs no argument and whose description plainly speaks of the wish."""
        callable_ = [
            tool for tool in self.tools if tool.name not in _KNOWN_TOOLS and not tool.parameters.get("required")
        ]
        index = Index([f"{tool.name.replace('_', ' ')}: {tool.description}" for tool in callable_], "en")
        hits = index.search(self.asked)
        if not hits or index.coverage(self.asked, hits[0][1]) < PLAIN or index.shared(self.asked, hits[0][1]) < 2:
            return None
        return _call(callable_[hits[0][1]].name, {})

    def _looked_up(self) -> Scene:
        found = self._found()
        if found:
            return Scene([found])
        say = self.language.say
        if self.files:
            return Scene([say["file"].format(name=self.files[0].filename)])
        contact = next((passage for passage in self._passages() if _is_contact(passage)), None)
        return Scene([f"{say['unknown']} {contact.sentence if contact else say['rephrase']}"])

    def _found(self) -> str | None:
        known = self._passages()
        index = _index(known)
        hits = index.search(self.asked)
        if not hits or index.coverage(self.asked, hits[0][1]) < ENOUGH:
            return self._named(known)
        (score, best), *others = hits
        also = next((at for other, at in others[:1] if other >= ALSO * score), None)
        places = sorted({best, best if also is None else also})
        return " ".join(known[place].sentence for place in places)

    def _named(self, known: tuple[Passage, ...]) -> str | None:
        """The items of lists that the person calls by a word of their names, if it is not said of many."""
        language = _language_of(known)
        spoken = set(terms(self.asked, language))
        items = {item.sentence: _name(item) for item in known if item.is_item and ":" in item.text}
        named = [sentence for sentence, name in items.items() if spoken & set(terms(name, language))]
        return " ".join(named) if 0 < len(named) <= MOST_NAMED else None

    def _passages(self) -> tuple[Passage, ...]:
        """Of the prompt, and of the texts that the person has attached."""
        texts = (without_rules(self.prompt), *self.attached)
        return tuple(passage for text in texts for passage in passages(text))

    def _offers(self, name: str) -> bool:
        return any(tool.name == name for tool in self.tools)


def _files(messages: Iterable[Message]) -> Iterator[FilePart]:
    return (part for message in messages for part in message.parts if isinstance(part, FilePart))


@lru_cache(maxsize=64)
def _words(message: Message) -> str:
    """What the person said, without what the channel says of how they said it."""
    reaction = _REACTED.fullmatch(message.text.strip())
    return reaction[1] if reaction else _ORDERED.sub("[Order", _SPOKEN.sub("", message.text))


def _index(known: tuple[Passage, ...]) -> Index:
    return Index([f"{passage.section}: {passage.text}" for passage in known], _language_of(known))


def _language_of(known: tuple[Passage, ...]) -> str:
    return detect([" ".join(passage.text for passage in known)]).code


def _call(name: str, arguments: dict[str, Any]) -> Scene:
    return Scene(calls=[ToolCall("offline_0", name, arguments)])


def _called(request: ModelRequest, call_id: str | None) -> str:
    calls = (call for message in request.messages for call in message.tool_calls)
    return next((call.name for call in calls if call.id == call_id), "")


def _readable(result: str) -> str:
    """A tool's result as a person can read it: plain values of a JSON object, or the text itself."""
    try:
        data = json.loads(result)
    except json.JSONDecodeError:
        return result
    if not isinstance(data, dict):
        return result
    plain = {name: value for name, value in data.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in plain.items())


def _items(known: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """The items of the longest list: what a business sells is what it has most to say about."""
    sections: dict[str, list[Passage]] = {}
    for passage in known:
        if passage.is_item and _name(passage):
            sections.setdefault(passage.section, []).append(passage)
    longest = max(sections.values(), key=len, default=[])
    return tuple({_name(item): item for item in longest}.values())[:MAX_ROWS] if len(longest) > 1 else ()


def _is_contact(passage: Passage) -> bool:
    has_number = sum(letter.isdigit() for letter in passage.text) >= 6 and "+" in passage.text
    return has_number or "@" in passage.text or ("contact" in concepts(passage.section) and "http" in passage.text)


def _row(place: int, item: Passage) -> dict[str, str]:
    name, _, rest = item.text.partition(":")
    description = _cut(rest, ROW_TEXT) or _cut(name, ROW_TEXT)
    return {"id": f"item_{place}", "title": _cut(name, ROW_TITLE), "description": description}


def _name(item: Passage) -> str:
    return item.text.partition(":")[0].strip()


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
