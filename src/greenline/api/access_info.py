"""Who may do what with a resource: the block that the reference adds to almost every answer."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel


class AccessInfo(BaseModel):
    """The caller's rights on a resource (SDK: ResourceAccessInfo)."""

    is_creator: bool = True
    creator_name: str = "Workspace"
    creator_email: str = ""
    role: Literal["admin", "editor", "commenter", "viewer"] = "admin"
    anonymous_access_level_override: Literal["admin", "editor", "commenter", "viewer"] | None = None
    access_source: Literal["creator", "explicit", "workspace_admin", "workspace_default"] | None = "creator"


ADMIN: Final = AccessInfo()
"""Every key of a workspace may do everything in it: there are no users to tell apart."""
