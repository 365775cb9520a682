-- How long a subscription lasts, and from which devices it may be used.
-- A rule belongs to a subscriber or to a plan. kind: fixed (value: seconds since 1970), after_creation,
-- after_first_use, after_last_use, after_renew (value: so many of unit), day_of_month (value: 1 to 31).
-- unit: minutes, hours, days, months, years.
CREATE TABLE IF NOT EXISTS tk_expiry_rule (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT,
    plan_id BIGINT,
    kind VARCHAR(24) NOT NULL,
    value BIGINT NOT NULL DEFAULT 0,
    unit VARCHAR(16) NOT NULL DEFAULT '',
    KEY tk_expiry_rule_subscriber (subscriber_id),
    KEY tk_expiry_rule_plan (plan_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- source: static binds the subscriber to the device; autologin and loginaccount let a device in.
CREATE TABLE IF NOT EXISTS tk_device (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    mac VARCHAR(64) NOT NULL DEFAULT '',
    ip VARCHAR(64) NOT NULL DEFAULT '',
    source VARCHAR(24) NOT NULL DEFAULT 'static',
    valid_until BIGINT,
    KEY tk_device_subscriber (subscriber_id),
    KEY tk_device_mac (mac)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The last renewal: the beginning of the present term. MySQL has no ADD COLUMN IF NOT EXISTS, and a file
-- may be run again after it stopped in the middle.
SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'tk_subscriber' AND column_name = 'renewed_at') = 0,
    'ALTER TABLE tk_subscriber ADD COLUMN renewed_at BIGINT', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;

-- A rule or a device is news of its subscriber, or of its plan's group.
DROP TRIGGER IF EXISTS tk_on_tk_expiry_rule_added;

CREATE TRIGGER tk_on_tk_expiry_rule_added AFTER INSERT ON tk_expiry_rule FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_plan', p.groupname, UNIX_TIMESTAMP() FROM tk_plan p WHERE p.id = NEW.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_expiry_rule_changed;

CREATE TRIGGER tk_on_tk_expiry_rule_changed AFTER UPDATE ON tk_expiry_rule FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_plan', p.groupname, UNIX_TIMESTAMP() FROM tk_plan p WHERE p.id = OLD.plan_id
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_plan', p.groupname, UNIX_TIMESTAMP() FROM tk_plan p WHERE p.id = NEW.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_expiry_rule_removed;

CREATE TRIGGER tk_on_tk_expiry_rule_removed AFTER DELETE ON tk_expiry_rule FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_plan', p.groupname, UNIX_TIMESTAMP() FROM tk_plan p WHERE p.id = OLD.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_device_added;

CREATE TRIGGER tk_on_tk_device_added AFTER INSERT ON tk_device FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_device_changed;

CREATE TRIGGER tk_on_tk_device_changed AFTER UPDATE ON tk_device FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_device_removed;

CREATE TRIGGER tk_on_tk_device_removed AFTER DELETE ON tk_device FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;

-- Another server's first login of the term, and a term that begins anew.
DROP TRIGGER IF EXISTS tk_on_tk_subscriber_term;

CREATE TRIGGER tk_on_tk_subscriber_term AFTER UPDATE ON tk_subscriber FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(NEW.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL
    WHERE (NOT (OLD.first_use_at <=> NEW.first_use_at) OR NOT (OLD.renewed_at <=> NEW.renewed_at) OR NOT (OLD.status_reason <=> NEW.status_reason)) AND NEW.username IS NOT NULL;
