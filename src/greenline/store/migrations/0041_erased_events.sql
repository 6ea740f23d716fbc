-- What is erased with a conversation is found without reading all that came in: erasure happens all day long.

create index inbox_call on inbox(mailbox_id) where mailbox_id like 'call:%';
create index inbox_order on inbox((payload ->> 'conversation_id')) where kind = 'order';
