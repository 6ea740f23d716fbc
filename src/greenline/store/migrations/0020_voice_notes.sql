-- Voice notes: how long a file sounds, what is written when Meta refuses a note; and pictures of agents found by id.

alter table conversation_file add column seconds double precision;

-- Messages that take the place of this one if Meta refuses its medium: [{id, kind, body}].
alter table outbox add column fallback jsonb;

create index agent_version_picture on agent_version(
  substring(config #>> '{platform_settings,widget,avatar,url}' from 'avatar_[0-9a-z]{26}$'));
