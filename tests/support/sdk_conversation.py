"""The conversation of the official Python client, whose module names a class that websockets has renamed."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from elevenlabs.conversational_ai.conversation import (
        AgentChatResponsePartType,
        AsyncAudioInterface,
        AsyncConversation,
        ClientTools,
        Conversation,
        ConversationInitiationData,
        DisconnectionDetails,
        OnPremInitiationData,
        PostCallWebhookConfig,
    )

__all__ = [
    "AgentChatResponsePartType",
    "AsyncAudioInterface",
    "AsyncConversation",
    "ClientTools",
    "Conversation",
    "ConversationInitiationData",
    "DisconnectionDetails",
    "OnPremInitiationData",
    "PostCallWebhookConfig",
]
