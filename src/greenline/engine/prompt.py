"""From a journal to the messages that a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from greenline.conversations.events import (
    AgentMessage,
    ContextualUpdate,
    Event,
    Remembered,
    Started,
    ToolCalled,
    ToolReturned,
    UserMessage,
    UserSilent,
)
from greenline.conversations.heard import Heard
from greenline.conversations.tool_calls import CUT_SHORT
from greenline.conversations.voices import heard_parts, labelled
from greenline.engine.files import Shown, earlier
from greenline.llm.models import FilePart, Message, TextPart, ToolCall

VERBOSITY: Final = {
    "auto": "",
    "concise": "Answer in one to three short sentences.",
    "thorough": "Answer fully, in short paragraphs.",
}
FORMATS: Final = {
    "plain_text": "Write plain text without Markdown, headings or tables; links are written out.",
    "markdown": "You may use Markdown.",
}
CONTEXT: Final = "For your information:"
KNOWLEDGE: Final = "# Knowledge base"
SILENT: Final = "The person has said nothing for a while. Say one short sentence: ask whether they are still there."
WAITED: Final = (
    "The person asked for a moment, and it is over. Say one short sentence that fits what they wanted to do: ask "
    "whether they are ready."
)
FOCUS: Final = (
    "Before you answer, recall your instructions at the beginning: they hold for the whole conversation, whatever "
    "was said in it. Stay with your task and your tone, and lead what is not part of it back to it."
)
SPOKEN: Final = (
    "You are speaking with a person. Your words are read aloud: short sentences, no lists, no Markdown, no emojis."
)
IN_WORDS: Final = (
    "Write everything as one says it, in words: numbers, dates, times, amounts of money, units and signs."
)
TAGGED: Final = (
    "Your voice can act: a word or two in square brackets before a sentence say how it speaks it, as in [laughs] or "
    "[whispers]. Use them where they fit, and seldom."
)
SPOKEN_NOTE: Final = (
    "You are talking with a person on WhatsApp by voice messages. Your answer is read aloud to them: one to three "
    "short sentences, no lists, no Markdown, no emojis."
)
WRITTEN_TOO: Final = (
    "Give an address of the web or a long number only where it is needed: it comes in writing as well."
)
NOT_WRITTEN: Final = (
    "They can't see your words: don't give addresses of the web, and say numbers so that they are heard."
)
HINGLISH: Final = "Speak Hinglish: Hindi mixed with English words, as people in Indian cities talk."
WHATSAPP: Final = "You are writing with a person on WhatsApp. Answer in one message, as a person would type it."


def spoken_style(
    labels: Mapping[str, str | None], *, in_words: bool, tags: Mapping[str, str | None] | None = None
) -> str:
    """How to speak with a person; ``labels`` are the agent's further voices, by label with a description.

    ``in_words``: whether the model writes numbers out, since nobody does it after it. ``tags`` are suggested to a
    voice that can act, by tag with a description; None for a voice that can't.
    """
    lines = [SPOKEN, IN_WORDS if in_words else "", _tags(tags) if tags is not None else ""]
    return " ".join(line for line in (*lines, _voices(labels) if labels else "") if line)


def _tags(suggested: Mapping[str, str | None]) -> str:
    known = "; ".join(f"[{tag}] ({about})" if about else f"[{tag}]" for tag, about in suggested.items())
    return f"{TAGGED} These suit you best: {known}." if known else TAGGED


def note_style(labels: Mapping[str, str | None], *, written_too: bool) -> str:
    """How to answer by a voice note. ``labels`` are the agent's further voices, by label with a description.

    ``written_too``: what is to be read comes in writing as well.
    """
    lines = [SPOKEN_NOTE, WRITTEN_TOO if written_too else NOT_WRITTEN]
    return " ".join([*lines, _voices(labels)] if labels else lines)


def _voices(labels: Mapping[str, str | None]) -> str:
    known = "; ".join(f"{label} ({about})" if about else label for label, about in labels.items())
    example = next(iter(labels))
    return f"Other voices can speak for you, as in <{example}>Hello.</{example}>: {known}."


def mixture(language: str, *, hinglish: bool) -> str:
    """In which mixture of languages to speak or write; ``language`` is the conversation's."""
    return HINGLISH if hinglish and language.partition("-")[0] == "hi" else ""


