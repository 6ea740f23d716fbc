-- What Meta charges for a call of the business, in US dollars; null when the rate of the person's country is not known.

alter table conversation add column call_price double precision default 0;
