-- Limits on time and volume. A row belongs to a plan or to a subscriber; origin topup is what a subscriber
-- bought on top. quota_limit: seconds or octets, 0 and less is nothing left. used: of a top-up alone, absolute,
-- never falls; of the others it is the sum of tk_usage over the period.
-- reset_anchor: first day of a week (0 is Sunday) or of a month (1 to 31), null is the plan's or the
-- subscriber's. rate_*: bit/s once it is used up; redirect: URL of a portal. Lower priorities decide first.
CREATE TABLE IF NOT EXISTS tk_quota (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT,
    plan_id BIGINT,
    metric TEXT NOT NULL,
    period TEXT NOT NULL,
    origin TEXT NOT NULL DEFAULT 'user',
    quota_limit BIGINT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    carry_over SMALLINT NOT NULL DEFAULT 0,
    on_exhaust TEXT NOT NULL DEFAULT 'refuse',
    rate_down BIGINT,
    rate_up BIGINT,
    redirect TEXT,
    reset_anchor INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    starts_at BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT
);

CREATE INDEX IF NOT EXISTS tk_quota_subscriber ON tk_quota (subscriber_id) WHERE subscriber_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_quota_plan ON tk_quota (plan_id) WHERE plan_id IS NOT NULL;

-- The purchase that a top-up came from.
CREATE TABLE IF NOT EXISTS tk_topup (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    quota_id BIGINT NOT NULL,
    ledger_id BIGINT,
    plan_name TEXT NOT NULL DEFAULT '',
    profiles TEXT NOT NULL DEFAULT '',
    amount TEXT,
    currency TEXT NOT NULL DEFAULT '',
    remarks TEXT NOT NULL DEFAULT '',
    created_by TEXT NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_topup_subscriber ON tk_topup (subscriber_id);

-- What a subscriber had used since ever when its present term began: a quota of its plan that is not
-- periodic counts from there. Without a row it counts since ever.
CREATE TABLE IF NOT EXISTS tk_term (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    began_at BIGINT NOT NULL,
    seconds BIGINT NOT NULL DEFAULT 0,
    input BIGINT NOT NULL DEFAULT 0,
    output BIGINT NOT NULL DEFAULT 0
);

-- A change of a quota or a term is one of its subscriber or its plan; what is used of a top-up is our own
-- figure and says nothing new. The zone or state of an account concerns all of its subscribers.
CREATE TRIGGER IF NOT EXISTS tk_on_tk_quota_added AFTER INSERT ON tk_quota BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = NEW.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_quota_changed AFTER UPDATE OF subscriber_id, plan_id, metric, period, origin, quota_limit, carry_over, on_exhaust, rate_down, rate_up, redirect, reset_anchor, priority, starts_at, expires_at ON tk_quota BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = OLD.plan_id;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE (NEW.subscriber_id IS NOT OLD.subscriber_id OR NEW.plan_id IS NOT OLD.plan_id) AND id = NEW.subscriber_id AND username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE (NEW.subscriber_id IS NOT OLD.subscriber_id OR NEW.plan_id IS NOT OLD.plan_id) AND id = NEW.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_quota_removed AFTER DELETE ON tk_quota BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = OLD.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_term_added AFTER INSERT ON tk_term BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_term_changed AFTER UPDATE ON tk_term BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE NEW.subscriber_id <> OLD.subscriber_id AND id = NEW.subscriber_id AND username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_term_removed AFTER DELETE ON tk_term BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_account_changed AFTER UPDATE OF time_zone, enabled, name ON tk_account BEGIN
    INSERT INTO tk_changes (tbl, k, at) VALUES ('tk_account', '', CAST(strftime('%s', 'now') AS INTEGER));
END;
