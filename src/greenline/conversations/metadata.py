"""From a conversation and its journal to the metadata that clients read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.models import AgentVersion
from greenline.conversations.away import away_warnings
from greenline.conversations.deliveries import Sent, delivery_error, failure_reason, fold_deliveries
from greenline.conversations.events import (
    AgentMessage,
    CallEnded,
    CallPermission,
    Entry,
    Feedback,
    GuardrailsChecked,
    SpeechUsed,
    Started,
    ToolReturned,
    TurnFailed,
    UserMessage,
)
from greenline.conversations.metadata_models import (
    AsrUsage,
    CallPermissionRequest,
    Charging,
    DeletionSettings,
    ErrorView,
    FailedMessage,
    FeatureStatus,
    FeaturesUsage,
    FeedbackView,
    LlmUsageByCommitment,
    Metadata,
    OpeningMessage,
    Recipient,
    TestingFeatures,
    TtsUsage,
    WhatsAppInfo,
    WorkflowFeatures,
)
from greenline.conversations.models import Conversation
from greenline.conversations.start_data import start_data_warnings
from greenline.conversations.usage import Prices, llm_usage, no_prices, total_price, whole_price

_Count = TypeVar("_Count", int, float)
KEPT: Final = PrivacyConfig()
"""The settings of a conversation without a limit."""
SERVER_FAULT = 1011
"""Code of an error that names none: the close code of RFC 6455 for a server that could not go on."""


def metadata(
    conversation: Conversation,
    journal: Sequence[Entry],
    agent: AgentVersion | None,
    prices: Prices = no_prices,
    privacy: PrivacyConfig = KEPT,
) -> Metadata:
    """The metadata of a conversation. ``agent`` is None when the agent was deleted; ``privacy`` holds for it."""
    charging = _charging(conversation, journal, prices)
    sent = fold_deliveries(journal)
    return Metadata(
        start_time_unix_secs=_seconds(conversation.started_at),
        accepted_time_unix_secs=_seconds(conversation.accepted_at) if conversation.accepted_at else None,
        call_duration_secs=conversation.duration_seconds,
        queue_wait_secs=next((e.event.queued_seconds for e in journal if isinstance(e.event, Started)), None),
        cost_fiat=whole_price(
            charging.llm_usage.irreversible_generation, conversation.speech_price, conversation.call_price
        ),
        deletion_settings=_deletion(conversation, privacy),
        feedback=_feedback(conversation.feedback or {}, journal),
        authorization_method=conversation.authorization_method,
        charging=charging,
        termination_reason=conversation.termination_reason,
        error=_error(conversation.error),
        warnings=[
            *_failed_turns(journal),
            *_unjudged_replies(journal),
            *away_warnings(journal),
            *start_data_warnings(journal),
            *_failed_messages(sent.values()),
        ],
        main_language=conversation.main_language,
        text_only=conversation.text_only,
        features_usage=_features(conversation, journal, agent),
        conversation_initiation_source=conversation.source,
        conversation_initiation_source_version=_source_version(conversation.initiation),
        timezone=agent.conversation_config.agent.prompt.timezone if agent else None,
        whatsapp=_whatsapp(conversation, journal, sent) if conversation.source == "whatsapp" else None,
    )


def feedback_of(said: Feedback) -> dict[str, Any]:
    """``metadata.feedback`` after a rating of the whole conversation, which takes the place of the one before."""
    score, kind = said.score, None
    if score is not None:
        kind = "thumbs"
    elif said.rating is not None or said.comment is not None:
        kind = "rating"
    return FeedbackView(
        type=kind,
        overall_score=score,
        likes=int(score == "like"),
        dislikes=int(score == "dislike"),
        rating=said.rating,
        comment=said.comment,
    ).model_dump()


def _feedback(overall: Mapping[str, Any], journal: Iterable[Entry]) -> FeedbackView:
    """The rating of the whole and, in the counts, those of single answers. A rating of none counts for nothing."""
    events = [entry.event for entry in journal]
    answers = {event.event_id for event in events if isinstance(event, AgentMessage) and event.text}
    rated = {event.event_id: event.score for event in events if isinstance(event, Feedback)}
    found = FeedbackView.model_validate(overall)
    scores = [score for event_id, score in rated.items() if event_id is not None and event_id in answers]
    likes, dislikes = found.likes + scores.count("like"), found.dislikes + scores.count("dislike")
    kind = found.type or ("thumbs" if likes or dislikes else None)
    return found.model_copy(update={"type": kind, "likes": likes, "dislikes": dislikes})


def _charging(conversation: Conversation, journal: Iterable[Entry], prices: Prices) -> Charging:
    usage = llm_usage(conversation.llm_usage, prices)
    speech = _speech(journal)
    return Charging(
        # A generation that was superseded before it was heard is not in the journal: both are the same.
        llm_usage=LlmUsageByCommitment(irreversible_generation=usage, initiated_generation=usage),
        llm_price=total_price(usage),
        speech_price=conversation.speech_price,
        call_price=conversation.call_price,
        tts_usage=_spoken(speech) if speech else None,
        asr_usage=_heard(speech) if speech else None,
    )


def _speech(journal: Iterable[Entry]) -> SpeechUsed | None:
    """All that was heard and spoken; a chat has an event for each turn with voice notes."""
    used = [entry.event for entry in journal if isinstance(entry.event, SpeechUsed)]
    if not used:
        return None
    return SpeechUsed(
        heard_seconds=_sum(event.heard_seconds for event in used),
        transcribed_seconds=_sum(event.transcribed_seconds for event in used),
        spoken_seconds=_sum(event.spoken_seconds for event in used),
        spoken_characters=_sum(event.spoken_characters for event in used),
    )


def _sum(meters: Iterable[Mapping[str, _Count]]) -> dict[str, _Count]:
    total: dict[str, _Count] = {}
    for meter in meters:
        for name, count in meter.items():
            total[name] = total[name] + count if name in total else count
    return total


def _spoken(speech: SpeechUsed) -> TtsUsage:
    return TtsUsage(
        primary_tts_model=_most(speech.spoken_seconds),
        total_audio_output_seconds=sum(speech.spoken_seconds.values()),
        total_characters=sum(speech.spoken_characters.values()),
    )


def _heard(speech: SpeechUsed) -> AsrUsage:
    seconds = sum(speech.heard_seconds.values()) + sum(speech.transcribed_seconds.values())
    return AsrUsage(
        asr_model=_most(speech.heard_seconds) or _most(speech.transcribed_seconds), total_audio_input_seconds=seconds
    )


def _most(seconds: Mapping[str, float]) -> str | None:
    """The provider and model that did most of it."""
    return max(seconds, key=lambda name: seconds[name]) if seconds else None


def _deletion(conversation: Conversation, privacy: PrivacyConfig) -> DeletionSettings:
    due, days = None, 0 if privacy.zero_retention_mode else privacy.retention_days
    if days >= 0 and conversation.ended_at:
        due = _seconds(conversation.ended_at + timedelta(days=days))
    return DeletionSettings(
        deletion_time_unix_secs=due,
        deleted_audio_at_time_unix_secs=_optional(conversation.audio_deleted_at),
        deleted_transcript_at_time_unix_secs=_optional(conversation.transcript_deleted_at),
        delete_transcript_and_pii=privacy.delete_transcript_and_pii or privacy.zero_retention_mode,
        delete_audio=privacy.delete_audio or privacy.zero_retention_mode,
    )


def _error(error: Mapping[str, Any] | None) -> ErrorView | None:
    if error is None:
        return None
    code, reason = error.get("code"), error.get("reason")
    return ErrorView(
        code=code if isinstance(code, int) else SERVER_FAULT, reason=None if reason is None else str(reason)
    )


def _failed_turns(journal: Iterable[Entry]) -> Iterable[str]:
    for entry in journal:
        if isinstance(entry.event, TurnFailed):
            tried = "; ".join(f"{attempt.model}: {attempt.error}" for attempt in entry.event.attempts)
            yield f"A turn failed: {entry.event.reason}" + (f" ({tried})" if tried else "")


def _unjudged_replies(journal: Iterable[Entry]) -> Iterable[str]:
    """Once for each guardrail and reason: without a model that can judge, every reply is one."""
    checks = (entry.event for entry in journal if isinstance(entry.event, GuardrailsChecked))
    found = Counter((one.type, one.name, one.reason) for check in checks for one in check.unjudged)
    for (kind, name, reason), count in found.items():
        named = f"{kind} “{name}”" if name else kind
        yield f"The guardrail {named} was not judged ({count} times): {reason}"


def _failed_messages(sent: Iterable[Sent]) -> Iterable[str]:
    for message in sent:
        if message.state == "failed":
            yield f"A message did not reach the person: {failure_reason(delivery_error(message.error))}"


def _features(conversation: Conversation, journal: Iterable[Entry], agent: AgentVersion | None) -> FeaturesUsage:
    if agent is None:
        return FeaturesUsage()
    settings, config = agent.platform_settings, agent.conversation_config
    prompt = config.agent.prompt
    enabled, used = prompt.built_in_tools.enabled(), set(conversation.tool_names)

    def tool(name: str) -> FeatureStatus:
        return FeatureStatus(enabled=name in enabled, used=name in used)

    said = [entry.event for entry in journal if isinstance(entry.event, UserMessage)]
    takes_keys = config.conversation.dtmf_input_settings is not None
    return FeaturesUsage(
        language_detection=tool("language_detection"),
        multivoice=FeatureStatus(enabled=bool(config.tts.supported_voices), used=_used_voices(journal)),
        transfer_to_agent=tool("transfer_to_agent"),
        transfer_to_number=tool("transfer_to_number"),
        dtmf_tones=tool("play_keypad_touch_tone"),
        voicemail_detection=tool("voicemail_detection"),
        external_mcp_servers=FeatureStatus(
            enabled=bool(prompt.mcp_server_ids or prompt.native_mcp_server_ids), used=_used_mcp(journal)
        ),
        pii_zrm_agent=settings.privacy.zero_retention_mode,
        workflow=WorkflowFeatures(enabled=bool(agent.workflow.edges)),
        agent_testing=TestingFeatures(enabled=bool(settings.testing.attached_tests)),
        is_livekit=conversation.authorization_method == "livekit_token",
        dtmf_input=FeatureStatus(enabled=takes_keys, used=any(event.medium == "dtmf" for event in said)),
        file_input=FeatureStatus(
            enabled=config.conversation.file_input.enabled, used=any(event.file_ids for event in said)
        ),
    )


def _used_voices(journal: Iterable[Entry]) -> bool:
    """Whether others than the agent's own voice spoke."""
    said = (entry.event for entry in journal if isinstance(entry.event, AgentMessage))
    return any(part.label is not None for event in said for part in event.parts)


