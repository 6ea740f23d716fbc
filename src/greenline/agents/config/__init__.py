"""The models of an agent's configuration, one subject a module (reference: Agents, Appendix A and B)."""

from greenline.agents.config.conversation_config import ConversationConfig
from greenline.agents.config.override import ConfigOverride
from greenline.agents.config.platform_settings import PlatformSettings
from greenline.agents.config.workflow import Workflow

__all__ = ["ConfigOverride", "ConversationConfig", "PlatformSettings", "Workflow"]
