-- The rows of a NAS in a span long past: times beside the numbers, so that newer rows are passed over unread.
CREATE INDEX IF NOT EXISTS tk_radacct_nas ON radacct (nasipaddress, radacctid, acctstarttime);

-- The logins of a span.
CREATE INDEX IF NOT EXISTS tk_radacct_logins ON radacct (acctstarttime, username);
