-- name: workspace_of_agent
-- scope: system, a client without a key names only the agent, and learns the workspace by it
select workspace_id from agent where id = $1;

-- name: conversation_exists
select exists (select from conversation where workspace_id = $1 and id = $2);

-- name: workspace_of_live
-- scope: system, the id of a live conversation of a socket is the credential of its client (reference: Files)
select workspace_id from conversation
where id = $1 and status in ('initiated', 'in-progress') and chat_id is null and phone_number_id is null;

-- name: workspace_of_talk
-- scope: system, the id of a conversation on a socket is the credential of its client, who rates it at its end
select workspace_id from conversation
where id = $1 and chat_id is null and phone_number_id is null
  and (status in ('initiated', 'in-progress') or ended_at > $2);

-- name: last_events
-- The newest entries of a journal, newest first.
select seq, at, kind, data from conversation_event
where workspace_id = $1 and conversation_id = $2 and kind <> 'delivery'
order by seq desc
limit $3;

-- name: events_after
select seq, at, kind, data from conversation_event
where workspace_id = $1 and conversation_id = $2 and seq > $3 and kind <> 'delivery'
order by seq
limit 1000;
