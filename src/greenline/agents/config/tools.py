"""Tools written into an agent: webhooks, client tools and whatever else an agent carries inline."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, Tag, field_validator, model_validator

from greenline.agents.config.base import ConfigModel, Map, open_union
from greenline.agents.config.locators import AuthConnection, HeaderValue
from greenline.agents.config.service_tools import IntegrationTool, McpTool
from greenline.agents.config.system_tools import SystemTool
from greenline.agents.config.tool_common import DynamicVariables, ExecutionMode, ServiceSeconds, ToolBase
from greenline.agents.config.tool_schema import LiteralProperty, ObjectProperty, QueryParameters

_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
_PATH_PARAMETER = re.compile(r"\{([^{}]+)\}")


class ResponseFilter(ConfigModel):
    """Which parts of a JSON answer the model sees."""

    mode: Literal["all", "allow", "hide_all"] = "all"
    filters: list[str] = []
    content_type: Literal["application/json"] = "application/json"


class WebhookApi(ConfigModel):
    """The request that a webhook tool makes."""

    request_headers: Map[HeaderValue] = {}
    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path_params_schema: Map[LiteralProperty] = {}
    query_params_schema: QueryParameters | None = None
    request_body_schema: ObjectProperty | None = None
    response_body_schema: ObjectProperty | None = None
    response_filter: ResponseFilter = ResponseFilter()
    content_type: Literal["application/json", "application/x-www-form-urlencoded"] = "application/json"
    auth_resolved_params: list[str] = []
    auth_connection: AuthConnection | None = None

    @field_validator("url")
    @classmethod
    def _static(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the URL must begin with https:// written out")
        names = [name.strip() for name in _VARIABLE.findall(url)]
        others = [name for name in names if not name.startswith("system__env_")]
        if others:
            raise ValueError(
                "only environment variables ({{system__env_<label>}}) are filled into a URL; "
                f"make {', '.join(others)} a path or query parameter"
            )
        return url

    @model_validator(mode="after")
    def _path_parameters_match(self) -> Self:
        wanted = set(_PATH_PARAMETER.findall(_VARIABLE.sub("", self.url)))
        given = set(self.path_params_schema)
        if wanted != given:
            raise ValueError(
                f"placeholders in the URL ({', '.join(sorted(wanted)) or 'none'}) and path_params_schema "
                f"({', '.join(sorted(given)) or 'none'}) must be the same"
            )
        return self


class WebhookTool(ToolBase):
    """A request to a service of the business."""

    type: Literal["webhook"]
    description: str
    response_timeout_secs: ServiceSeconds = 20
    dynamic_variables: DynamicVariables = DynamicVariables()
    execution_mode: ExecutionMode = "immediate"
    api_schema: WebhookApi
    follow_redirects: bool = False
    follow_redirects_allowed_domains: list[str] = []


class ClientTool(ToolBase):
    """A call that the connected client carries out; -1 waits for its answer without a limit."""

    type: Literal["client"]
    description: str
    response_timeout_secs: Annotated[int, Field(ge=-1, le=120)] = 20
    parameters: ObjectProperty | None = None
    expects_response: bool = False
    dynamic_variables: DynamicVariables = DynamicVariables()
    execution_mode: ExecutionMode = "immediate"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.response_timeout_secs < 1 and not (self.response_timeout_secs == -1 and self.expects_response):
            raise ValueError("response_timeout_secs is 1 to 120, or -1 when expects_response is true")
        if self.expects_response and self.execution_mode == "async":
            raise ValueError("an async tool can't expect a response")
        return self


class OtherTool(ConfigModel):
    """A tool of another kind (``smb``, code, a workflow), of which the reference tells no fields: kept as it came."""

    type: str


InlineTool: TypeAlias = Annotated[
    Annotated[WebhookTool, Tag("webhook")]
    | Annotated[ClientTool, Tag("client")]
    | Annotated[SystemTool, Tag("system")]
    | Annotated[McpTool, Tag("mcp")]
    | Annotated[IntegrationTool, Tag("api_integration_webhook")]
    | Annotated[OtherTool, Tag("other")],
    open_union("type", "webhook", "client", "system", "mcp", "api_integration_webhook"),
]
