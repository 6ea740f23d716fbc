-- When an agent that clients bring was brought last; null for all others. Such an agent goes when nothing is left of what
-- was said with it.
alter table agent add column brought_at timestamptz;
create index agent_brought on agent(brought_at) where brought_at is not null;
