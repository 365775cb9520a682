-- What an account has that is not its plan's, and devices that let a subscriber in.
-- tk_quota.origin has more words: override (in the place of the plan's limits of the same kind, time or volume,
-- and period), unlimited (in their place there is none; quota_limit is what it was), granted (quota_limit is
-- added to the limit of the period in which starts_at lies).

-- kind account: for as long as it is there; login: for the next login of the device and its session.
-- seconds, octets: how much that session may have. rate_*: bit/s. idle_timeout: seconds, 0 is none.
-- places: Simultaneous-Use. expires_at: the session ends then. taken_at: a login has it.
CREATE TABLE IF NOT EXISTS tk_override (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    kind VARCHAR(24) NOT NULL DEFAULT 'account',
    mac VARCHAR(64) NOT NULL DEFAULT '',
    seconds BIGINT,
    octets BIGINT,
    rate_down BIGINT,
    rate_up BIGINT,
    idle_timeout BIGINT,
    places BIGINT,
    expires_at BIGINT,
    taken_at BIGINT,
    created_at BIGINT NOT NULL DEFAULT 0,
    KEY tk_override_subscriber (subscriber_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- 1: a device that has logged in with the password logs in by itself later. MySQL has no ADD COLUMN IF NOT
-- EXISTS, and a file may be run again after it stopped in the middle.
SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'tk_subscriber' AND column_name = 'autologin') = 0,
    'ALTER TABLE tk_subscriber ADD COLUMN autologin SMALLINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;

DROP TRIGGER IF EXISTS tk_on_tk_override_added;

CREATE TRIGGER tk_on_tk_override_added AFTER INSERT ON tk_override FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_override_changed;

CREATE TRIGGER tk_on_tk_override_changed AFTER UPDATE ON tk_override FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL AND NEW.subscriber_id <> OLD.subscriber_id;

DROP TRIGGER IF EXISTS tk_on_tk_override_removed;

CREATE TRIGGER tk_on_tk_override_removed AFTER DELETE ON tk_override FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;

-- Whose a device is, is remembered by its address: also where its subscriber is not in memory.
DROP TRIGGER IF EXISTS tk_on_tk_device_added;

CREATE TRIGGER tk_on_tk_device_added AFTER INSERT ON tk_device FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_device', NEW.mac, UNIX_TIMESTAMP() FROM DUAL WHERE NEW.mac <> ''
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_device_changed;

CREATE TRIGGER tk_on_tk_device_changed AFTER UPDATE ON tk_device FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_device', OLD.mac, UNIX_TIMESTAMP() FROM DUAL WHERE OLD.mac <> ''
    UNION ALL
    SELECT 'tk_device', NEW.mac, UNIX_TIMESTAMP() FROM DUAL WHERE NEW.mac <> '' AND NEW.mac <> OLD.mac
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = NEW.subscriber_id AND s.username IS NOT NULL AND NEW.subscriber_id <> OLD.subscriber_id;

DROP TRIGGER IF EXISTS tk_on_tk_device_removed;

CREATE TRIGGER tk_on_tk_device_removed AFTER DELETE ON tk_device FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_device', OLD.mac, UNIX_TIMESTAMP() FROM DUAL WHERE OLD.mac <> ''
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(s.username USING utf8mb4), UNIX_TIMESTAMP() FROM tk_subscriber s WHERE s.id = OLD.subscriber_id AND s.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_autologin;

CREATE TRIGGER tk_on_tk_subscriber_autologin AFTER UPDATE ON tk_subscriber FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(NEW.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL
    WHERE OLD.autologin <> NEW.autologin AND NEW.username IS NOT NULL;
