"""Branches and versions of agents over HTTP, to read (reference: Versioning)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from greenline.agents import branches
from greenline.agents.branches import Branch, VersionMetadata
from greenline.api.access_info import ADMIN, AccessInfo
from greenline.api.deps import Caller, Services

router = APIRouter(prefix="/v1/convai/agents/{agent_id}", tags=["Agents"])


class BranchFields(BaseModel):
    """What a line of the list and a single branch share."""

    id: str
    name: str
    agent_id: str
    description: str
    created_at: int
    last_committed_at: int
    is_archived: bool
    protection_status: str = "writer_perms_required"
    auto_rebase: bool = False
    sync_status: None = None
    access_info: AccessInfo = ADMIN
    current_live_percentage: float


class BranchSummary(BranchFields):
    """A line of the list (SDK: AgentBranchSummary); drafts and merges are not kept here."""

    parent_branch_id: str | None
    draft_exists: bool = False
    draft_created_at: None = None
    draft_is_behind_tip: None = None
    calls_7d: int
    commits_ahead: None = None
    commits_behind: None = None
    merged_into_branch_id: None = None


class ListMeta(BaseModel):
    """How many there are, and how many of them are shown."""

    total: int
    page: int = 1
    page_size: int


class BranchList(BaseModel):
    """All branches, up to the limit."""

    meta: ListMeta
    results: list[BranchSummary]


class VersionParents(BaseModel):
    """Where a version comes from."""

    in_branch_parent_id: str | None = None
    out_of_branch_parent_id: str | None = None
    merged_into_branch_id: None = None
    merged_from_branch_id: None = None
    merged_from_version_id: None = None
    rebased_from_version_id: None = None


class VersionAnswer(BaseModel):
    """A commit (SDK: AgentVersionMetadata)."""

    id: str
    agent_id: str
    branch_id: str
    version_description: str
    seq_no_in_branch: int
    time_committed_secs: int
    parents: VersionParents
    access_info: AccessInfo = ADMIN
    merged_authors: list[AccessInfo] = []


class ParentBranch(BaseModel):
    """The branch from which another began."""

    id: str
    name: str


class BranchAnswer(BranchFields):
    """A branch with its newest versions, the tip first (SDK: AgentBranchResponse)."""

    parent_branch: ParentBranch | None
    most_recent_versions: list[VersionAnswer]


@router.get("/branches")
async def list_branches(
    agent_id: str,
    services: Services,
    workspace: Caller,
    include_archived: bool = False,
    limit: Annotated[int, Query(gt=1, le=1000)] = 100,
) -> BranchList:
    """The branches of an agent, `Main` first."""
    found, total = await branches.list_branches(
        services.pool, services.clock, workspace.id, agent_id, archived=include_archived, limit=limit
    )
    results = [
        BranchSummary(**_fields(branch), parent_branch_id=branch.parent_branch_id, calls_7d=branch.calls_7d)
        for branch in found
    ]
    return BranchList(meta=ListMeta(total=total, page_size=limit), results=results)


@router.get("/branches/{branch_id}")
async def get_branch(agent_id: str, branch_id: str, services: Services, workspace: Caller) -> BranchAnswer:
    """A branch and its newest versions."""
    branch, versions = await branches.get_branch(services.pool, services.clock, workspace.id, agent_id, branch_id)
    parent = None
    if branch.parent_branch_id is not None and branch.parent_branch_name is not None:
        parent = ParentBranch(id=branch.parent_branch_id, name=branch.parent_branch_name)
    return BranchAnswer(
        **_fields(branch), parent_branch=parent, most_recent_versions=[_version(version) for version in versions]
    )


@router.get("/versions/{version_id}")
async def get_version(agent_id: str, version_id: str, services: Services, workspace: Caller) -> VersionAnswer:
    """What is known of a commit besides its content."""
    return _version(await branches.get_version_metadata(services.pool, workspace.id, agent_id, version_id))


def _fields(branch: Branch) -> dict[str, object]:
    return {
        "id": branch.id,
        "name": branch.name,
        "agent_id": branch.agent_id,
        "description": branch.description,
        "created_at": int(branch.created_at.timestamp()),
        "last_committed_at": int(branch.last_committed_at.timestamp()),
        "is_archived": branch.is_archived,
        "current_live_percentage": branch.traffic_percentage,
    }


def _version(version: VersionMetadata) -> VersionAnswer:
    same_branch = version.parent_branch_id == version.branch_id
    return VersionAnswer(
        id=version.id,
        agent_id=version.agent_id,
        branch_id=version.branch_id,
        version_description=version.description,
        seq_no_in_branch=version.number,
        time_committed_secs=int(version.created_at.timestamp()),
        parents=VersionParents(
            in_branch_parent_id=version.parent_version_id if same_branch else None,
            out_of_branch_parent_id=None if same_branch else version.parent_version_id,
        ),
    )
