"""A journal read as a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import elevenlabs.types as sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.conversations.deliveries import STATES
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Attempted,
    ContextualUpdate,
    Delivery,
    Ended,
    Entry,
    Event,
    Feedback,
    Noted,
    PartsBegan,
    Resumed,
    Started,
    Summarised,
    ToolCalled,
    ToolReturned,
    TurnFailed,
    TurnTimed,
    UserMessage,
    UserSilent,
    Voiced,
    VoicePart,
    dump_event,
)
from greenline.conversations.files import ConversationFile
from greenline.conversations.journal import read_journal
from greenline.conversations.transcript import Surroundings, transcript
from greenline.conversations.transcript_models import AgentMetadata, Turn
from support.journal import BEGIN, Timed, journal, projection, started
from support.shapes import assert_complete

AGENT = AgentMetadata(agent_id="agent_1", branch_id="agtbrch_1", version_id="agtvrsn_1")
FILE = ConversationFile("file_1", "ws_1", "conv_1", "plan.pdf", "application/pdf", 4, b"", BEGIN)
ROW = projection()


def turns(events: Sequence[Timed], **about: Any) -> list[Turn]:
    return transcript(journal(events), Surroundings(BEGIN, AGENT, **about))


def prices(model: str, usage: Any) -> dict[str, float] | None:
    return {"input": 0.5, "output": 1.5} if model == "gpt-4o" else None


def test_a_question_and_its_answer() -> None:
    user, agent = turns(
        [
            (0, started(ROW)),
            (2, UserMessage(id="msg_1", text="Hello", wamid="wamid.1")),
            (
                4,
                AgentMessage(
                    id="msg_2",
                    text="Hi!",
                    model="gpt-4o",
                    usage={"input": 12, "output": 3},
                    seconds=1.5,
                    seconds_to_first_token=0.25,
                ),
            ),
        ],
        prices=prices,
    )
    assert (user.role, user.message, user.time_in_call_secs, user.source_medium) == ("user", "Hello", 2, "text")
    assert user.agent_metadata is None
    assert user.created_at_unix_ms == round((BEGIN.timestamp() + 2) * 1000)
    assert (agent.role, agent.message, agent.time_in_call_secs, agent.id) == ("agent", "Hi!", 4, "msg_2")
    assert (agent.agent_metadata, agent.producing_llm) == (AGENT, "gpt-4o")
    assert agent.llm_usage is not None
    assert agent.llm_usage.model_dump()["model_usage"]["gpt-4o"] == {
        "input": {"tokens": 12, "price": 0.5},
        "input_cache_read": {"tokens": 0, "price": 0.0},
        "input_cache_write": {"tokens": 0, "price": 0.0},
        "output_total": {"tokens": 3, "price": 1.5},
    }
    assert agent.conversation_turn_metrics is not None
    assert agent.conversation_turn_metrics.model_dump()["metrics"] == {
        "convai_llm_service_tt_last_sentence": {"elapsed_time": 1.5},
        "convai_llm_service_ttfb": {"elapsed_time": 0.25},
    }


def test_what_happened_before_the_clock_ran_is_at_zero() -> None:
    (turn,) = turns([(-3600, AgentMessage(id="m", text="Welcome", origin="template"))])
    assert (turn.time_in_call_secs, turn.origin) == (0, "template")


def test_the_calls_of_a_message_and_their_results_are_two_entries() -> None:
    asked, results, answer = turns(
        [
            (0, AgentMessage(id="m1", text="", model="gpt-4o", seconds=2.0)),
            (0, ToolCalled(message_id="m1", request_id="r1", name="find", type="webhook", tool_id="tool_1")),
            (0, ToolReturned(message_id="m1", request_id="r1", name="find", type="webhook", tool_id="tool_1")),
            (0, ToolCalled(message_id="m1", request_id="r2", name="nonsense", params={"a": "ü"})),
            (
                0,
                ToolReturned(
                    message_id="m1",
                    request_id="r2",
                    name="nonsense",
                    result="There is no tool named nonsense.",
                    is_error=True,
                    error_type="unknown_tool",
                    seconds=0.5,
                ),
            ),
            (1, AgentMessage(id="m2", text="Found.")),
        ]
    )
    assert (asked.message, answer.message) == (None, "Found.")
    assert [(call.tool_name, call.tool_id, call.tool_has_been_called) for call in asked.tool_calls] == [
        ("find", "tool_1", True),
        ("nonsense", "__system_nonsense", False),
    ]
    assert asked.tool_calls[1].params_as_json == '{"a": "ü"}'
    assert asked.conversation_turn_metrics is not None
    assert "convai_llm_tool_request_generation_latency" in asked.conversation_turn_metrics.metrics
    assert [(r.request_id, r.is_error, r.tool_has_been_called) for r in results.tool_results] == [
        ("r1", False, True),
        ("r2", True, False),
    ]
    assert results.tool_results[1].tool_latency_secs == 0.5
    assert results.tool_results[1].raw_error_message == "There is no tool named nonsense."
    assert results.message is None


def test_what_a_tool_says_to_the_person_is_its_results_message() -> None:
    _, results = turns(
        [
            (0, AgentMessage(id="m1", text="")),
            (0, ToolCalled(message_id="m1", request_id="r1", name="end_call", params={"reason": "all done"})),
            (
                0,
                ToolReturned(
                    message_id="m1", request_id="r1", name="end_call", said="Goodbye!", outbox_ids=("out_1",)
                ),
            ),
            (1, Delivery(outbox_id="out_1", state="read", wamid="wamid.9")),
        ]
    )
    assert results.message == "Goodbye!"
    assert results.delivery is not None
    assert (results.delivery.state, results.delivery.wamid) == ("read", "wamid.9")
    assert results.tool_results[0].result is not None
    assert results.tool_results[0].result.model_dump() == {
        "result_type": "end_call_success",
        "status": "success",
        "reason": "all done",
        "message": "Goodbye!",
    }


def test_files_come_with_their_links_and_lost_ones_are_left_out() -> None:
    (turn,) = turns(
        [(0, UserMessage(id="m", text="See", medium="file", file_ids=("file_1", "file_gone")))],
        files={"file_1": FILE},
        link=lambda file: f"https://host/{file.id}",
    )
    assert [file.model_dump() for file in turn.file_inputs] == [
        {
            "file_id": "file_1",
            "original_filename": "plan.pdf",
            "mime_type": "application/pdf",
            "file_url": "https://host/file_1",
            "size_bytes": 4,
            "duration_secs": None,
        }
    ]
    assert turn.file_input == turn.file_inputs[0]


def test_the_model_of_the_start_and_those_that_failed_are_told() -> None:
    override = {"agent": {"prompt": {"llm": "gpt-4o"}}}
    greeting, answer = turns(
        [
            (0, started(ROW, override=override)),
            (0, AgentMessage(id="m0", text="Hello", origin="first_message")),
            (
                1,
                AgentMessage(
                    id="m1",
                    text="Yes",
                    model="gemini-2.5-flash",
                    attempts=(Attempted(model="gpt-4o", error="time-out", seconds=4.0),),
                ),
            ),
        ]
    )
    assert (greeting.llm_override, greeting.producing_llm) == (None, None)
    assert (answer.llm_override, answer.producing_llm) == ("gpt-4o", "gemini-2.5-flash")
    assert [attempt.model_dump() for attempt in answer.llm_attempts] == [
        {"model": "gpt-4o", "error": "time-out", "seconds": 4.0}
    ]


def test_a_turn_is_as_far_as_the_last_of_its_messages() -> None:
    answer = AgentMessage(id="m", text="Long", outbox_ids=("out_1", "out_2"))
    error = {"code": 131047, "title": "Re-engagement message", "details": "More than 24 hours"}

    def delivery(*facts: Delivery) -> Any:
        (turn,) = turns([(0, answer), *((5, fact) for fact in facts)])
        return turn.delivery

    assert delivery().state == "queued"
    assert delivery(Delivery(outbox_id="out_1", state="read")).state == "queued"
    both = (Delivery(outbox_id="out_1", state="read"), Delivery(outbox_id="out_2", state="sent"))
    assert delivery(*both).state == "sent"
    failed = delivery(*both, Delivery(outbox_id="out_1", state="failed", error=error))
    assert failed.state == "sent"  # read after all: it did not fail
    failed = delivery(*both, Delivery(outbox_id="out_2", state="failed", error=error))
    assert (failed.state, failed.error.model_dump()) == ("failed", error)
    assert [message.state for message in failed.messages] == ["read", "failed"]
    assert failed.messages[1].failed_at_unix_ms == round((BEGIN.timestamp() + 5) * 1000)


def test_what_took_the_place_of_a_refused_message_counts() -> None:
    note = AgentMessage(id="m", text="Hi", outbox_ids=("out_1",), fallback_ids=("out_2",))
    refused = Delivery(outbox_id="out_1", state="failed", error={"code": 131053})
    (turn,) = turns([(0, note), (5, refused)])
    assert turn.delivery is not None
    assert turn.delivery.state == "failed"
    (turn,) = turns([(0, note), (5, refused), (6, Delivery(outbox_id="out_2", state="delivered"))])
    assert turn.delivery is not None
    assert [(message.outbox_id, message.state) for message in turn.delivery.messages] == [("out_2", "delivered")]


def test_a_state_keeps_the_first_time_that_meta_tells() -> None:
    early, late = BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=9)
    (turn,) = turns(
        [
            (0, AgentMessage(id="m", text="Hi", outbox_ids=("out_1",))),
            (10, Delivery(outbox_id="out_1", state="delivered", at=late)),
            (11, Delivery(outbox_id="out_1", state="delivered", at=early)),
        ]
    )
    assert turn.delivery is not None
    assert turn.delivery.messages[0].delivered_at_unix_ms == round(early.timestamp() * 1000)


def test_events_of_a_newer_version_are_passed_over() -> None:
    rows: list[dict[str, Any]] = [
        {"seq": 1, "at": BEGIN, "kind": "user_message", "data": dump_event(UserMessage(id="m", text="Hi"))},
        {"seq": 2, "at": BEGIN, "kind": "teleported", "data": {}},
        {"seq": 3, "at": BEGIN, "kind": "agent_message", "data": {"text": 5}},
    ]
    assert [entry.seq for entry in read_journal(rows)] == [1]


def test_what_was_cut_is_shown_as_it_was_heard() -> None:
    cut, whole = turns(
        [
            (0, AgentMessage(id="m1", text="One two three four.", medium="audio", event_id=1)),
            (1, AgentInterrupted(message_id="m1", heard="One two")),
            (2, AgentMessage(id="m2", text="Five.", medium="audio", event_id=2)),
        ]
    )
    assert (cut.message, cut.original_message, cut.interrupted) == ("One two", "One two three four.", True)
    assert (cut.source_medium, cut.source_event_id) == ("audio", 1)
    assert (whole.message, whole.original_message, whole.interrupted) == ("Five.", None, False)
    (unheard,) = turns([(0, AgentMessage(id="m1", text="Hello")), (1, AgentInterrupted(message_id="m1", heard=""))])
    assert (unheard.message, unheard.original_message, unheard.interrupted) == (None, "Hello", True)


def test_the_silence_before_an_answer_is_told_with_its_parts() -> None:
    waits = {"end_of_turn": 200.0, "recognition": 30.5, "model": 120.0, "synthesis": 80.0, "queue": 12.0}
    (turn,) = turns([(0, AgentMessage(id="m", text="Hi", seconds=0.3)), (1, TurnTimed(message_id="m", waits=waits))])
    assert turn.silence is not None
    assert (turn.silence.total_ms, list(turn.silence.waits)) == (442.5, list(waits))
    assert turn.conversation_turn_metrics is not None
    assert {name: metric.elapsed_time for name, metric in turn.conversation_turn_metrics.metrics.items()} == {
        "convai_asr_trailing_service_latency": 0.0305,
        "convai_llm_service_ttf_sentence": 0.12,
        "convai_tts_service_ttfb": 0.08,
        "convai_llm_service_tt_last_sentence": 0.3,
    }


def test_background_and_silence_have_their_place() -> None:
    old, other, new, silent, waited = turns(
        [
            (0, ContextualUpdate(text="On page 1", context_id="page")),
            (1, ContextualUpdate(text="Is a member")),
            (2, ContextualUpdate(text="On page 2", context_id="page")),
            (9, UserSilent()),
            (19, UserSilent(asked_for_it=True)),
        ]
    )
    assert [turn.message for turn in (old, other, new)] == ["On page 1", "Is a member", "On page 2"]
    assert {turn.origin for turn in (old, other, new)} == {"contextual_update"}
    assert old.contextual_update_info is not None
    assert new.contextual_update_info is not None
    assert (old.contextual_update_info.is_superseded, new.contextual_update_info.is_superseded) == (True, False)
    assert other.contextual_update_info is None
    assert (silent.role, silent.message, silent.platform_event) == ("user", None, "user_turn_timeout")
    assert (waited.role, waited.message, waited.platform_event) == ("user", None, "skip_turn_wait_elapsed")


def test_a_rating_stands_at_the_answer_that_it_is_for() -> None:
    first, second = turns(
        [
            (0, AgentMessage(id="m1", text="One", event_id=1)),
            (1, AgentMessage(id="m2", text="Two", event_id=2)),
            (2, Feedback(score="like", event_id=1)),
            (3, Feedback(score="dislike", event_id=2)),
            (4, Feedback(score=None, event_id=2)),
            (5, Feedback(score="dislike")),
        ]
    )
    assert first.feedback is not None
    assert (first.feedback.score, first.feedback.time_in_call_secs) == ("like", 2)
    assert second.feedback is None


_ids = st.sampled_from(["m1", "m2", "m3"])
_moments = st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2027, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda moment: moment.replace(tzinfo=BEGIN.tzinfo)
)
_texts = st.text(max_size=8)
_outbox = st.lists(st.sampled_from(["out_1", "out_2"]), max_size=2).map(tuple)
_json = st.recursive(st.none() | st.booleans() | st.integers() | _texts, lambda inner: st.lists(inner, max_size=2))
_objects = st.dictionaries(st.sampled_from(["code", "title", "details", "reason", "llm", "agent"]), _json, max_size=3)
_attempts = st.lists(st.builds(Attempted, model=_texts, error=_texts), max_size=2).map(tuple)
_events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Started, agent_id=_ids, branch_id=_ids, version_id=_ids, source=_texts, override=_objects),
    st.builds(UserMessage, id=_ids, text=_texts, file_ids=st.just(("file_1", "file_2")), recogniser=_texts),
    st.builds(
        AgentMessage,
        id=_ids,
        text=_texts,
        model=st.none() | _texts,
        usage=st.dictionaries(st.sampled_from(["input", "output", "cache_read", "x"]), st.integers(0, 9)),
        attempts=_attempts,
        seconds=st.none() | st.floats(0, 9),
        outbox_ids=_outbox,
        event_id=st.none() | st.integers(1, 3),
    ),
    st.builds(AgentInterrupted, message_id=_ids, heard=_texts),
    st.builds(PartsBegan, message_id=_ids, at=st.lists(_moments, max_size=3).map(tuple)),
    st.builds(TurnTimed, message_id=_ids, waits=st.dictionaries(st.sampled_from(["model", "x"]), st.floats(0, 9))),
    st.builds(Voiced, message_id=_ids, voice_id=_texts, synthesiser=_texts),
    st.builds(UserSilent, asked_for_it=st.booleans()),
    st.builds(ContextualUpdate, text=_texts, context_id=st.none() | _ids),
    st.builds(ToolCalled, message_id=_ids, request_id=_ids, name=st.just("end_call"), params=_objects),
    st.builds(
        ToolReturned,
        message_id=_ids,
        request_id=_ids,
        name=st.just("end_call"),
        said=_texts,
        is_error=st.booleans(),
        outbox_ids=_outbox,
    ),
    st.builds(
        Delivery,
        outbox_id=st.sampled_from(["out_1", "out_2"]),
        state=st.sampled_from([*STATES, "vanished"]),
        error=st.none() | _objects,
        pricing=st.none() | _objects,
        at=st.none() | _moments,
    ),
    st.builds(TurnFailed, code=_texts, reason=_texts, attempts=_attempts),
    st.builds(Resumed),
    st.builds(Noted, what=_texts, detail=_objects),
    st.builds(Feedback, score=st.sampled_from(["like", "dislike", None]), event_id=st.none() | st.integers(1, 3)),
    st.builds(Ended, reason=_texts, error=st.none() | _objects),
    st.builds(Summarised, title=_texts, summary=_texts, model=_texts),
)
journals = st.lists(st.tuples(_moments, _events), max_size=12).map(
    lambda events: tuple(Entry(seq=place, at=at, event=event) for place, (at, event) in enumerate(events, 1))
)


@settings(max_examples=60)
@given(journals)
def test_any_journal_gives_a_complete_transcript(entries: tuple[Entry, ...]) -> None:
    found = transcript(entries, Surroundings(BEGIN, AGENT, files={"file_1": FILE}, prices=prices))

    for turn in found:
        assert_complete(sdk.ConversationHistoryTranscriptResponseModel, turn.model_dump(mode="json"))
    heard = [entry.event.text for entry in entries if isinstance(entry.event, UserMessage)]
    spoken = [turn for turn in found if turn.role == "user" and not turn.origin and not turn.platform_event]
    assert [turn.message or "" for turn in spoken] == heard
    called = {(e.event.message_id, e.event.request_id) for e in entries if isinstance(e.event, ToolCalled)}
    assert {call.request_id for turn in found for call in turn.tool_calls} == {request for _, request in called}
    returned = sum(isinstance(entry.event, ToolReturned) for entry in entries)
    assert sum(len(turn.tool_results) for turn in found) == returned


def test_what_several_voices_said_is_told_apart_as_far_as_it_was_heard() -> None:
    parts = (VoicePart(text="Joe says: "), VoicePart(text="Ahoy there! ", label="Joe"), VoicePart(text="So he said."))
    whole = AgentMessage(id="msg_1", text="Joe says: Ahoy there! So he said.", parts=parts)
    cut = whole.model_copy(update={"id": "msg_2"})
    heard = AgentInterrupted(message_id="msg_2", heard="Joe says: Ahoy")
    plain = AgentMessage(id="msg_3", text="Bye.")
    began = PartsBegan(message_id="msg_1", at=tuple(BEGIN + timedelta(seconds=at) for at in (1.2, 2.9)))
    found = turns([(0, started(ROW)), (1, whole), (2, began), (2, cut), (3, heard), (4, plain)])
    assert [turn.model_dump()["multivoice_message"] for turn in found] == [
        {
            "parts": [
                {"text": "Joe says:", "voice_label": None, "time_in_call_secs": 1},
                {"text": "Ahoy there!", "voice_label": "Joe", "time_in_call_secs": 2},
                {"text": "So he said.", "voice_label": None, "time_in_call_secs": None},
            ]
        },
        {
            "parts": [
                {"text": "Joe says:", "voice_label": None, "time_in_call_secs": None},
                {"text": "Ahoy", "voice_label": "Joe", "time_in_call_secs": None},
            ]
        },
        None,
    ]


def test_a_switch_of_the_language_has_a_result_of_its_kind() -> None:
    call = ToolCalled(message_id="m", request_id="r", name="language_detection", params={"reason": "hola"})
    done = ToolReturned(message_id="m", request_id="r", name="language_detection", language="es")
    refused = done.model_copy(update={"language": "", "is_error": True, "error_type": "too_late"})
    events: list[Timed] = [(0, started(ROW)), (1, AgentMessage(id="m", text="")), (1, call)]
    *_, results = turns([*events, (1, done)])
    assert results.tool_results[0].result is not None
    assert results.tool_results[0].result.model_dump(exclude_none=True) == {
        "result_type": "language_detection_success",
        "status": "success",
        "reason": "hola",
        "language": "es",
    }
    *_, results = turns([*events, (1, refused)])
    assert results.tool_results[0].result is None


def test_what_was_spoken_tells_by_whom_and_what_was_heard_too() -> None:
    found = turns(
        [
            (0, UserMessage(id="u", text="Hi", medium="audio", recogniser="deepgram:nova-3")),
            (1, UserMessage(id="v", text="Hi")),
            (2, AgentMessage(id="g", text="Hello", origin="first_message", medium="audio")),
            (2, Voiced(message_id="g", voice_id="alba", synthesiser="espeak:en")),
            (3, UserMessage(id="w", text="Tea?", medium="audio", recogniser="scribe:v2")),
            (4, AgentMessage(id="a", text="Yes", medium="audio", seconds=1.0)),
            (5, Voiced(message_id="a", voice_id="joe", synthesiser="elevenlabs:eleven_flash_v2")),
            (5, TurnTimed(message_id="a", waits={"recognition": 100.0})),
            (6, AgentMessage(id="b", text="Bye")),
        ]
    )
    told = [
        metrics and (metrics.convai_asr_provider, metrics.convai_tts_model, metrics.voice_id)
        for metrics in (turn.conversation_turn_metrics for turn in found)
    ]
    assert told == [
        ("deepgram", None, None),
        None,
        (None, "espeak:en", "alba"),
        ("scribe", None, None),
        ("scribe", "elevenlabs:eleven_flash_v2", "joe"),
        None,
    ]


def test_what_a_person_says_stands_where_they_began_to_say_it() -> None:
    began = BEGIN + timedelta(seconds=3)
    (turn,) = turns([(9, UserMessage(id="u", text="It is a long story", medium="audio", began=began))])
    assert (turn.time_in_call_secs, turn.created_at_unix_ms) == (3, int(began.timestamp() * 1000))


def test_a_spoken_answer_stands_where_it_began_to_be_heard_though_the_model_wrote_on() -> None:
    began = BEGIN + timedelta(seconds=1)
    (turn,) = turns(
        [
            (5, AgentMessage(id="a", text="Once upon a time", medium="audio")),
            (9, Voiced(message_id="a", voice_id="", synthesiser="embedded", began=began)),
        ]
    )
    assert (turn.time_in_call_secs, turn.created_at_unix_ms) == (1, int(began.timestamp() * 1000))
