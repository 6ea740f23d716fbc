"""One answer while it is made: streamed to the listeners, spoken, and cut when the person interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from greenline.channels.live.models import (
    ClientToolCall,
    ContextUsage,
    DtmfRequest,
    GuardrailTriggered,
    Interruption,
    LiveEvent,
    ResponseCorrection,
    ResponseMetadata,
    RichContent,
)
from greenline.channels.live.mouth import Utterance
from greenline.channels.live.rich_content import COMPONENT, rows_of, shown, words_of
from greenline.channels.live.telling import Telling
from greenline.channels.live.tool_calls import ToolCalls
from greenline.channels.live.tool_sounds import tool_sound
from greenline.channels.live.waterfall import Waterfall
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Event,
    UserMessage,
)
from greenline.conversations.voices import voiced
from greenline.engine.turn import Outcome
from greenline.engine.usage import usage_of
from greenline.ids import new_id
from greenline.llm.models import ModelReply
from greenline.speech.labels import LabelReader, Span, unlabelled
from greenline.speech.models import Voice
from greenline.text import clean_text
from greenline.tools.manners import Manners, manners_of
from greenline.tools.models import Buttons, Menu, Tool, ToolResult


class Answer:
    """A `greenline.channels.live.effects.Speaker`.

    Until `commit` it is a guess: what it would tell and speak is kept back, and `drop` leaves no trace of it.
    ``labels`` are those of the agent's further voices, in all of its languages; nobody is told of them.
    """

    def __init__(
        self,
        event_id: int,
        tell: Callable[[LiveEvent], None],
        now: Callable[[], float],
        *,
        committed: bool,
        labels: Collection[str] = (),
        manners: Callable[[Tool], Manners] = manners_of,
    ) -> None:
        self.event_id = event_id
        self.outcome = Outcome()
        self.committed = asyncio.Event()
        self.utterance: Utterance | None = None
        self.recorded = False
        """Whether all of `events` is in the journal: a cut then only adds what was heard."""
        self._taken = 0
        """How many of them are in the journal."""
        self.interruptible = True
        self.said: UserMessage | None = None
        """What a guess answers; the journal does not hold it yet."""
        self.waited = 0.0
        """Seconds for which the person waited in vain for the answers before it."""
        self._waits_since = now()
        self._telling = Telling(event_id, tell)
        self._manners = manners
        self._now = now
        self._calls = ToolCalls(event_id, self._telling.tell, now)
        self._labels = labels
        self._reader = LabelReader(labels)
        self._written = ""
        """The text under way as the model writes it; listeners are told of it without labels."""
        self._given: AgentMessage | None = None
        """The reply that was told last, which the turn is about to add to its events."""
        self._given_at = 0
        """How many of them there were."""
        self.waterfall = Waterfall(now)
        self._usage: ContextUsage | None = None
        self.last_id = ""
        """The message that was cut."""
        self._is_cut = False
        self._of_tools: dict[str, str] = {}
        """What tools have said, by their calls."""
        if committed:
            self.commit()

    @property
    def events(self) -> tuple[Event, ...]:
        """What the journal gets of it so far, a reply that was cut in the middle or just at its end included."""
        begun = self._telling.partial.strip()
        partial = (AgentMessage(id=new_id("msg"), text=self._written.strip()),) if begun else ()
        if not begun and self._given is not None and not self._is_added:
            partial = (self._given,)
        stamp = {"event_id": self.event_id, "medium": "text" if self.utterance is None else "audio"}
        return tuple(
            event.model_copy(update=stamp) if isinstance(event, AgentMessage) and event.text else event
            for event in (voiced(event, self._labels) for event in (*self.outcome.events, *partial))
        )

    @property
    def _is_added(self) -> bool:
        return any(isinstance(event, AgentMessage) for event in self.outcome.events[self._given_at :])

    def take(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """What of ``events``, which are `events`, the journal does not have yet; once."""
        new, self._taken = events[self._taken :], len(events)
        return new

    @property
    def begun(self) -> bool:
        """Whether there is text, of the model or not."""
        return self._telling.begun

    @property
    def shielded(self) -> bool:
        """Whether a tool wants nobody to interrupt."""
        return self._calls.shielded

    @property
    def waited_in_vain(self) -> float:
        """Seconds for which the person has waited by now, if nothing has come of it."""
        return self.waited + self._now() - self._waits_since

    def speak_as(self, voice: Voice, others: Mapping[str, Voice]) -> None:
        """The next reply is for other voices: the conversation goes on in another language."""
        if self.utterance is not None:
            self.utterance.speak_as(voice, others)

    def commit(self) -> None:
        """The person has really finished: tell and speak what was kept back."""
        self._waits_since = self._now()
        self.waterfall.reach("committed")
        self.committed.set()
        self._telling.release()
        if self.utterance is not None:
            self.utterance.release()

    def works(self) -> None:
        """It takes a while: who reads is told, who listens hears it by the silence."""
        if self.utterance is None:
            self._telling.works()

    def drop(self) -> None:
        """The person goes on speaking: the guess was wrong."""
        if self.utterance is not None:
            self.utterance.cut()

    def cut(self, events: tuple[Event, ...], unapproved: Collection[str] = ()) -> Iterator[Event]:
        """Stop speaking; gives what the journal has to add, where ``events`` are those of this answer.

        ``unapproved`` are the calls that wait for somebody's word.
        """
        self._is_cut = True
        self.last_id = next((event.id for event in reversed(events) if isinstance(event, AgentMessage)), "")
        heard = self.utterance.cut() if self.utterance else None
        self._telling.has_thought()
        self._telling.has_said(self._telling.partial.strip())
        self._written = ""
        self._telling.tell(Interruption(self.event_id))
        yield from self._calls.cut(events, unapproved)
        yield from self._corrections(events, heard)
        self.over()

    def over(self) -> None:
        """All was said that will be."""
        self._telling.rests()
        if self._usage is not None:
            self._telling.tell(self._usage)
        self._calls.tell_end()

    def unspoken(self) -> Iterator[Event]:
        """What the journal has to add when the voice failed, once all that it said was heard."""
        if self.utterance is not None:
            yield from self._corrections(self.events, self.utterance.said.heard())

    def _corrections(self, events: tuple[Event, ...], heard: Sequence[str] | None) -> Iterator[Event]:
        said = [event for event in events if isinstance(event, AgentMessage) and event.text]
        texts = iter([message.text for message in said] if heard is None else heard)
        for message in said:
            text = clean_text(next(texts, ""))
            whole = "".join(text.split()) == "".join(message.text.split())
            if whole and self.recorded:
                continue
            if not whole:  # of a turn that was cut after its words there is nothing to correct
                self._telling.tell(ResponseCorrection(self.event_id, message.text, text))
            yield AgentInterrupted(message_id=message.id, heard=message.text if whole else text)
        if self.utterance is None:  # who reads has all of it
            return
        for request_id, words in self._of_tools.items():
            text = clean_text(self.utterance.said.heard_beside(request_id))
            if "".join(text.split()) != "".join(words.split()):
                self._telling.tell(ResponseCorrection(self.event_id, words, text))
                yield AgentInterrupted(message_id=request_id, heard=text)

    def say(self, text: str, request_id: str = "") -> None:
        """Words that no model streams: those of an `AgentMessage`, or of the tool whose call is ``request_id``."""
        spans = [*self._reader.push(text), *self._reader.flush()]
        for span in spans:
            self._telling.says(span.text)
            if self.utterance is None:
                continue
            if request_id:
                self.utterance.interject(span.text, span.label, request_id)
            else:
                self.utterance.feed(span.text, span.label)
        said = "".join(span.text for span in spans)
        if request_id:
            self._of_tools[request_id] = f"{self._of_tools.get(request_id, '')}\n\n{said}".strip()
        self._close(said)

    def offer(self, choices: Buttons | Menu, request_id: str) -> None:
        """Choices for a client that draws them, under the words that go with them."""
        self.say(words_of(choices), request_id)
        for props in rows_of(choices):
            name = new_id("rich")
            self._telling.tell(RichContent(self.event_id, name, COMPONENT, props))
            self.outcome.events.append(shown(name, request_id, props))

    # What the effects tell

    def delta(self, text: str) -> None:
        """A piece of the model's text; one that comes after a cut was never said."""
        if self._is_cut:
            return
        self._written += text
        self._pass_on(self._reader.push(text))

    def thinks(self, text: str) -> None:
        """A piece of what the model thinks before it answers."""
        self._telling.thinks(text)

    def reply(self, reply: ModelReply) -> None:
        """The model has finished a reply."""
        if self._is_cut:
            return
        self._telling.has_thought()
        if reply.text and not self._written:
            self.delta(reply.text)
        self._pass_on(self._reader.flush())
        if self._telling.partial:
            text = unlabelled(reply.text, self._labels).strip() or self._telling.partial.strip()
            self._telling.would_say(text)
            written = clean_text(reply.text or self._written).strip()
            self._given = AgentMessage(id=new_id("msg"), text=written, model=reply.model, usage=usage_of(reply))
            self._given_at = len(self.outcome.events)
            self._close(text)
        self._written = ""
        if reply.metadata:
            self._telling.tell(ResponseMetadata(self.event_id, reply.metadata))
        read = reply.usage
        tokens = read.input + read.cache_read + read.cache_write
        if tokens:
            self._usage = ContextUsage(self.event_id, reply.model, tokens, reply.context or 0)

    def broke_off(self) -> None:
        """No model goes on: what was said of the reply stays said."""
        self._telling.has_thought()
        self._pass_on(self._reader.flush())
        if self._telling.partial:
            if text := clean_text(self._written).strip():
                self.outcome.events.append(AgentMessage(id=new_id("msg"), text=text))
            self._close(clean_text(self._telling.partial).strip())

    def guardrail_triggered(self) -> None:
        """A guardrail has refused something."""
        self._telling.tell(GuardrailTriggered())

    async def ready_for(self, tool: Tool) -> None:
        """Return when the words before a tool were heard, if it waits for them (reference: ``post_tool_speech``)."""
        if self._manners(tool).follows_speech and self.utterance is not None:
            await self.utterance.quiet()

    def tool_called(self, tool: Tool, arguments: Mapping[str, Any], call_id: str) -> None:
        """A tool begins."""
        if not self.waterfall.runs_tools:
            self.works()
        self.waterfall.tool_called()
        wanted = self._manners(tool)
        if self.utterance is not None and wanted.sound and (wanted.always_sounds or self.begun):
            self.utterance.accompany(tool_sound(wanted.sound))
        self._calls.called(tool, call_id, wanted)

    def tool_over(self, tool: Tool) -> None:
        """A tool runs no more, whatever came of it."""
        self.waterfall.tool_returned()
        self._calls.over(self._manners(tool))
        if self.utterance is not None:
            self.utterance.hush()

    def tool_returned(self, tool: Tool, call_id: str, result: ToolResult) -> None:
        """A tool has answered; after a cut it is too late for that."""
        self._calls.returned(tool, call_id, result)

    def ask_client(self, call_id: str, name: str, parameters: Mapping[str, Any]) -> None:
        """The client is to run a tool."""
        self._telling.tell(ClientToolCall(self.event_id, call_id, name, parameters))

    def ask_to_press(self, tones: str, out_of_band: bool) -> None:
        """The client is to press keys."""
        self._telling.tell(DtmfRequest(self.event_id, tones, out_of_band))

    def _pass_on(self, spans: Sequence[Span]) -> None:
        for span in spans:
            self._telling.says(span.text)
            if self.utterance is not None:
                self.utterance.feed(span.text, span.label)

    def _close(self, text: str) -> None:
        self._telling.has_said(text)
        self._written = ""
        if self.utterance is not None:
            self.utterance.pause()
