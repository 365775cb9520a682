-- What the Jaze API knows of beside subscribers: places, collections of payments, overrides with a limit,
-- renewals, scheduled changes, messages. Times are seconds since 1970 UTC, volumes octets.

-- Places where subscribers live, for those who collect payments: an area has streets, a street has blocks
-- (buildings).
CREATE TABLE IF NOT EXISTS tk_area (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    internal TEXT
);

CREATE INDEX IF NOT EXISTS tk_area_account ON tk_area (account_id);

CREATE TABLE IF NOT EXISTS tk_street (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL DEFAULT 0,
    area_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    internal TEXT
);

CREATE INDEX IF NOT EXISTS tk_street_area ON tk_street (area_id);

CREATE TABLE IF NOT EXISTS tk_block (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL DEFAULT 0,
    street_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    internal TEXT
);

CREATE INDEX IF NOT EXISTS tk_block_street ON tk_block (street_id);

-- Where a subscriber lives. Coordinates are text, as operators write them.
CREATE TABLE IF NOT EXISTS tk_location (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    latitude TEXT,
    longitude TEXT,
    area_id BIGINT,
    street_id BIGINT,
    block_id BIGINT
);

CREATE INDEX IF NOT EXISTS tk_location_area ON tk_location (area_id);

-- Which operator collects from a subscriber.
CREATE TABLE IF NOT EXISTS tk_collection_assign (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    admin_id BIGINT NOT NULL,
    at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_collection_assign_admin ON tk_collection_assign (admin_id);

-- Payments that are fetched from subscribers. status: requested (by the subscriber), visited (nothing was
-- paid), pending (paid, not yet approved), approved, rejected, void. Of a card the last four digits are kept.
CREATE TABLE IF NOT EXISTS tk_collection (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    admin_id BIGINT,
    status TEXT NOT NULL,
    visit TEXT NOT NULL DEFAULT '',
    amount TEXT,
    method TEXT NOT NULL DEFAULT '',
    bank TEXT NOT NULL DEFAULT '',
    cheque_number TEXT NOT NULL DEFAULT '',
    cheque_date TEXT NOT NULL DEFAULT '',
    card_last4 TEXT NOT NULL DEFAULT '',
    change_for TEXT NOT NULL DEFAULT '',
    notes TEXT NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    created_by TEXT NOT NULL DEFAULT '',
    decided_at BIGINT,
    decided_by TEXT NOT NULL DEFAULT '',
    ledger_id BIGINT
);

CREATE INDEX IF NOT EXISTS tk_collection_subscriber ON tk_collection (subscriber_id, id);

CREATE INDEX IF NOT EXISTS tk_collection_status ON tk_collection (status, at);

-- Rates with a name. One that belongs to a plan has the plan's name and figures; bit/s.
CREATE TABLE IF NOT EXISTS tk_bw_template (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    plan_id BIGINT,
    rate_down BIGINT,
    rate_up BIGINT,
    UNIQUE (plan_id)
);

-- What a subscriber gets in place of what its plan says, below and above a limit. kind: bandwidth,
-- vendor_attributes. written: JSON, what was written for it into radcheck, radreply and tk_quota. below, above: JSON
-- of the attributes on either side; stage: which of the two is in force.
CREATE TABLE IF NOT EXISTS tk_fup (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    mode TEXT NOT NULL,
    limit_octets BIGINT,
    every TEXT NOT NULL DEFAULT '',
    day INTEGER,
    template_below BIGINT,
    template_above BIGINT,
    exclude_upload BIGINT NOT NULL DEFAULT 0,
    carry_over BIGINT NOT NULL DEFAULT 0,
    stage TEXT NOT NULL DEFAULT '',
    written TEXT NOT NULL,
    below TEXT NOT NULL,
    above TEXT NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0,
    UNIQUE (subscriber_id, kind)
);

CREATE INDEX IF NOT EXISTS tk_fup_kind ON tk_fup (kind);

-- Renewals, moves and grace periods, as they are reported. type: 1 new, 2 renewal, 3 move, 4 grace.
CREATE TABLE IF NOT EXISTS tk_renewal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    account_id BIGINT NOT NULL DEFAULT 0,
    admin_username TEXT NOT NULL DEFAULT '',
    days TEXT NOT NULL DEFAULT '',
    amount TEXT,
    plan_rate TEXT,
    tax TEXT,
    type TEXT NOT NULL DEFAULT '',
    previous_plan_id BIGINT,
    present_plan_id BIGINT,
    order_id BIGINT,
    order_active_until BIGINT,
    active_since BIGINT,
    active_until BIGINT,
    deleted BIGINT NOT NULL DEFAULT 0,
    notes TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_renewal_subscriber ON tk_renewal (subscriber_id, id);

CREATE INDEX IF NOT EXISTS tk_renewal_created ON tk_renewal (created_at);

-- What is to be done at a time. command: move. done_at is null while it waits; outcome: what came of it.
CREATE TABLE IF NOT EXISTS tk_scheduled (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    command TEXT NOT NULL,
    argument TEXT NOT NULL,
    queued_at BIGINT NOT NULL DEFAULT 0,
    queued_by TEXT NOT NULL DEFAULT '',
    done_at BIGINT,
    outcome TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_scheduled_due ON tk_scheduled (done_at, at);

CREATE INDEX IF NOT EXISTS tk_scheduled_subscriber ON tk_scheduled (subscriber_id);

-- Messages to subscribers. content is what the log shows; body is what is sent, secrets included, and is gone
-- once that is done. status_code: 202 sent, 201 pending, 502 waiting for a gateway, 505 given up, 500 failed.
CREATE TABLE IF NOT EXISTS tk_message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    channel TEXT NOT NULL,
    template TEXT NOT NULL,
    address TEXT NOT NULL,
    subject TEXT NOT NULL DEFAULT '',
    content TEXT NOT NULL,
    body TEXT,
    status_code BIGINT NOT NULL DEFAULT 0,
    error_message TEXT NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT,
    sent_at BIGINT,
    created_by TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_message_subscriber ON tk_message (subscriber_id, id);

CREATE INDEX IF NOT EXISTS tk_message_next ON tk_message (next_at);

-- Whatever ends a subscription, it ends no earlier: a grace period.
ALTER TABLE tk_subscriber ADD COLUMN grace_until BIGINT;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_subscriber_grace AFTER UPDATE OF grace_until ON tk_subscriber
WHEN OLD.grace_until IS NOT NEW.grace_until BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT NULL;
END;
