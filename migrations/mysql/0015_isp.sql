-- What the Jaze API knows of beside subscribers: places, collections of payments, overrides with a limit,
-- renewals, scheduled changes, messages. Times are seconds since 1970 UTC, volumes octets.

-- Places where subscribers live, for those who collect payments: an area has streets, a street has blocks
-- (buildings).
CREATE TABLE IF NOT EXISTS tk_area (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL DEFAULT 0,
    name VARCHAR(190) NOT NULL,
    internal VARCHAR(190),
    KEY tk_area_account (account_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS tk_street (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL DEFAULT 0,
    area_id BIGINT NOT NULL,
    name VARCHAR(190) NOT NULL,
    internal VARCHAR(190),
    KEY tk_street_area (area_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS tk_block (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL DEFAULT 0,
    street_id BIGINT NOT NULL,
    name VARCHAR(190) NOT NULL,
    internal VARCHAR(190),
    KEY tk_block_street (street_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Where a subscriber lives. Coordinates are text, as operators write them.
CREATE TABLE IF NOT EXISTS tk_location (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    latitude VARCHAR(190),
    longitude VARCHAR(190),
    area_id BIGINT,
    street_id BIGINT,
    block_id BIGINT,
    KEY tk_location_area (area_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which operator collects from a subscriber.
CREATE TABLE IF NOT EXISTS tk_collection_assign (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    admin_id BIGINT NOT NULL,
    at BIGINT NOT NULL DEFAULT 0,
    KEY tk_collection_assign_admin (admin_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Payments that are fetched from subscribers. status: requested (by the subscriber), visited (nothing was
-- paid), pending (paid, not yet approved), approved, rejected, void. Of a card the last four digits are kept.
CREATE TABLE IF NOT EXISTS tk_collection (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    admin_id BIGINT,
    status VARCHAR(64) NOT NULL,
    visit VARCHAR(64) NOT NULL DEFAULT '',
    amount DECIMAL(30, 18),
    method VARCHAR(64) NOT NULL DEFAULT '',
    bank VARCHAR(190) NOT NULL DEFAULT '',
    cheque_number VARCHAR(190) NOT NULL DEFAULT '',
    cheque_date VARCHAR(64) NOT NULL DEFAULT '',
    card_last4 VARCHAR(64) NOT NULL DEFAULT '',
    change_for VARCHAR(64) NOT NULL DEFAULT '',
    notes VARCHAR(1000) NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    created_by VARCHAR(190) NOT NULL DEFAULT '',
    decided_at BIGINT,
    decided_by VARCHAR(190) NOT NULL DEFAULT '',
    ledger_id BIGINT,
    KEY tk_collection_subscriber (subscriber_id, id),
    KEY tk_collection_status (status, at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Rates with a name. One that belongs to a plan has the plan's name and figures; bit/s.
CREATE TABLE IF NOT EXISTS tk_bw_template (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(190) NOT NULL,
    plan_id BIGINT,
    rate_down BIGINT,
    rate_up BIGINT,
    UNIQUE KEY tk_bw_template_once (plan_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What a subscriber gets in place of what its plan says, below and above a limit. kind: bandwidth,
-- vendor_attributes. written: JSON, what was written for it into radcheck, radreply and tk_quota. below, above: JSON
-- of the attributes on either side; stage: which of the two is in force.
CREATE TABLE IF NOT EXISTS tk_fup (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    kind VARCHAR(64) NOT NULL,
    mode VARCHAR(64) NOT NULL,
    limit_octets BIGINT,
    every VARCHAR(64) NOT NULL DEFAULT '',
    day INTEGER,
    template_below BIGINT,
    template_above BIGINT,
    exclude_upload BIGINT NOT NULL DEFAULT 0,
    carry_over BIGINT NOT NULL DEFAULT 0,
    stage VARCHAR(64) NOT NULL DEFAULT '',
    written TEXT NOT NULL,
    below TEXT NOT NULL,
    above TEXT NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0,
    UNIQUE KEY tk_fup_once (subscriber_id, kind),
    KEY tk_fup_kind (kind)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Renewals, moves and grace periods, as they are reported. type: 1 new, 2 renewal, 3 move, 4 grace.
CREATE TABLE IF NOT EXISTS tk_renewal (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    account_id BIGINT NOT NULL DEFAULT 0,
    admin_username VARCHAR(190) NOT NULL DEFAULT '',
    days VARCHAR(64) NOT NULL DEFAULT '',
    amount DECIMAL(30, 18),
    plan_rate DECIMAL(30, 18),
    tax DECIMAL(30, 18),
    type VARCHAR(64) NOT NULL DEFAULT '',
    previous_plan_id BIGINT,
    present_plan_id BIGINT,
    order_id BIGINT,
    order_active_until BIGINT,
    active_since BIGINT,
    active_until BIGINT,
    deleted BIGINT NOT NULL DEFAULT 0,
    notes VARCHAR(1000) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    KEY tk_renewal_subscriber (subscriber_id, id),
    KEY tk_renewal_created (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What is to be done at a time. command: move. done_at is null while it waits; outcome: what came of it.
CREATE TABLE IF NOT EXISTS tk_scheduled (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    command VARCHAR(64) NOT NULL,
    argument TEXT NOT NULL,
    queued_at BIGINT NOT NULL DEFAULT 0,
    queued_by VARCHAR(190) NOT NULL DEFAULT '',
    done_at BIGINT,
    outcome VARCHAR(190) NOT NULL DEFAULT '',
    KEY tk_scheduled_due (done_at, at),
    KEY tk_scheduled_subscriber (subscriber_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages to subscribers. content is what the log shows; body is what is sent, secrets included, and is gone
-- once that is done. status_code: 202 sent, 201 pending, 502 waiting for a gateway, 505 given up, 500 failed.
CREATE TABLE IF NOT EXISTS tk_message (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    channel VARCHAR(64) NOT NULL,
    template VARCHAR(64) NOT NULL,
    address VARCHAR(190) NOT NULL,
    subject VARCHAR(190) NOT NULL DEFAULT '',
    content TEXT NOT NULL,
    body TEXT,
    status_code BIGINT NOT NULL DEFAULT 0,
    error_message VARCHAR(1000) NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT,
    sent_at BIGINT,
    created_by VARCHAR(190) NOT NULL DEFAULT '',
    KEY tk_message_subscriber (subscriber_id, id),
    KEY tk_message_next (next_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Whatever ends a subscription, it ends no earlier: a grace period. MySQL has no ADD COLUMN IF NOT EXISTS, and a
-- file may be run again after it stopped in the middle.
SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'tk_subscriber' AND column_name = 'grace_until') = 0,
    'ALTER TABLE tk_subscriber ADD COLUMN grace_until BIGINT', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_grace;

CREATE TRIGGER tk_on_tk_subscriber_grace AFTER UPDATE ON tk_subscriber FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(NEW.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL
    WHERE NOT (OLD.grace_until <=> NEW.grace_until) AND NEW.username IS NOT NULL;