def _used_mcp(journal: Iterable[Entry]) -> bool:
    return any(isinstance(entry.event, ToolReturned) and entry.event.type == "mcp" for entry in journal)


def _source_version(initiation: Mapping[str, Any]) -> str | None:
    source = initiation.get("source_info")
    version = source.get("version") if isinstance(source, dict) else None
    return version if isinstance(version, str) else None


def _whatsapp(conversation: Conversation, journal: Sequence[Entry], sent: Mapping[str, Sent]) -> WhatsAppInfo:
    outbound = conversation.direction == "outbound"
    return WhatsAppInfo(
        direction=conversation.direction or "unknown",
        whatsapp_phone_number_id=conversation.phone_number_id,
        # A client may have given the conversation a user_id of its own.
        whatsapp_user_id=conversation.wa_id or conversation.bsuid or conversation.user_id or "",
        awaiting_first_user_message=conversation.awaiting_first_user_message if outbound else None,
        recipient=Recipient(phone=conversation.wa_id, bsuid=conversation.bsuid),
        call_permission_request=_call_permission(journal),
        call_result=next((e.event.result for e in reversed(journal) if isinstance(e.event, CallEnded)), None),
        opening_message=_opening(journal, sent),
        last_failure=_last_failure(sent.values()),
    )


def _last_failure(sent: Iterable[Sent]) -> FailedMessage | None:
    failed = [(message.times["failed"], message) for message in sent if message.state == "failed"]
    if not failed:
        return None
    at, message = max(failed, key=lambda each: each[0])
    error = delivery_error(message.error)
    return FailedMessage(
        outbox_id=message.outbox_id,
        wamid=message.wamid,
        failed_at_unix=_seconds(at),
        error_code=str(error.code) if error and error.code is not None else None,
        reason=failure_reason(error),
    )


