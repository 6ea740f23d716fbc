-- name: list_branches
select b.id, b.name, b.agent_id, b.description, b.created_at, b.last_committed_at, b.is_archived,
       b.traffic_percentage, p.branch_id as parent_branch_id, pb.name as parent_branch_name,
       (select count(*) from conversation c
        where c.workspace_id = b.workspace_id and c.agent_id = b.agent_id and c.branch_id = b.id
          and c.started_at >= $5) as calls_7d
from agent_branch b
left join agent_version p on p.id = b.parent_version_id
left join agent_branch pb on pb.id = p.branch_id
where b.workspace_id = $1 and b.agent_id = $2
  and ($3::text is null or b.id = $3)
  and ($4::boolean or not b.is_archived)
order by b.created_at, b.id
limit $6;

-- name: count_branches
select count(*) from agent_branch where workspace_id = $1 and agent_id = $2 and ($3::boolean or not is_archived);

-- name: versions_of_branch
-- The newest versions first.
select v.id, v.agent_id, v.branch_id, v.description, v.number, v.created_at, v.parent_version_id,
       p.branch_id as parent_branch_id
from agent_version v
left join agent_version p on p.id = v.parent_version_id
where v.workspace_id = $1 and v.branch_id = $2
order by v.number desc
limit $3;

-- name: version_metadata
select v.id, v.agent_id, v.branch_id, v.description, v.number, v.created_at, v.parent_version_id,
       p.branch_id as parent_branch_id
from agent_version v
left join agent_version p on p.id = v.parent_version_id
where v.workspace_id = $1 and v.agent_id = $2 and v.id = $3;
