"""Which documents an agent reads and how they are searched."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Name


class KnowledgeBaseLocator(ConfigModel):
    """A document of the knowledge base; ``prompt`` puts it whole into the prompt, ``auto`` may search it."""

    type: Literal["file", "url", "text", "folder"]
    name: str
    id: str
    usage_mode: Literal["prompt", "auto"] = "auto"


class KnowledgeBaseToolInfo(ConfigModel):
    """The searches that the model may run itself."""

    enabled_strategies: Annotated[list[Name], Field(min_length=1)] = ["cat", "keyword", "semantic", "ls"]


class RagConfig(ConfigModel):
    """Retrieval before each answer; ``max_documents_length`` counts characters."""

    enabled: bool = False
    embedding_model: Name = "e5_mistral_7b_instruct"
    max_vector_distance: Annotated[float, Field(gt=0)] = 0.6
    max_documents_length: Annotated[int, Field(gt=0, le=2**53)] = 50000
    max_retrieved_rag_chunks_count: Annotated[int, Field(gt=0, le=20)] = 20
    num_candidates: Annotated[int, Field(gt=0, le=10000)] | None = None
    query_rewrite_prompt_override: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    knowledge_base_tool_info: KnowledgeBaseToolInfo | None = None
