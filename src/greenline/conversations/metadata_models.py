"""The metadata of a conversation, with every field of the reference (``ConversationHistoryMetadata...``)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from greenline.conversations.usage import LlmUsage


class DeletionSettings(BaseModel):
    """What is due to be deleted and what has been; times in Unix seconds."""

    deletion_time_unix_secs: int | None = None
    deleted_logs_at_time_unix_secs: int | None = None
    deleted_audio_at_time_unix_secs: int | None = None
    deleted_transcript_at_time_unix_secs: int | None = None
    delete_transcript_and_pii: bool = False
    delete_audio: bool = False


class FeedbackView(BaseModel):
    """How the conversation was rated."""

    type: str | None = None
    overall_score: str | None = None
    likes: int = 0
    dislikes: int = 0
    rating: int | None = None
    comment: str | None = None


class LlmUsageByCommitment(BaseModel):
    """Usage of generations that reached the person, and of all that were begun."""

    irreversible_generation: LlmUsage
    initiated_generation: LlmUsage


class TtsUsage(BaseModel):
    """What was spoken; ``primary_tts_model`` is the provider and model that spoke most."""

    primary_tts_model: str | None
    total_audio_output_seconds: float
    total_characters: int
    per_voice_usage: list[Any] = []


class AsrUsage(BaseModel):
    """What was heard; ``asr_model`` is the provider and model that heard most."""

    asr_model: str | None
    total_transcription_calls: int | None = None
    total_audio_input_seconds: float


class Charging(BaseModel):
    """What the conversation cost. Prices are in US dollars; a self-hosted server has no credits to charge."""

    dev_discount: bool = False
    is_burst: bool = False
    tier: str | None = None
    llm_usage: LlmUsageByCommitment
    llm_price: float | None
    llm_charge: int | None = None
    call_charge: int | None = None
    platform_charge: int | None = None
    platform_usage: None = None
    platform_price: float | None = None
    free_minutes_consumed: float = 0.0
    free_llm_dollars_consumed: float = 0.0
    tts_usage: TtsUsage | None = None
    asr_usage: AsrUsage | None = None
    analysis: None = None
    voice_surcharge_charge: int | None = None

    speech_price: float | None = 0.0
    """Our extension: hearing and speaking, in US dollars; null where the price of a provider is not known."""
    call_price: float | None = 0.0
    """Our extension: Meta's minutes, in US dollars; null where the rate of the person's country is not known."""


class ErrorView(BaseModel):
    """Why the conversation failed."""

    code: int
    reason: str | None = None


class FeatureStatus(BaseModel):
    """Whether the agent had a feature, and whether the conversation used it."""

    enabled: bool = False
    used: bool = False


class WorkflowFeatures(BaseModel):
    """The kinds of workflow nodes."""

    enabled: bool = False
    tool_node: FeatureStatus = FeatureStatus()
    standalone_agent_node: FeatureStatus = FeatureStatus()
    phone_number_node: FeatureStatus = FeatureStatus()
    end_node: FeatureStatus = FeatureStatus()
    override_agent_node: FeatureStatus = FeatureStatus()


class TestingFeatures(BaseModel):
    """Whether the agent has tests, and whether they ran."""

    enabled: bool = False
    tests_ran_after_last_modification: bool = False
    tests_ran_in_last_7_days: bool = False


class FeaturesUsage(BaseModel):
    """Features of the reference, with and without a part in this conversation."""

    language_detection: FeatureStatus = FeatureStatus()
    transfer_to_agent: FeatureStatus = FeatureStatus()
    transfer_to_number: FeatureStatus = FeatureStatus()
    multivoice: FeatureStatus = FeatureStatus()
    dtmf_tones: FeatureStatus = FeatureStatus()
    external_mcp_servers: FeatureStatus = FeatureStatus()
    pii_zrm_workspace: bool = False
    pii_zrm_agent: bool = False
    tool_dynamic_variable_updates: FeatureStatus = FeatureStatus()
    is_livekit: bool = False
    voicemail_detection: FeatureStatus = FeatureStatus()
    dtmf_input: FeatureStatus = FeatureStatus()
    workflow: WorkflowFeatures = WorkflowFeatures()
    agent_testing: TestingFeatures = TestingFeatures()
    versioning: FeatureStatus = FeatureStatus(enabled=True, used=True)
    file_input: FeatureStatus = FeatureStatus()
    freeform_procedure: FeatureStatus = FeatureStatus()
    structured_procedure: FeatureStatus = FeatureStatus()


class ElevenAssistant(BaseModel):
    """The reference's own assistant; never one of ours."""

    is_eleven_assistant: bool = False


class Recipient(BaseModel):
    """The person: phone digits as Meta writes them, business-scoped user id."""

    phone: str | None = None
    bsuid: str | None = None


class OpeningMessage(BaseModel):
    """The template that began the conversation; times in Unix seconds, of Meta's clock where it told them."""

    template_name: str
    wamid: str | None = None
    sent_at_unix: int
    delivered_at_unix: int | None = None
    read_at_unix: int | None = None
    replied_at_unix: int | None = None
    failed_at_unix: int | None = None
    error_code: str | None = None
    pricing_category: str | None = None
    billable: bool | None = None


class FailedMessage(BaseModel):
    """A message that did not reach the person; ``failed_at_unix`` in seconds, ``error_code`` is Meta's as a text."""

    outbox_id: str
    wamid: str | None = None
    failed_at_unix: int
    error_code: str | None = None
    reason: str


class CallPermissionRequest(BaseModel):
    """The question whether the business may call; times in Unix seconds."""

    state: str
    requested_at_unix: int | None = None
    responded_at_unix: int | None = None
    permanent: bool | None = None
    granted_by_user_call: bool | None = None


class WhatsAppInfo(BaseModel):
    """The conversation on WhatsApp."""

    direction: str
    whatsapp_phone_number_id: str | None = None
    whatsapp_user_id: str
    awaiting_first_user_message: bool | None = None
    recipient: Recipient
    call_permission_request: CallPermissionRequest | None = None
    call_result: str | None = None
    opening_message: OpeningMessage | None = None

    last_failure: FailedMessage | None = None
    """Our extension: of all messages the one that failed last."""


class Metadata(BaseModel):
    """Everything around the transcript."""

    start_time_unix_secs: int
    accepted_time_unix_secs: int | None
    call_duration_secs: int
    queue_wait_secs: float | None = None
    cost: int | None = None
    cost_fiat: float | None
    deletion_settings: DeletionSettings
    feedback: FeedbackView
    authorization_method: str
    charging: Charging
    phone_call: None = None
    batch_call: None = None
    termination_reason: str
    error: ErrorView | None
    warnings: list[str]
    main_language: str | None
    rag_usage: None = None
    text_only: bool
    features_usage: FeaturesUsage
    eleven_assistant: ElevenAssistant = ElevenAssistant()
    initiator_id: str | None = None
    conversation_initiation_source: str
    conversation_initiation_source_version: str | None
    timezone: str | None
    async_metadata: None = None
    whatsapp: WhatsAppInfo | None
    sms: None = None
    agent_created_from: str = "unknown"
    agent_last_updated_from: str = "unknown"
    voice_rewards: list[Any] = []
