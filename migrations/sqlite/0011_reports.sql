-- What lists and reports need with millions of rows. FreeRADIUS's own indexes find logins, addresses and times;
-- an index ends with the number of the row, so each gives its newest rows at once.
CREATE INDEX IF NOT EXISTS tk_radacct_calling ON radacct (upper(replace(replace(replace(replace(callingstationid, '-', ''), ':', ''), '.', ''), ' ', '')));

CREATE INDEX IF NOT EXISTS tk_radacct_called ON radacct (upper(replace(replace(replace(replace(calledstationid, '-', ''), ':', ''), '.', ''), ' ', '')));

CREATE INDEX IF NOT EXISTS tk_radpostauth_at ON radpostauth (authdate);

CREATE INDEX IF NOT EXISTS tk_radpostauth_reject ON radpostauth (id) WHERE reply = 'Access-Reject';

-- From the name of a NAS to its addresses.
CREATE INDEX IF NOT EXISTS tk_session_hotspot ON tk_session (nas_identifier COLLATE NOCASE, COALESCE(nas_address, nas_source)) WHERE nas_identifier <> '';

-- Who bought: a subscriber may be gone, or have another login since.
ALTER TABLE tk_topup ADD COLUMN username TEXT NOT NULL DEFAULT '';

UPDATE tk_topup SET username = (SELECT s.username FROM tk_subscriber s WHERE s.id = tk_topup.subscriber_id)
WHERE username = '' AND EXISTS (SELECT 1 FROM tk_subscriber s WHERE s.id = tk_topup.subscriber_id AND s.username IS NOT NULL);

CREATE INDEX IF NOT EXISTS tk_topup_username ON tk_topup (username COLLATE NOCASE);

CREATE INDEX IF NOT EXISTS tk_topup_at ON tk_topup (at);

CREATE INDEX IF NOT EXISTS tk_ledger_sales ON tk_ledger (at) WHERE price IS NOT NULL;
