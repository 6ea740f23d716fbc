-- The last append of a live conversation's holder, as epoch * 2^32 + number: one that is repeated because its outcome
-- was unknown changes nothing.

alter table mailbox add column appended bigint not null default 0;
