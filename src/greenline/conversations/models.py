"""What a conversation is to those who read it, and what can be wrong with a wish."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from greenline.errors import BadRequest, Conflict, GreenlineError, NotFound

Verdict: TypeAlias = Literal["success", "failure", "unknown"]
Score: TypeAlias = Literal["like", "dislike"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The projection that lists read, with the name of its agent and the ids of its person.

    ``agent_name`` is None when the agent was deleted; ``wa_id`` and ``bsuid`` are those of the WhatsApp chat.
    """

    id: str
    workspace_id: str
    agent_id: str
    branch_id: str
    version_id: str
    environment: str
    source: str
    direction: str | None
    text_only: bool
    phone_number_id: str | None
    user_id: str | None
    status: str
    awaiting_first_user_message: bool
    termination_reason: str
    error: dict[str, Any] | None
    started_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    last_agent_message_at: datetime | None
    last_user_message_at: datetime | None
    message_count: int
    user_message_count: int
    agent_message_count: int
    tool_names: tuple[str, ...]
    title: str | None
    summary: str | None
    call_successful: str | None
    main_language: str | None
    rating: int | None
    feedback: dict[str, Any] | None
    llm_usage: dict[str, dict[str, int]]
    authorization_method: str
    speech_price: float | None = 0.0
    call_price: float | None = 0.0
    transcript_deleted_at: datetime | None = None
    audio_deleted_at: datetime | None = None
    agent_name: str | None = None
    wa_id: str | None = field(default=None, repr=False)
    bsuid: str | None = field(default=None, repr=False)
    initiation: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def begun_at(self) -> datetime:
        """When its clock began to run: a business-started conversation waits for the person's reply."""
        return self.accepted_at or self.started_at

    @property
    def duration_seconds(self) -> int:
        """Whole seconds of its clock, up to its end or, while it is open, to the last message."""
        if self.accepted_at is None:
            return 0
        last = max((at for at in (self.last_agent_message_at, self.last_user_message_at) if at), default=None)
        until = self.ended_at or last or self.accepted_at
        return max(0, (until - self.accepted_at) // timedelta(seconds=1))

    @property
    def verdict(self) -> Verdict:
        """Whether it succeeded; unknown until its end."""
        return "success" if self.call_successful == "success" else _failure(self.call_successful)

    @property
    def is_over(self) -> bool:
        """Whether it has ended and nothing of it is still being worked out."""
        return self.status in ("done", "failed")


def _failure(call_successful: str | None) -> Verdict:
    return "failure" if call_successful == "failure" else "unknown"


class ConversationNotFound(NotFound):
    """No conversation with this id is in the workspace of the API key."""

    code = "conversation_not_found"


class FileNotFound(NotFound):
    """The conversation has no file with this id."""

    code = "file_not_found"


class LinkExpired(NotFound):
    """This link to a file has expired or is incomplete. Read the conversation again for a new one."""

    code = "link_expired"


class NoAudio(NotFound):
    """No audio was recorded of this conversation, or it is still being written."""

    code = "audio_not_found"


class NoSuchReference(NotFound):
    """No conversation belongs to this reference: the workspace has no integration with Slack or Zendesk."""

    code = "conversation_not_found"


class ConversationOver(BadRequest):
    """The conversation has ended and takes no more files."""

    code = "conversation_ended"


class FileInputDisabled(BadRequest):
    """The agent takes no files. Enable conversation_config.conversation.file_input on it."""

    code = "file_input_disabled"


class TooManyFiles(BadRequest):
    """The conversation has as many files as its agent allows (file_input.max_files_per_conversation)."""

    code = "too_many_files"


class UnsupportedFile(BadRequest):
    """Only images (JPEG, PNG, WebP, GIF), PDF and text files (UTF-8) can be uploaded."""

    code = "unsupported_file_type"


class EmptyFile(BadRequest):
    """The file is empty."""

    code = "empty_file"


class FileTooLarge(GreenlineError):
    """The file is larger than this server takes (GREENLINE_MEDIA_MAX_BYTES)."""

    http_status = 413
    code = "file_too_large"


class FileInUse(Conflict):
    """The file was used in the conversation and can't be removed alone. Delete the conversation."""

    code = "file_in_use"
