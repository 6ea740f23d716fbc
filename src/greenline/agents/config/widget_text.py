"""Every text of the web widget; null is the widget's own."""

from __future__ import annotations

from pydantic import Field

from greenline.agents.config.base import ConfigModel


class WidgetTextContents(ConfigModel):
    """The block ``platform_settings.widget.text_contents``."""

    main_label: str | None = None
    start_call: str | None = None
    start_chat: str | None = None
    new_call: str | None = None
    end_call: str | None = None
    mute_microphone: str | None = None
    change_language: str | None = None
    collapse: str | None = None
    expand: str | None = None
    copied: str | None = None
    accept_terms: str | None = None
    dismiss_terms: str | None = None
    listening_status: str | None = None
    speaking_status: str | None = None
    connecting_status: str | None = None
    chatting_status: str | None = None
    queue_waiting_status: str | None = None
    queue_waiting_status_short: str | None = None
    input_label: str | None = None
    input_placeholder: str | None = None
    input_placeholder_text_only: str | None = None
    input_placeholder_new_conversation: str | None = None
    user_ended_conversation: str | None = None
    agent_ended_conversation: str | None = None
    conversation_id: str | None = None
    error_occurred: str | None = None
    queue_timed_out: str | None = None
    copy_id: str | None = None
    initiate_feedback: str | None = None
    request_follow_up_feedback: str | None = None
    thanks_for_feedback: str | None = None
    thanks_for_feedback_details: str | None = None
    follow_up_feedback_placeholder: str | None = None
    submit: str | None = None
    go_back: str | None = None
    send_message: str | None = None
    text_mode: str | None = None
    voice_mode: str | None = None
    switched_to_text_mode: str | None = None
    switched_to_voice_mode: str | None = None
    copy_: str | None = Field(None, alias="copy")
    download: str | None = None
    wrap: str | None = None
    agent_working: str | None = None
    agent_done: str | None = None
    agent_error: str | None = None
    attach_file: str | None = None
    remove_file: str | None = None
    file_upload_error: str | None = None
    file_type_unsupported: str | None = None
    file_too_large: str | None = None
    file_limit_reached: str | None = None
    typing_indicator: str | None = None
    rich_content_unavailable: str | None = None
