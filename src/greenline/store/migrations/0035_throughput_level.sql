-- What Meta says of a number's throughput: STANDARD, HIGH; null: not asked yet.
alter table whatsapp_account add column throughput_level text;
