-- A person can be forgotten: the ids of chats say nothing of who is in them, and events that were erased are known by
-- a digest alone.

-- Chats had the person's number or user id in their own id.
create temporary table renamed on commit drop as
  select id as old, phone_number_id || ':' || replace(gen_random_uuid()::text, '-', '') as new from whatsapp_chat;
alter table renamed add primary key (old);
update whatsapp_chat c set id = r.new from renamed r where c.id = r.old;
update chat_identity i set chat_id = r.new from renamed r where i.chat_id = r.old;
update mailbox m set id = r.new from renamed r where m.id = r.old;
update inbox i set mailbox_id = r.new from renamed r where i.mailbox_id = r.old;
update turn_step s set mailbox_id = r.new from renamed r where s.mailbox_id = r.old;
update conversation c set chat_id = r.new from renamed r where c.chat_id = r.old;
update outbox o set chat_id = r.new from renamed r where o.chat_id = r.old;
update whatsapp_call c set chat_id = r.new from renamed r where c.chat_id = r.old;

-- The last conversation of the chat was erased: when nothing is under way in it, who it is with is erased too.
alter table whatsapp_chat add column to_be_forgotten boolean not null default false;
create index whatsapp_chat_forgotten on whatsapp_chat(id) where to_be_forgotten;

-- Events that were erased and that Meta may repeat. A key holds a wamid, whose random part no digest gives back.
create table erased_event (
  digest bytea primary key,
  erased_at timestamptz not null
);
create index erased_event_old on erased_event using brin(erased_at);
create function event_digest(dedupe text) returns bytea language sql immutable parallel safe return
  sha256(convert_to(dedupe, 'UTF8'));