def _call_permission(journal: Sequence[Entry]) -> CallPermissionRequest | None:
    told = [(entry.at, entry.event) for entry in journal if isinstance(entry.event, CallPermission)]
    if not told:
        return None
    asked = next((at for at, event in told if event.state == "sent"), None)
    at, last = told[-1]
    return CallPermissionRequest(
        state=last.state,
        requested_at_unix=_optional(asked),
        responded_at_unix=_seconds(at) if last.state in ("accepted", "declined") else None,
        permanent=last.permanent,
        granted_by_user_call=last.by_users_call,
    )


def _opening(journal: Sequence[Entry], sent: Mapping[str, Sent]) -> OpeningMessage | None:
    """Of the first template, if the agent said nothing before it."""
    first = next((entry for entry in journal if isinstance(entry.event, AgentMessage)), None)
    if first is None or not isinstance(first.event, AgentMessage) or first.event.origin != "template":
        return None
    names = first.event.outbox_ids
    message = sent.get(names[0], Sent(names[0])) if names else Sent("")
    reply = next((entry.at for entry in journal if isinstance(entry.event, UserMessage)), None)
    times, pricing = message.times, message.pricing or {}
    error = delivery_error(message.error) if message.state == "failed" else None
    category, billable = pricing.get("category"), pricing.get("billable")
    return OpeningMessage(
        template_name=str((first.event.template or {}).get("name") or ""),
        wamid=message.wamid,
        sent_at_unix=_seconds(times.get("accepted") or times.get("sent") or first.at),
        delivered_at_unix=_optional(times.get("delivered")),
        read_at_unix=_optional(times.get("read")),
        replied_at_unix=_optional(reply),
        failed_at_unix=_optional(times.get("failed")),
        error_code=str(error.code) if error and error.code is not None else None,
        pricing_category=category if isinstance(category, str) else None,
        billable=billable if isinstance(billable, bool) else None,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _optional(moment: datetime | None) -> int | None:
    return None if moment is None else _seconds(moment)
