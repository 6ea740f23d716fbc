-- What Meta has still to be told of a call: 'reject' or 'terminate'. Written with the end of the call, so that a call
-- which has ended here and that Meta holds for alive is ended there by whoever comes next.

alter table whatsapp_call add column hang_up text;
