-- name: insert
insert into conversation_file(id, workspace_id, conversation_id, filename, mime_type, size_bytes, sha256, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do nothing;

-- name: one
select id, workspace_id, conversation_id, filename, mime_type, size_bytes, sha256, created_at, seconds
from conversation_file
where workspace_id = $1 and conversation_id = $2 and id = $3;

-- name: known
select id from conversation_file where workspace_id = $1 and conversation_id = $2 and id = any($3::text[]);

-- name: all
select id, workspace_id, conversation_id, filename, mime_type, size_bytes, sha256, created_at, seconds
from conversation_file
where workspace_id = $1 and conversation_id = $2
order by created_at, id;

-- name: delete
delete from conversation_file where workspace_id = $1 and conversation_id = $2 and id = $3;

-- name: lock_conversation
-- A file row refers to its conversation, but does not lock out another upload: this does.
select status from conversation where workspace_id = $1 and id = $2 for no key update;

-- name: count
select count(*) from conversation_file where workspace_id = $1 and conversation_id = $2;

-- name: is_used
select exists (
  select from conversation_event
  where workspace_id = $1 and conversation_id = $2 and kind = 'user_message' and data -> 'file_ids' ? $3
);

-- name: orphans
-- scope: system, the keeper serves all workspaces; every row tells its workspace_id
select workspace_id, file_id from orphaned_file limit $1;

-- name: forget_orphan
delete from orphaned_file where workspace_id = $1 and file_id = $2;

-- name: begin_upload
insert into pending_upload(workspace_id, file_id, until) values ($1, $2, $3);

-- name: end_upload
delete from pending_upload where workspace_id = $1 and file_id = $2 returning file_id;

-- name: give_up_uploads
-- scope: system, the keeper serves all workspaces; every row tells its workspace_id
-- An upload whose row is gone can't be committed any more.
with late as (delete from pending_upload where until <= $1 returning workspace_id, file_id)
insert into orphaned_file(workspace_id, file_id) select workspace_id, file_id from late on conflict do nothing;

-- name: orphan
insert into orphaned_file(workspace_id, file_id) values ($1, $2) on conflict do nothing;
