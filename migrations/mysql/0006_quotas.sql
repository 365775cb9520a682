-- Limits on time and volume. A row belongs to a plan or to a subscriber; origin topup is what a subscriber
-- bought on top. quota_limit: seconds or octets, 0 and less is nothing left. used: of a top-up alone, absolute,
-- never falls; of the others it is the sum of tk_usage over the period.
-- reset_anchor: first day of a week (0 is Sunday) or of a month (1 to 31), null is the plan's or the
-- subscriber's. rate_*: bit/s once it is used up; redirect: URL of a portal. Lower priorities decide first.
CREATE TABLE IF NOT EXISTS tk_quota (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT,
    plan_id BIGINT,
    metric VARCHAR(32) NOT NULL,
    period VARCHAR(32) NOT NULL,
    origin VARCHAR(32) NOT NULL DEFAULT 'user',
    quota_limit BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    carry_over SMALLINT NOT NULL DEFAULT 0,
    on_exhaust VARCHAR(32) NOT NULL DEFAULT 'refuse',
    rate_down BIGINT,
    rate_up BIGINT,
    redirect VARCHAR(1000),
    reset_anchor INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    starts_at BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT,
    KEY tk_quota_subscriber (subscriber_id),
    KEY tk_quota_plan (plan_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The purchase that a top-up came from.
CREATE TABLE IF NOT EXISTS tk_topup (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    quota_id BIGINT NOT NULL,
    ledger_id BIGINT,
    plan_name VARCHAR(190) NOT NULL DEFAULT '',
    profiles VARCHAR(1000) NOT NULL DEFAULT '',
    amount DECIMAL(30, 18),
    currency VARCHAR(8) NOT NULL DEFAULT '',
    remarks VARCHAR(1000) NOT NULL DEFAULT '',
    created_by VARCHAR(190) NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    KEY tk_topup_subscriber (subscriber_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What a subscriber had used since ever when its present term began: a quota of its plan that is not
-- periodic counts from there. Without a row it counts since ever.
CREATE TABLE IF NOT EXISTS tk_term (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    began_at BIGINT NOT NULL,
    seconds BIGINT NOT NULL DEFAULT 0,
    input BIGINT NOT NULL DEFAULT 0,
    output BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A change of a quota or a term is one of its subscriber or its plan; what is used of a top-up is our own
-- figure and says nothing new. The zone or state of an account concerns all of its subscribers.
DROP TRIGGER IF EXISTS tk_on_tk_quota_added;

CREATE TRIGGER tk_on_tk_quota_added AFTER INSERT ON tk_quota FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL
    UNION ALL
    SELECT 'tk_plan', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = NEW.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_quota_changed;

CREATE TRIGGER tk_on_tk_quota_changed AFTER UPDATE ON tk_quota FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL AND (NOT (OLD.subscriber_id <=> NEW.subscriber_id) OR NOT (OLD.plan_id <=> NEW.plan_id) OR NOT (OLD.metric <=> NEW.metric) OR NOT (OLD.period <=> NEW.period) OR NOT (OLD.origin <=> NEW.origin) OR NOT (OLD.quota_limit <=> NEW.quota_limit) OR NOT (OLD.carry_over <=> NEW.carry_over) OR NOT (OLD.on_exhaust <=> NEW.on_exhaust) OR NOT (OLD.rate_down <=> NEW.rate_down) OR NOT (OLD.rate_up <=> NEW.rate_up) OR NOT (OLD.redirect <=> NEW.redirect) OR NOT (OLD.reset_anchor <=> NEW.reset_anchor) OR NOT (OLD.priority <=> NEW.priority) OR NOT (OLD.starts_at <=> NEW.starts_at) OR NOT (OLD.expires_at <=> NEW.expires_at))
    UNION ALL
    SELECT 'tk_plan', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = OLD.plan_id AND (NOT (OLD.subscriber_id <=> NEW.subscriber_id) OR NOT (OLD.plan_id <=> NEW.plan_id) OR NOT (OLD.metric <=> NEW.metric) OR NOT (OLD.period <=> NEW.period) OR NOT (OLD.origin <=> NEW.origin) OR NOT (OLD.quota_limit <=> NEW.quota_limit) OR NOT (OLD.carry_over <=> NEW.carry_over) OR NOT (OLD.on_exhaust <=> NEW.on_exhaust) OR NOT (OLD.rate_down <=> NEW.rate_down) OR NOT (OLD.rate_up <=> NEW.rate_up) OR NOT (OLD.redirect <=> NEW.redirect) OR NOT (OLD.reset_anchor <=> NEW.reset_anchor) OR NOT (OLD.priority <=> NEW.priority) OR NOT (OLD.starts_at <=> NEW.starts_at) OR NOT (OLD.expires_at <=> NEW.expires_at))
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL AND (NOT (OLD.subscriber_id <=> NEW.subscriber_id) OR NOT (OLD.plan_id <=> NEW.plan_id))
    UNION ALL
    SELECT 'tk_plan', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = NEW.plan_id AND (NOT (OLD.subscriber_id <=> NEW.subscriber_id) OR NOT (OLD.plan_id <=> NEW.plan_id));

DROP TRIGGER IF EXISTS tk_on_tk_quota_removed;

CREATE TRIGGER tk_on_tk_quota_removed AFTER DELETE ON tk_quota FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL
    UNION ALL
    SELECT 'tk_plan', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = OLD.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_term_added;

CREATE TRIGGER tk_on_tk_term_added AFTER INSERT ON tk_term FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_term_changed;

CREATE TRIGGER tk_on_tk_term_changed AFTER UPDATE ON tk_term FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL AND NEW.subscriber_id <> OLD.subscriber_id;

DROP TRIGGER IF EXISTS tk_on_tk_term_removed;

CREATE TRIGGER tk_on_tk_term_removed AFTER DELETE ON tk_term FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_account_changed;

CREATE TRIGGER tk_on_tk_account_changed AFTER UPDATE ON tk_account FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_account', '', UNIX_TIMESTAMP() FROM DUAL WHERE NOT (OLD.time_zone <=> NEW.time_zone) OR NOT (OLD.enabled <=> NEW.enabled) OR NOT (BINARY OLD.name <=> BINARY NEW.name);
