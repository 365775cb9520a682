-- What lists and reports need with millions of rows. Indexes of radacct cost accounting: a Start writes none
-- of these, since they hold closed sessions only, and open ones are few. The number stands in an expression,
-- or the planner would rather walk down the primary key than use them: the rows of a NAS, it thinks, are near.
CREATE INDEX IF NOT EXISTS tk_radacct_username ON radacct (lower(username), (radacctid + 0)) WHERE acctstoptime IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_radacct_calling ON radacct (upper(translate(callingstationid, '-:. ', '')), (radacctid + 0)) WHERE acctstoptime IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_radacct_called ON radacct (upper(translate(calledstationid, '-:. ', '')), (radacctid + 0)) WHERE acctstoptime IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_radacct_framed ON radacct (framedipaddress, (radacctid + 0)) WHERE acctstoptime IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_radacct_nas ON radacct (nasipaddress, (radacctid + 0)) WHERE acctstoptime IS NOT NULL;

-- Numbers and times of ranges of pages: which rows of an old span have the highest numbers.
CREATE INDEX IF NOT EXISTS tk_radacct_span ON radacct USING brin ((radacctid + 0), acctstarttime) WITH (pages_per_range = 32, autosummarize = on);

CREATE INDEX IF NOT EXISTS tk_radpostauth_username ON radpostauth (lower(username), (id + 0));

CREATE INDEX IF NOT EXISTS tk_radpostauth_at ON radpostauth (authdate);

CREATE INDEX IF NOT EXISTS tk_radpostauth_reject ON radpostauth ((id + 0)) WHERE reply = 'Access-Reject';

CREATE INDEX IF NOT EXISTS tk_radpostauth_span ON radpostauth USING brin ((id + 0), authdate) WITH (pages_per_range = 32, autosummarize = on);

-- From the name of a NAS to its addresses.
CREATE INDEX IF NOT EXISTS tk_session_hotspot ON tk_session (lower(nas_identifier), COALESCE(nas_address, nas_source)) WHERE nas_identifier <> '';

-- Who bought: a subscriber may be gone, or have another login since.
ALTER TABLE tk_topup ADD COLUMN IF NOT EXISTS username text NOT NULL DEFAULT '';

UPDATE tk_topup SET username = s.username FROM tk_subscriber s WHERE s.id = tk_topup.subscriber_id AND s.username IS NOT NULL AND tk_topup.username = '';

CREATE INDEX IF NOT EXISTS tk_topup_username ON tk_topup (lower(username), id);

CREATE INDEX IF NOT EXISTS tk_topup_at ON tk_topup (at);

CREATE INDEX IF NOT EXISTS tk_ledger_sales ON tk_ledger (at) WHERE price IS NOT NULL;