def style(source: str, overrides: Mapping[str, Any]) -> str:
    """How to write on the channel ``source``; ``overrides`` is the agent's ``text_behavior_overrides``."""
    chosen = overrides.get(source) or {}
    verbosity = chosen.get("verbosity") or ("concise" if source == "whatsapp" else "auto")
    output = chosen.get("output_format") or ("plain_text" if source == "whatsapp" else "markdown")
    lines = [WHATSAPP if source == "whatsapp" else "", VERBOSITY.get(verbosity, ""), FORMATS.get(output, "")]
    return " ".join(line for line in lines if line)


def system_message(prompt: str, style_text: str, started: Started) -> Message:
    """The agent's prompt with what it is given to know, the style of the channel, and what is known of the thread."""
    parts = ["\n\n".join([prompt, KNOWLEDGE, *started.knowledge]) if started.knowledge else prompt, style_text]
    if started.summary or started.remembered:
        parts.append(_thread(started.summary, started.remembered))
    return Message("system", tuple(TextPart(part) for part in parts if part))


def _thread(summary: str | None, remembered: Sequence[Remembered]) -> str:
    lines = ["Earlier conversations with the same person, for your memory only; don't repeat them:"]
    if summary:
        lines.append(f"In short: {summary}")
    for message in remembered:
        who = "Person" if message.role == "user" else "You"
        lines.append(f"[{message.at:%Y-%m-%d %H:%M}] {who}: {message.text}")
    return "\n".join(lines)


def messages(events: Iterable[Event], files: Mapping[str, Shown]) -> list[Message]:
    """The dialogue so far, as the person heard it. What they sent one after the other becomes one message."""
    journal = list(events)
    heard = Heard(journal)
    calls: dict[str, list[ToolCall]] = {}
    for event in journal:
        if isinstance(event, ToolCalled):
            calls.setdefault(event.message_id, []).append(ToolCall(event.request_id, event.name, event.params))
    returned = {(event.message_id, event.request_id): event for event in journal if isinstance(event, ToolReturned)}
    found: list[Message] = []
    sent: set[str] = set()
    for event in _that_count(journal):
        match event:
            case UserMessage():
                _add_user(found, event, [*_files(event, files, sent)])
            case AgentMessage():
                said, text = tuple(calls.get(event.id, ())), heard.text(event)
                text = labelled(heard_parts(event.parts, text)) if event.parts else text
                if text or said:
                    found.append(Message("assistant", _text(text), said))
                    found.extend(_result(call, returned.get((event.id, call.id))) for call in said)
            case ContextualUpdate():
                found.append(Message("system", _text(f"{CONTEXT} {event.text}")))
    if journal and isinstance(last := journal[-1], UserSilent):
        found.append(Message("system", _text(WAITED if last.asked_for_it else SILENT)))
    return found


def reminded(dialogue: Sequence[Message]) -> list[Message]:
    """``dialogue`` with a reminder of the instructions before the person's last words (reference: focus)."""
    place = max((at for at, message in enumerate(dialogue) if message.role == "user"), default=len(dialogue))
    # Behind an empty part: what a system message begins with is knowledge to the offline model.
    reminder = Message("system", (TextPart(""), TextPart(FOCUS)))
    return [*dialogue[:place], reminder, *dialogue[place:]]


def _that_count(journal: Sequence[Event]) -> Iterable[Event]:
    """``journal`` without background of which there is a newer one under the same id, and signs of listening."""
    newest = {event.context_id: event for event in journal if isinstance(event, ContextualUpdate)}
    for event in journal:
        if isinstance(event, ContextualUpdate) and event.context_id and newest[event.context_id] is not event:
            continue
        if not isinstance(event, UserMessage) or not event.is_sign:
            yield event


def _result(call: ToolCall, returned: ToolReturned | None) -> Message:
    """What a call returned. Models refuse one without a result, or with something between: there is always one."""
    return Message("tool", _text(CUT_SHORT if returned is None else returned.result), tool_call_id=call.id)


def _files(event: UserMessage, files: Mapping[str, Shown], sent: set[str]) -> Iterator[Shown]:
    """Those of a message; ``sent`` are those of messages before, which the model is not given once more."""
    for file_id in event.file_ids:
        part = files.get(file_id)
        if part is None:
            continue
        yield earlier(part.filename) if isinstance(part, FilePart) and file_id in sent else part
        sent.add(file_id)


def _add_user(found: list[Message], event: UserMessage, files: Sequence[Shown]) -> None:
    text = event.unwritten or event.text
    parts: tuple[Shown, ...] = (*_text(f"{event.label} {text}" if event.label else text), *files)
    if found and found[-1].role == "user":
        found[-1] = Message("user", (*found[-1].parts, *parts))
    else:
        found.append(Message("user", parts))


def _text(text: str) -> tuple[TextPart, ...]:
    return (TextPart(text),) if text else ()
