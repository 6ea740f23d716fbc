-- What hearing and speaking cost in a conversation, in US dollars; null when the price of a provider is not known.

alter table conversation add column speech_price double precision default 0;
