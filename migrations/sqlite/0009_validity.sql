-- How long a subscription lasts, and from which devices it may be used.
-- A rule belongs to a subscriber or to a plan. kind: fixed (value: seconds since 1970), after_creation,
-- after_first_use, after_last_use, after_renew (value: so many of unit), day_of_month (value: 1 to 31).
-- unit: minutes, hours, days, months, years.
CREATE TABLE IF NOT EXISTS tk_expiry_rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT,
    plan_id BIGINT,
    kind TEXT NOT NULL,
    value BIGINT NOT NULL DEFAULT 0,
    unit TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_expiry_rule_subscriber ON tk_expiry_rule (subscriber_id);

CREATE INDEX IF NOT EXISTS tk_expiry_rule_plan ON tk_expiry_rule (plan_id);

-- source: static binds the subscriber to the device; autologin and loginaccount let a device in.
CREATE TABLE IF NOT EXISTS tk_device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    mac TEXT NOT NULL DEFAULT '',
    ip TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL DEFAULT 'static',
    valid_until BIGINT
);

CREATE INDEX IF NOT EXISTS tk_device_subscriber ON tk_device (subscriber_id);

CREATE INDEX IF NOT EXISTS tk_device_mac ON tk_device (mac);

-- The last renewal: the beginning of the present term.
ALTER TABLE tk_subscriber ADD COLUMN renewed_at BIGINT;

-- A rule or a device is news of its subscriber, or of its plan's group.
CREATE TRIGGER IF NOT EXISTS tk_on_tk_expiry_rule_added AFTER INSERT ON tk_expiry_rule BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', p.groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan p WHERE p.id = NEW.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_expiry_rule_changed AFTER UPDATE ON tk_expiry_rule BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', p.groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan p WHERE p.id = OLD.plan_id;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', p.groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan p WHERE p.id = NEW.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_expiry_rule_removed AFTER DELETE ON tk_expiry_rule BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', p.groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan p WHERE p.id = OLD.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_device_added AFTER INSERT ON tk_device BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_device_changed AFTER UPDATE ON tk_device BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_device_removed AFTER DELETE ON tk_device BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
END;

-- Another server's first login of the term, and a term that begins anew.
CREATE TRIGGER IF NOT EXISTS tk_on_tk_subscriber_term AFTER UPDATE OF first_use_at, renewed_at, status_reason ON tk_subscriber
WHEN OLD.first_use_at IS NOT NEW.first_use_at OR OLD.renewed_at IS NOT NEW.renewed_at OR OLD.status_reason IS NOT NEW.status_reason BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT NULL;
END;
