"""How long what people said is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Name


class HistoryRedaction(ConfigModel):
    """Kinds of personal data that are masked in what is stored; a parent (``name``) covers ``name.name_given``."""

    enabled: bool = False
    entities: list[Name] = []
    excluded_data_collection_ids: list[str] = []


class PrivacyConfig(ConfigModel):
    """The block ``platform_settings.privacy``; ``retention_days`` -1 keeps without limit."""

    record_voice: bool = True
    retention_days: Annotated[int, Field(ge=-1, le=36500)] = -1
    delete_transcript_and_pii: bool = False
    delete_audio: bool = False
    apply_to_existing_conversations: bool = False
    zero_retention_mode: bool = False
    conversation_history_redaction: HistoryRedaction = HistoryRedaction()
