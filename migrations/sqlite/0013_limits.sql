-- What an account has that is not its plan's, and devices that let a subscriber in.
-- tk_quota.origin has more words: override (in the place of the plan's limits of the same kind, time or volume,
-- and period), unlimited (in their place there is none; quota_limit is what it was), granted (quota_limit is
-- added to the limit of the period in which starts_at lies).

-- kind account: for as long as it is there; login: for the next login of the device and its session.
-- seconds, octets: how much that session may have. rate_*: bit/s. idle_timeout: seconds, 0 is none.
-- places: Simultaneous-Use. expires_at: the session ends then. taken_at: a login has it.
CREATE TABLE IF NOT EXISTS tk_override (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'account',
    mac TEXT NOT NULL DEFAULT '',
    seconds BIGINT,
    octets BIGINT,
    rate_down BIGINT,
    rate_up BIGINT,
    idle_timeout BIGINT,
    places BIGINT,
    expires_at BIGINT,
    taken_at BIGINT,
    created_at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_override_subscriber ON tk_override (subscriber_id);

-- 1: a device that has logged in with the password logs in by itself later.
ALTER TABLE tk_subscriber ADD COLUMN autologin INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_override_added AFTER INSERT ON tk_override BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_override_changed AFTER UPDATE ON tk_override BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE NEW.subscriber_id <> OLD.subscriber_id AND s.id = NEW.subscriber_id AND s.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_override_removed AFTER DELETE ON tk_override BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
END;

-- Whose a device is, is remembered by its address: also where its subscriber is not in memory.
DROP TRIGGER IF EXISTS tk_on_tk_device_added;

CREATE TRIGGER tk_on_tk_device_added AFTER INSERT ON tk_device BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_device', NEW.mac, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.mac <> '';
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;
END;

DROP TRIGGER IF EXISTS tk_on_tk_device_changed;

CREATE TRIGGER tk_on_tk_device_changed AFTER UPDATE ON tk_device BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_device', OLD.mac, CAST(strftime('%s', 'now') AS INTEGER) WHERE OLD.mac <> '';
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_device', NEW.mac, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.mac <> '' AND NEW.mac <> OLD.mac;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL AND NEW.subscriber_id <> OLD.subscriber_id;
END;

DROP TRIGGER IF EXISTS tk_on_tk_device_removed;

CREATE TRIGGER tk_on_tk_device_removed AFTER DELETE ON tk_device BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_device', OLD.mac, CAST(strftime('%s', 'now') AS INTEGER) WHERE OLD.mac <> '';
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_subscriber_autologin AFTER UPDATE OF autologin ON tk_subscriber
WHEN OLD.autologin IS NOT NEW.autologin BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT NULL;
END;
