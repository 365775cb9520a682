-- What the Jaze API knows of beside subscribers: places, collections of payments, overrides with a limit,
-- renewals, scheduled changes, messages. Times are seconds since 1970 UTC, volumes octets.

-- Places where subscribers live, for those who collect payments: an area has streets, a street has blocks
-- (buildings).
CREATE TABLE IF NOT EXISTS tk_area (
    id bigserial PRIMARY KEY,
    account_id bigint NOT NULL DEFAULT 0,
    name text NOT NULL,
    internal text
);

CREATE INDEX IF NOT EXISTS tk_area_account ON tk_area (account_id);

CREATE TABLE IF NOT EXISTS tk_street (
    id bigserial PRIMARY KEY,
    account_id bigint NOT NULL DEFAULT 0,
    area_id bigint NOT NULL,
    name text NOT NULL,
    internal text
);

CREATE INDEX IF NOT EXISTS tk_street_area ON tk_street (area_id);

CREATE TABLE IF NOT EXISTS tk_block (
    id bigserial PRIMARY KEY,
    account_id bigint NOT NULL DEFAULT 0,
    street_id bigint NOT NULL,
    name text NOT NULL,
    internal text
);

CREATE INDEX IF NOT EXISTS tk_block_street ON tk_block (street_id);

-- Where a subscriber lives. Coordinates are text, as operators write them.
CREATE TABLE IF NOT EXISTS tk_location (
    subscriber_id bigint NOT NULL PRIMARY KEY,
    latitude text,
    longitude text,
    area_id bigint,
    street_id bigint,
    block_id bigint
);

CREATE INDEX IF NOT EXISTS tk_location_area ON tk_location (area_id);

-- Which operator collects from a subscriber.
CREATE TABLE IF NOT EXISTS tk_collection_assign (
    subscriber_id bigint NOT NULL PRIMARY KEY,
    admin_id bigint NOT NULL,
    at bigint NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_collection_assign_admin ON tk_collection_assign (admin_id);

-- Payments that are fetched from subscribers. status: requested (by the subscriber), visited (nothing was
-- paid), pending (paid, not yet approved), approved, rejected, void. Of a card the last four digits are kept.
CREATE TABLE IF NOT EXISTS tk_collection (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    admin_id bigint,
    status text NOT NULL,
    visit text NOT NULL DEFAULT '',
    amount numeric(30, 18),
    method text NOT NULL DEFAULT '',
    bank text NOT NULL DEFAULT '',
    cheque_number text NOT NULL DEFAULT '',
    cheque_date text NOT NULL DEFAULT '',
    card_last4 text NOT NULL DEFAULT '',
    change_for text NOT NULL DEFAULT '',
    notes text NOT NULL DEFAULT '',
    at bigint NOT NULL DEFAULT 0,
    created_by text NOT NULL DEFAULT '',
    decided_at bigint,
    decided_by text NOT NULL DEFAULT '',
    ledger_id bigint
);

CREATE INDEX IF NOT EXISTS tk_collection_subscriber ON tk_collection (subscriber_id, id);

CREATE INDEX IF NOT EXISTS tk_collection_status ON tk_collection (status, at);

-- Rates with a name. One that belongs to a plan has the plan's name and figures; bit/s.
CREATE TABLE IF NOT EXISTS tk_bw_template (
    id bigserial PRIMARY KEY,
    name text NOT NULL,
    plan_id bigint,
    rate_down bigint,
    rate_up bigint,
    UNIQUE (plan_id)
);

-- What a subscriber gets in place of what its plan says, below and above a limit. kind: bandwidth,
-- vendor_attributes. written: JSON, what was written for it into radcheck, radreply and tk_quota. below, above: JSON
-- of the attributes on either side; stage: which of the two is in force.
CREATE TABLE IF NOT EXISTS tk_fup (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    kind text NOT NULL,
    mode text NOT NULL,
    limit_octets bigint,
    every text NOT NULL DEFAULT '',
    day integer,
    template_below bigint,
    template_above bigint,
    exclude_upload bigint NOT NULL DEFAULT 0,
    carry_over bigint NOT NULL DEFAULT 0,
    stage text NOT NULL DEFAULT '',
    written text NOT NULL,
    below text NOT NULL,
    above text NOT NULL,
    created_at bigint NOT NULL DEFAULT 0,
    UNIQUE (subscriber_id, kind)
);

CREATE INDEX IF NOT EXISTS tk_fup_kind ON tk_fup (kind);

-- Renewals, moves and grace periods, as they are reported. type: 1 new, 2 renewal, 3 move, 4 grace.
CREATE TABLE IF NOT EXISTS tk_renewal (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    account_id bigint NOT NULL DEFAULT 0,
    admin_username text NOT NULL DEFAULT '',
    days text NOT NULL DEFAULT '',
    amount numeric(30, 18),
    plan_rate numeric(30, 18),
    tax numeric(30, 18),
    type text NOT NULL DEFAULT '',
    previous_plan_id bigint,
    present_plan_id bigint,
    order_id bigint,
    order_active_until bigint,
    active_since bigint,
    active_until bigint,
    deleted bigint NOT NULL DEFAULT 0,
    notes text NOT NULL DEFAULT '',
    created_at bigint NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_renewal_subscriber ON tk_renewal (subscriber_id, id);

CREATE INDEX IF NOT EXISTS tk_renewal_created ON tk_renewal (created_at);

-- What is to be done at a time. command: move. done_at is null while it waits; outcome: what came of it.
CREATE TABLE IF NOT EXISTS tk_scheduled (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    at bigint NOT NULL,
    command text NOT NULL,
    argument text NOT NULL,
    queued_at bigint NOT NULL DEFAULT 0,
    queued_by text NOT NULL DEFAULT '',
    done_at bigint,
    outcome text NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_scheduled_due ON tk_scheduled (done_at, at);

CREATE INDEX IF NOT EXISTS tk_scheduled_subscriber ON tk_scheduled (subscriber_id);

-- Messages to subscribers. content is what the log shows; body is what is sent, secrets included, and is gone
-- once that is done. status_code: 202 sent, 201 pending, 502 waiting for a gateway, 505 given up, 500 failed.
CREATE TABLE IF NOT EXISTS tk_message (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    channel text NOT NULL,
    template text NOT NULL,
    address text NOT NULL,
    subject text NOT NULL DEFAULT '',
    content text NOT NULL,
    body text,
    status_code bigint NOT NULL DEFAULT 0,
    error_message text NOT NULL DEFAULT '',
    at bigint NOT NULL DEFAULT 0,
    attempts bigint NOT NULL DEFAULT 0,
    next_at bigint,
    sent_at bigint,
    created_by text NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_message_subscriber ON tk_message (subscriber_id, id);

CREATE INDEX IF NOT EXISTS tk_message_next ON tk_message (next_at);

-- Whatever ends a subscription, it ends no earlier: a grace period.
ALTER TABLE tk_subscriber ADD COLUMN IF NOT EXISTS grace_until bigint;

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_grace ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_grace AFTER UPDATE OF grace_until ON tk_subscriber FOR EACH ROW
    WHEN (OLD.grace_until IS DISTINCT FROM NEW.grace_until) EXECUTE FUNCTION tk_note_username();
