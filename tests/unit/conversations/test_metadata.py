"""What stands around a transcript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import elevenlabs.types as sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.models import AgentVersion
from greenline.conversations.events import (
    AgentMessage,
    Attempted,
    Delivery,
    Ended,
    Event,
    Feedback,
    Resumed,
    SpeechUsed,
    ToolCalled,
    TurnFailed,
    UserMessage,
    VoicePart,
)
from greenline.conversations.metadata import feedback_of, metadata
from greenline.conversations.models import Conversation
from greenline.conversations.projection import fold
from greenline.conversations.views import view
from support.journal import BEGIN, Timed, journal, projection, started
from support.shapes import assert_complete

TEMPLATE = AgentMessage(
    id="m0", text="Your order is ready", origin="template", outbox_ids=("out_1",), template={"name": "ready"}
)


def agent(**parts: Any) -> AgentVersion:
    return AgentVersion(
        id="agtvrsn_1",
        agent_id="agent_1",
        agent_name="Shop",
        branch_id="agtbrch_1",
        conversation_config=ConversationConfig.model_validate(parts.pop("config", {})),
        platform_settings=PlatformSettings.model_validate(parts),
        workflow=Workflow(),
    )


def conversation(*events: Timed, begin: datetime = BEGIN, **columns: Any) -> Conversation:
    """The projection of the events, as the list reads it."""
    row = projection(started_at=begin, accepted_at=begin)
    if "accepted_at" in columns:
        row = replace(row, accepted_at=columns.pop("accepted_at"))
    for seconds, event in events:
        row = fold(row, [event], begin + timedelta(seconds=seconds))
    read = dict.fromkeys(("title", "summary", "main_language", "rating", "feedback"))
    values = {name: value for name, value in asdict(row).items() if name != "chat_id"}
    return Conversation(**{**read, **values, "wa_id": "4917012345678", "bsuid": "DE.1", **columns})


def unix(seconds: float) -> int:
    return int(BEGIN.timestamp() + seconds)


def test_times_and_the_person() -> None:
    events: list[tuple[float, Event]] = [
        (0.0, UserMessage(id="m", text="Hi")),
        (321.7, Ended(reason="end_call tool was called")),
    ]
    found = metadata(conversation(*events), journal(events), agent())
    assert (found.start_time_unix_secs, found.accepted_time_unix_secs) == (unix(0), unix(0))
    assert (found.call_duration_secs, found.termination_reason) == (321, "end_call tool was called")
    assert found.phone_call is None
    assert found.whatsapp is not None
    assert found.whatsapp.model_dump() == {
        "direction": "inbound",
        "whatsapp_phone_number_id": "100200300",
        "whatsapp_user_id": "4917012345678",
        "awaiting_first_user_message": None,
        "recipient": {"phone": "4917012345678", "bsuid": "DE.1"},
        "call_permission_request": None,
        "call_result": None,
        "opening_message": None,
        "last_failure": None,
    }


def test_only_whatsapp_conversations_have_its_block() -> None:
    assert metadata(conversation(source="python_sdk"), (), agent()).whatsapp is None


def test_the_life_of_an_opening_template() -> None:
    facts = [
        Delivery(outbox_id="out_1", state="accepted", wamid="wamid.1"),
        Delivery(outbox_id="out_1", state="sent", at=BEGIN + timedelta(seconds=3)),
        Delivery(
            outbox_id="out_1",
            state="delivered",
            at=BEGIN + timedelta(seconds=5),
            pricing={"category": "utility", "billable": True, "pricing_model": "PMP"},
        ),
        Delivery(outbox_id="out_1", state="read", at=BEGIN + timedelta(seconds=6)),
    ]
    waiting: list[Timed] = [(0, TEMPLATE), *((2, fact) for fact in facts)]
    row = conversation(*waiting, direction="outbound", awaiting_first_user_message=True, accepted_at=None)
    found = metadata(row, journal(waiting), agent())
    assert found.accepted_time_unix_secs is None
    assert found.call_duration_secs == 0
    assert found.whatsapp is not None
    assert found.whatsapp.awaiting_first_user_message is True
    opening = found.whatsapp.opening_message
    assert opening is not None
    assert opening.model_dump() == {
        "template_name": "ready",
        "wamid": "wamid.1",
        "sent_at_unix": unix(2),
        "delivered_at_unix": unix(5),
        "read_at_unix": unix(6),
        "replied_at_unix": None,
        "failed_at_unix": None,
        "error_code": None,
        "pricing_category": "utility",
        "billable": True,
    }

    answered: list[Timed] = [*waiting, (60, Resumed()), (60, UserMessage(id="m1", text="Great"))]
    row = conversation(*answered, direction="outbound", accepted_at=None)
    found = metadata(row, journal(answered), agent())
    assert found.accepted_time_unix_secs == unix(60)
    assert found.whatsapp is not None
    assert found.whatsapp.awaiting_first_user_message is False
    assert found.whatsapp.opening_message is not None
    assert found.whatsapp.opening_message.replied_at_unix == unix(60)


def test_a_template_that_failed() -> None:
    error = {"code": 131026, "title": "Message undeliverable", "details": "Message undeliverable."}
    events: list[Timed] = [(0, TEMPLATE), (4, Delivery(outbox_id="out_1", state="failed", error=error))]
    found = metadata(conversation(*events, direction="outbound"), journal(events), agent())
    assert found.whatsapp is not None
    assert found.whatsapp.opening_message is not None
    assert (found.whatsapp.opening_message.failed_at_unix, found.whatsapp.opening_message.error_code) == (
        unix(4),
        "131026",
    )
    assert found.warnings == ["A message did not reach the person: 131026, Message undeliverable"]


def test_a_template_in_the_middle_opened_nothing() -> None:
    events: list[Timed] = [(0, AgentMessage(id="m", text="Hello")), (1, TEMPLATE)]
    found = metadata(conversation(*events), journal(events), agent())
    assert found.whatsapp is not None
    assert found.whatsapp.opening_message is None


def test_failed_turns_warn() -> None:
    failed = TurnFailed(
        code="no_model_answered",
        reason="no model of the cascade answered",
        attempts=(Attempted(model="gpt-4o", error="rate limit"),),
    )
    found = metadata(conversation(), journal([(0, failed)]), agent())
    assert found.warnings == ["A turn failed: no model of the cascade answered (gpt-4o: rate limit)"]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ({"code": 1008, "reason": "missing variables"}, {"code": 1008, "reason": "missing variables"}),
        ({"code": "odd"}, {"code": 1011, "reason": None}),
    ],
)
def test_the_error_of_a_failed_conversation(error: dict[str, Any], shown: dict[str, Any]) -> None:
    found = metadata(conversation(error=error), (), None)
    assert found.error is not None
    assert found.error.model_dump() == shown


def test_retention_tells_when_the_conversation_is_deleted() -> None:
    keeps = PrivacyConfig(retention_days=30, delete_transcript_and_pii=True)
    ended = conversation((10, Ended(reason="")))
    found = metadata(ended, (), agent(), privacy=keeps).deletion_settings
    assert found.deletion_time_unix_secs == unix(10 + 30 * 86400)
    assert (found.delete_transcript_and_pii, found.delete_audio) == (True, False)
    assert metadata(conversation(), (), agent(), privacy=keeps).deletion_settings.deletion_time_unix_secs is None
    assert metadata(ended, (), agent()).deletion_settings.deletion_time_unix_secs is None


def test_what_the_models_cost() -> None:
    said = AgentMessage(id="m", text="Hi", model="gpt-4o", usage={"input": 1000, "output": 10})
    row = conversation((0, said), (1, said))

    def prices(model: str, usage: Mapping[str, int]) -> dict[str, float]:
        return {"input": usage["input"] * 0.001, "output": usage["output"] * 0.01}

    found = metadata(row, (), agent(), prices)
    assert found.charging.llm_price == found.cost_fiat == pytest.approx(2.2)
    usage = found.charging.llm_usage.irreversible_generation.model_usage["gpt-4o"]
    assert (usage.input.tokens, usage.output_total.tokens) == (2000, 20)
    assert metadata(row, (), agent()).charging.llm_price is None  # not known is not free
    assert metadata(conversation(), (), agent()).charging.llm_price == 0


def test_features_that_the_agent_had_and_the_conversation_used() -> None:
    config = {
        "agent": {
            "prompt": {"built_in_tools": {"language_detection": {}, "skip_turn": {}, "voicemail_detection": {}}}
        },
        "conversation": {"dtmf_input_settings": {"redact_input": True}},
        "tts": {"supported_voices": [{"label": "Joe", "voice_id": "joe"}]},
    }
    events: list[Timed] = [
        (0, UserMessage(id="u", text="", file_ids=("file_1",))),
        (0, UserMessage(id="v", text="[Keys pressed: REDACTED]", medium="dtmf")),
        (0, ToolCalled(message_id="m", request_id="r", name="language_detection")),
    ]
    found = metadata(conversation(*events), journal(events), agent(config=config)).features_usage
    assert found.language_detection.model_dump() == {"enabled": True, "used": True}
    assert found.voicemail_detection.model_dump() == {"enabled": True, "used": False}
    assert found.dtmf_tones.model_dump() == {"enabled": False, "used": False}
    assert found.dtmf_input.model_dump() == {"enabled": True, "used": True}
    assert found.file_input.model_dump() == {"enabled": True, "used": True}
    assert found.multivoice.model_dump() == {"enabled": True, "used": False}
    parts = (VoicePart(text="He says: "), VoicePart(text="Ahoy!", label="Joe"))
    events.append((1, AgentMessage(id="a", text="He says: Ahoy!", parts=parts)))
    used = metadata(conversation(*events), journal(events), agent(config=config)).features_usage
    assert used.multivoice.model_dump() == {"enabled": True, "used": True}
    assert metadata(conversation(), (), agent()).features_usage.multivoice.enabled is False


def test_ratings_of_answers_are_counted_beside_that_of_the_whole() -> None:
    answers: list[Timed] = [(0, AgentMessage(id=f"a{at}", text="Yes", event_id=at)) for at in (1, 2)]
    events: list[Timed] = [
        *answers,
        (1, Feedback(score="like", event_id=1)),
        (2, Feedback(score="dislike", event_id=2)),
        (3, Feedback(score="like", event_id=2)),
        (3, Feedback(score="dislike", event_id=999)),  # of an answer that there is not
        (4, Feedback(score="dislike")),
    ]
    whole = feedback_of(Feedback(score="dislike"))
    rated = metadata(conversation(*events, feedback=whole), journal(events), None).feedback
    assert (rated.type, rated.overall_score, rated.likes, rated.dislikes) == ("thumbs", "dislike", 2, 1)
    unrated = metadata(conversation(*events[:5]), journal(events[:5]), None).feedback
    assert (unrated.type, unrated.overall_score, unrated.likes, unrated.dislikes) == ("thumbs", None, 2, 0)


def test_speech_has_its_price_beside_that_of_models() -> None:
    spoken = SpeechUsed(
        heard_seconds={"deepgram:nova-3": 60.0, "embedded": 2.0},
        spoken_seconds={"openai:tts-1": 20.0},
        spoken_characters={"openai:tts-1": 300},
        price=0.01,
    )
    events: list[Timed] = [(1, AgentMessage(id="m", text="Hi")), (2, spoken)]
    found = metadata(conversation(*events), journal(events), None)
    assert (found.charging.speech_price, found.charging.llm_price, found.cost_fiat) == (0.01, 0, 0.01)
    assert found.charging.tts_usage is not None
    assert found.charging.asr_usage is not None
    assert (found.charging.tts_usage.primary_tts_model, found.charging.tts_usage.total_characters) == (
        "openai:tts-1",
        300,
    )
    assert (found.charging.asr_usage.asr_model, found.charging.asr_usage.total_audio_input_seconds) == (
        "deepgram:nova-3",
        62.0,
    )
    more = SpeechUsed(transcribed_seconds={"embedded": 3.0}, spoken_characters={"openai:tts-1": 50}, price=0.02)
    twice = [*events, (3, more)]
    charging = metadata(conversation(*twice), journal(twice), None).charging
    assert charging.speech_price == pytest.approx(0.03)
    assert charging.tts_usage is not None
    assert charging.asr_usage is not None
    assert charging.tts_usage.total_characters == 350
    assert charging.asr_usage.total_audio_input_seconds == 65.0
    unknown = [*events, (3, SpeechUsed(spoken_seconds={"mine": 1.0}))]
    assert metadata(conversation(*unknown), journal(unknown), None).cost_fiat is None


def test_a_call_of_the_business_has_its_price_beside_the_others() -> None:
    found = metadata(conversation(call_price=0.25, speech_price=0.5), (), None)
    assert (found.charging.call_price, found.cost_fiat) == (0.25, 0.75)
    unknown = metadata(conversation(call_price=None), (), None)
    assert (unknown.charging.call_price, unknown.cost_fiat) == (None, None)


def test_thumbs() -> None:
    assert feedback_of(Feedback(score="like"))["likes"] == 1
    assert feedback_of(Feedback(score="dislike")) == {
        "type": "thumbs",
        "overall_score": "dislike",
        "likes": 0,
        "dislikes": 1,
        "rating": None,
        "comment": None,
    }
    assert feedback_of(Feedback()) == {
        "type": None,
        "overall_score": None,
        "likes": 0,
        "dislikes": 0,
        "rating": None,
        "comment": None,
    }


def test_secret_variables_are_not_shown() -> None:
    row = projection()
    events: list[Timed] = [(0, started(row, variables={"name": "Ada", "secret__token": "x"}))]
    found = view(conversation(*events), journal(events), (), None, link=lambda file: "")
    assert found.conversation_initiation_client_data.dynamic_variables == {"name": "Ada"}


_facts: st.SearchStrategy[Event] = st.one_of(
    st.just(TEMPLATE),
    st.builds(
        Delivery,
        outbox_id=st.just("out_1"),
        state=st.sampled_from(["accepted", "sent", "delivered", "read", "failed", "strange"]),
        error=st.sampled_from([None, {}, {"code": "x"}, {"code": 1.5, "title": 3}]),
        pricing=st.sampled_from([None, {}, {"category": 5, "billable": "yes"}, {"category": "service"}]),
    ),
    st.builds(UserMessage, id=st.just("u"), text=st.just("Hi")),
    st.builds(Ended, reason=st.just("over")),
    st.builds(Resumed),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 9000), _facts), max_size=8), st.booleans())
def test_any_journal_gives_a_complete_conversation(events: list[Timed], known: bool) -> None:
    row = conversation(*events, agent_name="Shop" if known else None)
    found = view(row, journal(events), (), agent() if known else None, link=lambda file: "")
    assert_complete(sdk.GetConversationResponseModel, found.model_dump(mode="json"))
