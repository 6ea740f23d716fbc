"""A live conversation by voice: guesses that wait, interruptions, faults of providers, silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from types import CoroutineType
from typing import Any

import pytest
from prometheus_client import REGISTRY

from greenline.channels.live.models import (
    AgentResponse,
    DtmfRequest,
    Interruption,
    ResponseComplete,
    ResponseCorrection,
    SessionEnded,
    TakenOver,
    TentativeResponse,
    TurnProbability,
    UserTranscript,
)
from greenline.channels.live.session import LiveSession
from greenline.channels.orders import Command, Order, place
from greenline.clock import ManualClock
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Ended,
    Noted,
    SpeechUsed,
    TurnTimed,
    UserMessage,
    UserSilent,
)
from greenline.llm.models import ModelReply, ToolCall
from greenline.settings import Settings
from greenline.speech.models import EndOfTurn, Partial
from support.live import Opens, Room, Stage, told_of
from support.rows import WORKSPACE
from support.spoken import ANSWER, SpokenSpeech, ask, pause, voice
from support.wait import eventually, until


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_question_is_answered_aloud(live: Stage, speech: SpokenSpeech) -> None:
    counted = figure("greenline_turn_silence_seconds_count", wait="total")
    room = Room()
    session, told = await live.begin(room)
    await ask(session, speech, "Do you sell tea?")
    (heard,) = await told_of(told, UserTranscript)
    assert (heard.text, heard.tentative, heard.medium) == ("Do you sell tea?", False, "audio")
    (answer,) = await told_of(told, AgentResponse)
    assert answer.text == ANSWER
    await told_of(told, ResponseComplete)
    assert speech.said == [ANSWER]
    assert room.seconds == pytest.approx(9 * 0.2, abs=0.02)
    assert {event_id for event_id, _ in room.written} == {answer.event_id}
    session.end("Bye")
    await live.tasks[0]
    journal = await live.journal(session)
    (question,) = [event for event in journal if isinstance(event, UserMessage)]
    (said,) = [event for event in journal if isinstance(event, AgentMessage)]
    assert (question.medium, said.medium, said.event_id) == ("audio", "audio", answer.event_id)
    assert question.began is not None
    assert question.received_at is not None
    assert question.began < question.received_at, "a voice is believed after a tenth of a second"
    (timed,) = [event for event in journal if isinstance(event, TurnTimed)]
    assert timed.message_id == said.id
    assert list(timed.waits) == ["end_of_turn", "recognition", "model", "synthesis", "queue"]
    assert all(wait >= 0 for wait in timed.waits.values())
    assert figure("greenline_turn_silence_seconds_count", wait="total") == counted + 1
    assert figure("greenline_live_conversations", medium="voice") == 0
    assert speech.streams[0].closed


async def test_what_was_spoken_is_counted_for_its_price(live: Stage, speech: SpokenSpeech) -> None:
    session, told = await live.begin(Room())
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, ResponseComplete)
    session.end("Bye")
    await live.tasks[0]
    (used,) = [event for event in await live.journal(session) if isinstance(event, SpeechUsed)]
    assert (used.spoken_characters, used.price) == ({"script": len(ANSWER)}, None)
    assert (await live.row(session))["speech_price"] is None  # nobody knows what the script costs


async def test_a_conversation_by_voice_has_a_recording(live: Stage, speech: SpokenSpeech) -> None:
    session, told = await live.begin(Room())
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, ResponseComplete)
    session.end("Bye")
    await live.tasks[0]

    async def recorded() -> Any:
        return await live.pool.fetchrow("select has_user, seconds from conversation_recording")

    row = await until(recorded)
    assert row["has_user"]
    assert row["seconds"] >= 0.5  # of their voice; silence takes the time that passes, and here none does


async def test_an_agent_that_keeps_no_voice_is_not_recorded(opens: Opens, settings: Settings) -> None:
    async with opens(platform={"privacy": {"record_voice": False}}) as live:
        session, _ = await live.begin(Room())
        voice(session, 0.5)
        session.end("Bye")
        await live.tasks[0]
    assert not (settings.data_dir / "spool").exists()


async def test_a_guess_that_was_right_is_told_at_the_end_of_the_turn(live: Stage, speech: SpokenSpeech) -> None:
    room = Room()
    session, told = await live.begin(room)
    await eventually(lambda: bool(speech.streams))
    speech.texts.append("Do you sell tea?")
    voice(session, 0.5)
    pause(session, 0.3)
    await eventually(lambda: bool(speech.said))
    assert (told, room.written) == ([TentativeResponse(ANSWER)], [])
    pause(session, 0.4)
    await told_of(told, ResponseComplete)
    assert len(live.model.requests) == 1
    assert room.written


@pytest.mark.parametrize("guesses", [False, True])
async def test_where_the_operator_says_so_only_agents_that_want_it_guess(
    opens: Opens, speech: SpokenSpeech, settings: Settings, guesses: bool
) -> None:
    frugal = settings.model_copy(update={"speculative_turns": "agent"})
    async with opens({"turn": {"speculative_turn": guesses}}, settings=frugal) as live:
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("Do you sell tea?")
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: live.model.requests if guesses else not speech.texts)
        pause(session, 0.4)
        await told_of(told, ResponseComplete)
        assert len(live.model.requests) == 1
        assert any(isinstance(event, TentativeResponse) for event in told) is guesses
        (timed,) = [event for event in await live.journal(session) if isinstance(event, TurnTimed)]
        assert list(timed.waits)[:3] == ["end_of_turn", "recognition", "model"]


async def test_how_likely_the_person_has_finished_is_told_where_it_is_listed(
    opens: Opens, speech: SpokenSpeech
) -> None:
    async with opens({"conversation": {"client_events": ["internal_turn_probability"]}}) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        probabilities = [event.probability for event in told if isinstance(event, TurnProbability)]
        assert probabilities == sorted(probabilities)
        assert (probabilities[0], probabilities[-1]) == (0.0, 1.0)
        assert any(0.3 < probability < 0.7 for probability in probabilities)
        speech.tell.put_nowait(Partial("And coffee?", over=0.21))
        await told_of(told, TurnProbability, len(probabilities) + 1)
        await ask(session, speech, "And coffee?")
        assert [event.probability for event in told if isinstance(event, TurnProbability)] == [*probabilities, 0.21]
        speech.streams[-1].provider = "backup"  # the one that judged has failed, and another hears
        await ask(session, speech, "Or milk?")
        again = [event.probability for event in told if isinstance(event, TurnProbability)][len(probabilities) + 1 :]
        assert (again[0], again[-1]) == (0.0, 1.0)


async def test_a_guess_that_was_wrong_is_no_turn(live: Stage, speech: SpokenSpeech) -> None:
    answered = figure("greenline_turns_total", outcome="answered")
    session, told = await live.begin(Room())
    await eventually(lambda: bool(speech.streams))
    speech.texts.extend(["Do you sell tea?", "Or coffee?"])
    voice(session, 0.5)
    pause(session, 0.3)
    await told_of(told, TentativeResponse)
    voice(session, 0.5)
    pause(session, 0.7)
    await told_of(told, ResponseComplete)
    assert len(live.model.requests) > 1
    assert figure("greenline_turns_total", outcome="answered") == answered + 1


async def test_a_guess_that_was_wrong_leaves_no_trace(opens: Opens, speech: SpokenSpeech) -> None:
    """A tool of it is not run: the person had not finished."""
    tool = {"type": "client", "name": "order_tea", "description": "Orders", "expects_response": False}
    async with opens({"agent": {"prompt": {"tools": [tool]}}}) as live:

        def say(request: Any) -> ModelReply | str:
            text = request.messages[-1].text
            if text == "Order tea":
                return ModelReply(request.model, "", (ToolCall("call_1", "order_tea", {}),))
            return f"You said {text}"

        live.model.say = say
        room = Room()
        session, told = await live.begin(room)
        await eventually(lambda: bool(speech.streams))
        speech.texts.extend(["Order tea", "no, cancel that."])
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: bool(live.model.requests))
        assert told == []
        voice(session, 0.5)
        pause(session, 0.7)
        (answer,) = await told_of(told, AgentResponse)
        assert answer.text == "You said Order tea no, cancel that."
        await told_of(told, ResponseComplete)
        assert {type(event) for event in told} & {Interruption, ResponseCorrection} == set()
        (question,) = [event for event in await live.journal(session) if isinstance(event, UserMessage)]
        assert question.text == "Order tea no, cancel that."


async def test_a_client_that_can_press_keys_is_asked_to(opens: Opens, speech: SpokenSpeech) -> None:
    params = {"system_tool_type": "play_keypad_touch_tone", "use_out_of_band_dtmf": True}
    keypad = {"play_keypad_touch_tone": {"params": {**params, "suppress_turn_after_dtmf": True}}}
    config = {"agent": {"prompt": {"built_in_tools": keypad}}, "conversation": {"client_events": ["dtmf_request"]}}
    calls = [{"dtmf_tones": "press one"}, {"dtmf_tones": "1w#"}]
    async with opens(config) as live:
        live.model.say = lambda request: ModelReply(
            request.model, "", (ToolCall("call_1", "play_keypad_touch_tone", calls.pop(0)),)
        )
        session, told = await live.begin(Room())
        await ask(session, speech, "For service press one")
        assert await told_of(told, DtmfRequest) == [DtmfRequest(1, "1w#", out_of_band=True)]
        await told_of(told, ResponseComplete)
        assert "A keypad has" in live.model.requests[1].messages[-1].text
        assert len(live.model.requests) == 2, "the turn ends with the keys"


@pytest.mark.parametrize(("listed", "by_voice"), [(["audio"], True), (["dtmf_request"], False)])
async def test_nobody_else_is_asked_to_press_keys(opens: Opens, listed: list[str], by_voice: bool) -> None:
    prompt = {"built_in_tools": {"play_keypad_touch_tone": True}}
    async with opens({"agent": {"prompt": prompt}, "conversation": {"client_events": listed}}) as live:
        session, told = await live.begin(Room() if by_voice else None)
        session.user_message("For service press one")
        await told_of(told, ResponseComplete)
        assert live.model.requests[0].tools == ()


async def speaking(live: Stage, speech: SpokenSpeech, *, played: float = 0.7) -> tuple[LiveSession, list[Any], Room]:
    """The agent is in the middle of an answer, of which ``played`` seconds were heard."""
    room = Room(at_once=False)
    session, told = await live.begin(room)
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, AgentResponse)
    await eventually(lambda: room.seconds >= 1.79)
    room.played = played
    return session, told, room


async def test_the_agent_stops_when_the_person_speaks(live: Stage, speech: SpokenSpeech) -> None:
    session, told, room = await speaking(live, speech)
    before = len(room.written)
    voice(session, 0.2)
    (cut,) = await told_of(told, Interruption)
    (correction,) = await told_of(told, ResponseCorrection)
    assert (correction.original, correction.corrected) == (ANSWER, "Yes we sell")
    assert room.queued == 0
    speech.texts.append("And coffee?")
    voice(session, 0.3)
    pause(session, 0.7)
    responses = await told_of(told, AgentResponse, 2)
    assert responses[-1].event_id > cut.event_id
    await eventually(lambda: len(room.written) > before)
    assert {event_id for event_id, _ in room.written[before:]} == {responses[-1].event_id}
    told_to_model = [message.text for message in live.model.requests[-1].messages if message.role == "assistant"]
    assert told_to_model == ["Yes we sell"]
    journal = await live.journal(session)
    assert [event.heard for event in journal if isinstance(event, AgentInterrupted)] == ["Yes we sell"]
    (timed, *_) = [event for event in journal if isinstance(event, TurnTimed)]
    assert timed.message_id == next(event.id for event in journal if isinstance(event, AgentMessage))


async def test_only_what_the_person_cuts_short_counts_as_an_interruption(live: Stage, speech: SpokenSpeech) -> None:
    async def cut_by(act: Callable[[LiveSession], Any]) -> float:
        before = figure("greenline_live_interruptions_total", medium="voice")
        speech.streams.clear()
        session, told, _ = await speaking(live, speech)
        act(session)
        await told_of(told, Interruption)
        session.end("Client disconnected")
        await told_of(told, SessionEnded)
        return figure("greenline_live_interruptions_total", medium="voice") - before

    assert await cut_by(lambda session: voice(session, 0.2)) == 1
    assert await cut_by(lambda session: session.user_message("Wait!")) == 1
    assert await cut_by(lambda session: session._operator.obey(Order("enable_human_takeover"))) == 0
    assert await cut_by(lambda session: session.end("Client disconnected")) == 0


async def test_an_answer_is_cut_while_the_model_still_writes(live: Stage, speech: SpokenSpeech) -> None:
    live.model.hold = asyncio.Event()
    room = Room()
    session, told = await live.begin(room)
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, UserTranscript)
    await eventually(lambda: bool(live.model.requests))
    session.user_message("Or coffee?")
    live.model.hold = None
    (answer,) = await told_of(told, AgentResponse)
    assert answer.text == ANSWER
    assert live.model.requests[-1].messages[-1].text == "Do you sell tea?\nOr coffee?"


async def test_words_that_were_right_at_once_are_told_to_the_model_once(live: Stage) -> None:
    session, told = await live.begin(Room())
    hearing = session._person._hearing
    hearing.may_have_said("Do you sell tea?")
    hearing.has_said("Do you sell tea?", 1.0)  # before the guess has begun to be made
    await told_of(told, ResponseComplete)
    (request,) = live.model.requests
    assert request.messages[-1].text == "Do you sell tea?"


async def test_words_that_come_late_from_a_slow_recogniser_do_not_cut_their_own_answer(
    live: Stage, speech: SpokenSpeech
) -> None:
    """They were told as far as they were known, and are answered: nobody would have answered them anew."""
    live.model.hold = asyncio.Event()
    session, told = await live.begin(Room())
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, UserTranscript)
    await eventually(lambda: bool(live.model.requests))
    speech.tell.put_nowait(Partial("Do you sell tea?"))
    await eventually(speech.tell.empty)
    live.model.hold.set()
    (answer,) = await told_of(told, AgentResponse)
    assert answer.text == ANSWER
    assert not any(isinstance(event, UserTranscript) and event.tentative for event in told)


async def test_a_noise_before_the_first_word_of_an_answer_does_not_cost_it(live: Stage, speech: SpokenSpeech) -> None:
    live.model.hold = thinking = asyncio.Event()
    session, told = await live.begin(Room())
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, UserTranscript)
    await eventually(lambda: len(live.model.requests) == 1)
    voice(session, 0.3)
    pause(session, 0.7)
    await eventually(lambda: len(live.model.requests) == 2)
    thinking.set()
    (answer,) = await told_of(told, AgentResponse)
    assert answer.text == ANSWER
    assert live.model.requests[-1].messages[-1].text == "Do you sell tea?"


async def test_noise_without_end_does_not_ask_the_model_without_end(live: Stage, speech: SpokenSpeech) -> None:
    live.model.hold = asyncio.Event()
    session, told = await live.begin(Room())
    await ask(session, speech, "Do you sell tea?")
    await told_of(told, UserTranscript)

    async def asked(count: int) -> None:
        await eventually(lambda: len(live.model.requests) == count)

    async def heard_more(than: int) -> None:
        await eventually(lambda: speech.streams[0].finished > than)

    for count in range(1, 6):
        await asked(min(count, 3))
        heard = speech.streams[0].finished
        voice(session, 0.3)
        pause(session, 0.7)
        await heard_more(heard)
    assert len(live.model.requests) == 3


async def ordered(live: Stage, session: LiveSession, command: Command, text: str = "") -> None:
    await place(live.pool, live.clock, WORKSPACE, session.conversation_id, Order(command, text))


async def test_who_says_nothing_after_a_human_has_handed_back_is_waited_for(
    live: Stage, speech: SpokenSpeech, clock: ManualClock
) -> None:
    session, told = await live.begin(Room())
    await ordered(live, session, "enable_human_takeover")
    await ordered(live, session, "send_human_message", "I am Bob.")
    await told_of(told, ResponseComplete)
    await ordered(live, session, "disable_human_takeover")
    await told_of(told, TakenOver, 2)
    clock.advance(timedelta(seconds=8))  # reference: the agent speaks again after 7
    responses = await told_of(told, AgentResponse, 2)
    assert [response.text for response in responses] == ["I am Bob.", ANSWER]


async def test_the_last_words_of_a_human_are_heard_after_they_have_handed_back(
    live: Stage, speech: SpokenSpeech, clock: ManualClock
) -> None:
    room = Room(at_once=False)
    session, told = await live.begin(room)
    await ordered(live, session, "enable_human_takeover")
    await ordered(live, session, "send_human_message", "Goodbye, the agent goes on.")
    await eventually(lambda: room.seconds == pytest.approx(5 * 0.2, abs=0.02))
    await ordered(live, session, "disable_human_takeover")
    await told_of(told, TakenOver, 2)
    room.played = room.seconds
    await told_of(told, ResponseComplete)
    assert not [event for event in told if isinstance(event, Interruption)]
    clock.advance(timedelta(seconds=8))
    await told_of(told, AgentResponse, 2)


async def test_a_cough_is_no_interruption(live: Stage, speech: SpokenSpeech) -> None:
    session, told, _ = await speaking(live, speech)
    voice(session, 0.06)
    pause(session, 1.0)
    assert [event for event in told if isinstance(event, Interruption)] == []
    assert speech.streams[0].pushed < 2 * 16_000 * 1.3


@pytest.mark.parametrize(
    ("turn", "sign"),
    [
        ({"interruption_ignore_terms": ["mhm", "okay"]}, "Mhm, okay."),
        (
            {"merge_with_default_ignore_terms": True, "interruption_ignore_term_languages": ["en", "pt-br"]},
            "Aham, certo.",
        ),
    ],
)
async def test_signs_of_listening_are_no_interruption_where_the_agent_says_so(
    opens: Opens, speech: SpokenSpeech, turn: dict[str, Any], sign: str
) -> None:
    async with opens({"turn": turn}) as live:
        live.model.say = lambda request: ANSWER
        session, told, _ = await speaking(live, speech)
        speech.texts.append(sign)
        voice(session, 0.3)
        pause(session, 0.7)
        await eventually(lambda: not speech.texts)
        assert [event for event in told if isinstance(event, Interruption)] == []
        speech.texts.append("Okay, stop!")
        voice(session, 0.3)
        pause(session, 0.7)
        await told_of(told, Interruption)
        await told_of(told, AgentResponse, 2)
        journal = await live.journal(session)
        messages = [event for event in journal if isinstance(event, UserMessage)]
        assert [(message.text, message.is_sign) for message in messages] == [
            ("Do you sell tea?", False),
            (sign, True),
            ("Okay, stop!", False),
        ]
        assert sign not in str(live.model.requests[-1].messages)


async def test_who_speaks_on_interrupts_whatever_the_words_will_be(
    opens: Opens, speech: SpokenSpeech, clock: ManualClock
) -> None:
    async with opens({"turn": {"merge_with_default_ignore_terms": True}}) as live:
        live.model.say = lambda request: ANSWER
        session, told, _ = await speaking(live, speech)
        voice(session, 0.3)
        assert [event for event in told if isinstance(event, Interruption)] == []
        clock.advance(timedelta(seconds=1))
        await told_of(told, Interruption)


async def test_without_the_event_the_agent_cant_be_interrupted(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens({"conversation": {"client_events": ["audio", "agent_response", "user_transcript"]}}) as live:
        live.model.say = lambda request: ANSWER
        session, told, room = await speaking(live, speech)
        speech.texts.append("Stop!")
        voice(session, 0.3)
        pause(session, 0.7)
        await eventually(lambda: not speech.texts)
        assert room.queued > 0
        assert len([event for event in told if isinstance(event, AgentResponse)]) == 1


async def test_what_is_said_meanwhile_is_answered_afterwards_where_the_agent_says_so(
    opens: Opens, speech: SpokenSpeech
) -> None:
    config = {
        "conversation": {"client_events": ["audio", "agent_response", "user_transcript"]},
        "turn": {"transcribe_on_disabled_interruptions": True},
    }
    async with opens(config) as live:
        live.model.say = lambda request: f"You said {request.messages[-1].text}"
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await ask(session, speech, "Do you sell tea?")
        await eventually(lambda: room.seconds > 1)
        speech.texts.append("And coffee?")
        voice(session, 0.3)
        pause(session, 0.7)
        await eventually(lambda: not speech.texts)
        assert len([event for event in told if isinstance(event, AgentResponse)]) == 1
        room.at_once = True
        responses = await told_of(told, AgentResponse, 2)
        assert responses[-1].text == "You said And coffee?"


async def test_the_first_message_is_spoken_to_its_end_where_the_agent_says_so(
    opens: Opens, speech: SpokenSpeech
) -> None:
    config = {"agent": {"first_message": ANSWER, "disable_first_message_interruptions": True}}
    async with opens(config) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: room.seconds >= 1.79)
        voice(session, 0.5)
        assert room.queued > 0
        assert [event for event in told if isinstance(event, Interruption)] == []


async def test_the_agent_speaks_into_silence_and_then_gives_up(opens: Opens, clock: ManualClock) -> None:
    config = {"turn": {"turn_timeout": 5, "silence_end_call_timeout": 30}}
    async with opens(config) as live:
        live.model.say = lambda request: "Are you still there?"
        session, told = await live.begin(Room())
        await asyncio.sleep(0)
        for count in range(1, 4):
            clock.advance(timedelta(seconds=5))
            responses = await told_of(told, ResponseComplete, count)
            assert len(responses) == count
        journal = await live.journal(session)
        assert len([event for event in journal if isinstance(event, UserSilent)]) == 3
        clock.advance(timedelta(seconds=30))
        (ended,) = await told_of(told, SessionEnded)
        assert ended.code == 1000


async def test_what_the_agent_says_into_silence_does_not_end_it(opens: Opens, clock: ManualClock) -> None:
    config = {"turn": {"turn_timeout": 5, "silence_end_call_timeout": 8}}
    async with opens(config) as live:
        live.model.say = lambda request: "Are you still there?"
        session, told = await live.begin(Room())
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=5))
        await told_of(told, ResponseComplete)
        assert not session.over
        clock.advance(timedelta(seconds=3))
        (ended,) = await told_of(told, SessionEnded)
        assert ended.reason == "Silence"


async def test_what_is_typed_waits_for_an_agent_that_may_not_be_interrupted(opens: Opens) -> None:
    config = {"agent": {"first_message": ANSWER, "disable_first_message_interruptions": True}}
    async with opens(config) as live:
        live.model.say = lambda request: f"You said {request.messages[-1].text}"
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: room.seconds >= 1.79)
        session.user_message("Do you have oolong?")
        session.user_message("Or coffee?")
        room.at_once = True
        responses = await told_of(told, AgentResponse, 2)
        assert responses[-1].text == "You said Do you have oolong?\nOr coffee?"
        assert [event for event in told if isinstance(event, Interruption)] == []


async def test_a_person_who_types_is_not_asked_whether_they_are_there(opens: Opens, clock: ManualClock) -> None:
    async with opens({"turn": {"turn_timeout": 5}}) as live:
        session, told = await live.begin(Room())
        await asyncio.sleep(0)
        for _ in range(5):
            clock.advance(timedelta(seconds=4))
            session.user_activity()
            await asyncio.sleep(0)
        assert told == []
        assert live.model.requests == []


async def test_a_slow_model_is_bridged(opens: Opens, clock: ManualClock, speech: SpokenSpeech) -> None:
    soft = {
        "timeout_seconds": 2,
        "message": "One moment.",
        "additional_soft_timeout_messages": ["Nearly there.", "Never said."],
        "max_soft_timeouts_per_generation": 2,
    }
    config = {"turn": {"soft_timeout_config": soft}}
    async with opens(config) as live:
        live.model.hold = asyncio.Event()
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        await told_of(told, UserTranscript)
        await eventually(lambda: bool(live.model.requests))
        clock.advance(timedelta(seconds=2))
        await eventually(lambda: speech.said == ["One moment."])
        clock.advance(timedelta(seconds=2))
        await eventually(lambda: speech.said == ["One moment.", "Nearly there."])
        clock.advance(timedelta(seconds=2))
        live.model.hold.set()
        (answer,) = await told_of(told, AgentResponse)
        assert answer.text == "Hello!"
        await told_of(told, ResponseComplete)
        assert speech.said == ["One moment.", "Nearly there.", "Hello!"]
        noted = [event.what for event in await live.journal(session) if isinstance(event, Noted)]
        assert noted == ["soft_timeout"] * 2


async def test_what_bridges_a_slow_model_is_no_part_of_its_answer(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    soft = {"timeout_seconds": 2, "message": "One moment please."}
    async with opens({"turn": {"soft_timeout_config": soft}}) as live:
        live.model.say = lambda request: ANSWER
        live.model.hold = asyncio.Event()
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await ask(session, speech, "Do you sell tea?")
        await told_of(told, UserTranscript)
        await eventually(lambda: bool(live.model.requests))
        clock.advance(timedelta(seconds=2))
        await eventually(lambda: room.seconds >= 0.59)
        live.model.hold.set()
        await eventually(lambda: room.seconds >= 0.6 + 1.79)
        room.played = 0.6 + 0.7
        voice(session, 0.2)
        (correction,) = await told_of(told, ResponseCorrection)
        assert (correction.original, correction.corrected) == (ANSWER, "Yes we sell")
        assert [event.heard for event in await live.journal(session) if isinstance(event, AgentInterrupted)] == [
            "Yes we sell"
        ]


async def test_a_provider_that_knows_the_end_of_the_turn_is_believed(live: Stage, speech: SpokenSpeech) -> None:
    session, told = await live.begin(Room())
    await eventually(lambda: bool(speech.streams))
    speech.texts.append("Do you sell tea?")
    voice(session, 0.5)
    speech.tell.put_nowait(EndOfTurn("Do you sell tea?"))
    (answer,) = await told_of(told, AgentResponse)
    assert answer.text == ANSWER


async def test_keys_that_follow_each_other_are_one_turn(live: Stage, clock: ManualClock) -> None:
    session, told = await live.begin(Room())
    for key in "12":
        session.digit(key)
    session.digit("#")
    await told_of(told, AgentResponse)
    (pressed,) = [event for event in await live.journal(session) if isinstance(event, UserMessage)]
    assert (pressed.medium, "12#" in pressed.text) == ("dtmf", True)


async def test_the_agent_says_when_the_last_key_was_pressed(opens: Opens, clock: ManualClock) -> None:
    keypad = {"dtmf_input_timeout": 4, "hash_terminator": False}
    async with opens({"conversation": {"dtmf_input_settings": keypad}, "turn": {"turn_timeout": -1}}) as live:
        session, told = await live.begin(Room())
        for key in "1#2":
            session.digit(key)
            await asyncio.sleep(0)
            clock.advance(timedelta(seconds=3))
        assert told == []
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=1))
        await told_of(told, AgentResponse)
        (pressed,) = [event for event in await live.journal(session) if isinstance(event, UserMessage)]
        assert pressed.text == "[Keys pressed: 1#2]"


@pytest.mark.parametrize("interruptible", [True, False])
async def test_redacted_keys_are_read_by_the_model_and_written_nowhere(opens: Opens, interruptible: bool) -> None:
    events = ["audio", "interruption"] if interruptible else ["audio"]
    keypad = {"redact_input": True, "hash_terminator": True}
    async with opens({"conversation": {"dtmf_input_settings": keypad, "client_events": events}}) as live:
        if not interruptible:
            live.model.hold = asyncio.Event()
        session, told = await live.begin(Room())
        if live.model.hold is not None:  # what is pressed meanwhile is answered afterwards
            session.user_message("My code is")
            await eventually(lambda: bool(live.model.requests))
        for key in "4711#":
            session.digit(key)
        if live.model.hold is not None:
            live.model.hold.set()
        asked = [] if interruptible else ["My code is"]
        asked += ["[Keys pressed: 4711#]", "And now?"]
        await told_of(told, ResponseComplete, len(asked) - 1)
        session.user_message("And now?")
        await told_of(told, ResponseComplete, len(asked))
        assert [request.messages[-1].text for request in live.model.requests] == asked
        assert "4711" in "".join(message.text for message in live.model.requests[-1].messages)
        messages = [event for event in await live.journal(session) if isinstance(event, UserMessage)]
        pressed = next(message for message in messages if message.medium == "dtmf")
        assert (pressed.text, pressed.unwritten) == ("[Keys pressed: REDACTED]", "")
        everything = await live.pool.fetchval("select string_agg(data::text, '') from conversation_event")
        assert "4711" not in everything
        assert "4711" not in repr(session.journal)


async def test_who_leaves_in_the_middle_of_a_turn_is_in_the_transcript(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens() as live:
        live.model.hold = asyncio.Event()
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("Cancel my order")
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: bool(live.model.requests))
        for key in "12":
            session.digit(key)
        session.end("Client disconnected")
        await live.tasks[0]
        said = [event.text for event in await live.journal(session) if isinstance(event, UserMessage)]
        assert said == ["Cancel my order", "[Keys pressed: 12]"]
        assert [event.text for event in told if isinstance(event, UserTranscript)] == said
        assert not [event for event in await live.journal(session) if isinstance(event, AgentMessage)]


@pytest.mark.parametrize("silence", [0.0, 0.7], ids=["while speaking", "before the text is there"])
async def test_who_leaves_before_their_words_are_recognised_is_in_the_transcript(
    opens: Opens, speech: SpokenSpeech, silence: float
) -> None:
    async with opens() as live:
        speech.thinking = asyncio.Event()
        session, _ = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("Cancel my order")
        voice(session, 0.5)
        pause(session, silence)
        session.end("Client disconnected")
        for _ in range(10):  # the end has begun
            await asyncio.sleep(0)
        speech.thinking.set()
        await live.tasks[0]
        said = [event.text for event in await live.journal(session) if isinstance(event, UserMessage)]
        assert said == ["Cancel my order"]
        assert live.model.requests == []


async def test_what_is_written_to_an_agent_that_never_stops_is_kept_at_the_end(opens: Opens) -> None:
    async with opens({"conversation": {"client_events": ["audio"]}}) as live:
        live.model.hold = asyncio.Event()
        session, _ = await live.begin(Room())
        session.user_message("Hello")
        await eventually(lambda: bool(live.model.requests))
        session.user_message("Cancel my order")
        session.end("Client disconnected")
        await live.tasks[0]
        said = [event.text for event in await live.journal(session) if isinstance(event, UserMessage)]
        assert said == ["Hello", "Cancel my order"]


def is_of_session(task: asyncio.Task[Any]) -> bool:
    coroutine = task.get_coro()
    return isinstance(coroutine, CoroutineType) and "/channels/live/" in coroutine.cr_code.co_filename


@pytest.mark.parametrize("seed", range(6))
async def test_a_storm_ends_in_one_state_and_leaves_nothing(
    live: Stage, speech: SpokenSpeech, clock: ManualClock, seed: int
) -> None:
    """Voice, words, orders and faults in any order: one end, no task, no stream, no lease."""
    import random

    chance = random.Random(seed)
    before = asyncio.all_tasks()
    room = Room(at_once=False)
    session, told = await live.begin(room)

    def fault() -> None:
        speech.deaf, speech.mute = chance.random() < 0.3, chance.random() < 0.3

    actions: list[Callable[[], object]] = [
        lambda: voice(session, chance.random()),
        lambda: pause(session, chance.random()),
        lambda: session.user_message("Hello?"),
        lambda: session.contextual_update("It rains.", chance.choice([None, "weather"])),
        lambda: session.digit(chance.choice("0123456789#")),
        lambda: session.user_activity(),
        lambda: session.tool_result("call_9", "x", is_error=False),
        lambda: session.feedback(1, "like"),
        lambda: clock.advance(timedelta(seconds=chance.random() * 5)),
        lambda: speech.texts.append("What about tea?"),
        lambda: setattr(room, "played", room.seconds * chance.random()),
        fault,
    ]
    for _ in range(120):
        chance.choice(actions)()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    session.end("Enough")
    session.end("Too late")
    ended = await live.tasks[0]
    assert ended == SessionEnded(1000, "Enough")
    assert [event for event in told if isinstance(event, SessionEnded)] == [ended]
    assert told[-1] == ended
    journal = await live.journal(session)
    assert [event for event in journal if isinstance(event, Ended)] == [journal[-1]]
    assert all(stream.closed for stream in speech.streams)
    owner = await live.pool.fetchval("select owner from mailbox where id = $1", f"live:{session.conversation_id}")
    assert owner is None
    await eventually(lambda: not [task for task in asyncio.all_tasks() - before if is_of_session(task)])
