-- What a worker needs of a mailbox is read by the statement that claims it. The functions are volatile: their queries
-- see what is committed when they run, after the row of the mailbox was locked. A subquery of the claim would see
-- what was committed when the claim began, and with it events that another worker has answered meanwhile.

create function mailbox_contents(id text, item_limit integer) returns table (items json, steps jsonb)
language plpgsql volatile as $$
begin
  return query select
    (select json_agg(
        json_build_object('id', w.id, 'kind', w.kind, 'received_at', w.received_at, 'payload', w.payload)
        order by w.id)
      from (
        select i.* from inbox i where i.mailbox_id = mailbox_contents.id and i.done_at is null
        order by i.id limit item_limit) w),
    (select jsonb_agg(to_jsonb(s) order by s.number) from turn_step s where s.mailbox_id = mailbox_contents.id);
end
$$;

-- The chat, its account, a call that is on, its open conversations by text (newest first), and of the newest its
-- journal and agent version.
create function whatsapp_turn(workspace text, chat_id text) returns jsonb
language plpgsql volatile as $$
declare found jsonb;
begin
  select jsonb_build_object(
      'chat', to_jsonb(c), 'assigned_agent_id', a.assigned_agent_id, 'enable_messaging', a.enable_messaging,
      'enable_typing_indicator', a.enable_typing_indicator,
      'enable_audio_message_response', a.enable_audio_message_response,
      'token', encode(a.token, 'base64'), 'is_token_expired', a.is_token_expired,
      'conversations', o.conversations, 'journal', j.journal, 'version', r.version, 'call_mailbox_id', k.mailbox_id)
    into found
  from whatsapp_chat c
  join whatsapp_account a on a.phone_number_id = c.phone_number_id and a.workspace_id = c.workspace_id
  left join lateral (
    select jsonb_agg(to_jsonb(v) order by v.started_at desc, v.id desc) as conversations
    from conversation v
    where v.chat_id = c.id and v.workspace_id = c.workspace_id and v.text_only
      and v.status in ('initiated', 'in-progress')
  ) o on true
  left join lateral (
    select jsonb_agg(jsonb_build_object('kind', e.kind, 'data', e.data) order by e.seq) as journal
    from conversation_event e
    where e.conversation_id = o.conversations -> 0 ->> 'id' and e.kind <> 'delivery'
  ) j on true
  left join lateral (
    select jsonb_build_object('id', n.id, 'agent_id', n.agent_id, 'branch_id', n.branch_id, 'name', g.name,
      'shared', g.shared, 'archived', g.archived) as version
    from agent_version n join agent g on g.id = n.agent_id
    where n.workspace_id = c.workspace_id and n.id = o.conversations -> 0 ->> 'version_id'
  ) r on true
  left join lateral (
    select w.mailbox_id from whatsapp_call w
    where w.chat_id = c.id and w.workspace_id = c.workspace_id and w.phase = 'active'
    limit 1
  ) k on true
  where c.workspace_id = workspace and c.id = whatsapp_turn.chat_id;
  return found;
end
$$;

-- What the handler of a kind of mailbox begins with.
create function mailbox_context(kind text, workspace text, id text) returns jsonb
language plpgsql volatile as $$
begin
  return case kind when 'chat' then whatsapp_turn(workspace, id) end;
end
$$;
