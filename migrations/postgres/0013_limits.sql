-- What an account has that is not its plan's, and devices that let a subscriber in.
-- tk_quota.origin has more words: override (in the place of the plan's limits of the same kind, time or volume,
-- and period), unlimited (in their place there is none; quota_limit is what it was), granted (quota_limit is
-- added to the limit of the period in which starts_at lies).

-- kind account: for as long as it is there; login: for the next login of the device and its session.
-- seconds, octets: how much that session may have. rate_*: bit/s. idle_timeout: seconds, 0 is none.
-- places: Simultaneous-Use. expires_at: the session ends then. taken_at: a login has it.
CREATE TABLE IF NOT EXISTS tk_override (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    kind text NOT NULL DEFAULT 'account',
    mac text NOT NULL DEFAULT '',
    seconds bigint,
    octets bigint,
    rate_down bigint,
    rate_up bigint,
    idle_timeout bigint,
    places bigint,
    expires_at bigint,
    taken_at bigint,
    created_at bigint NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS tk_override_subscriber ON tk_override (subscriber_id);

-- 1: a device that has logged in with the password logs in by itself later.
ALTER TABLE tk_subscriber ADD COLUMN IF NOT EXISTS autologin smallint NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION tk_note_override() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM tk_note_owner(OLD.subscriber_id, NULL);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM tk_note_owner(NEW.subscriber_id, NULL);
    END IF;
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS tk_on_tk_override_changed ON tk_override;

CREATE TRIGGER tk_on_tk_override_changed AFTER INSERT OR UPDATE OR DELETE ON tk_override FOR EACH ROW EXECUTE FUNCTION tk_note_override();

DROP TRIGGER IF EXISTS tk_on_tk_override_emptied ON tk_override;

CREATE TRIGGER tk_on_tk_override_emptied AFTER TRUNCATE ON tk_override FOR EACH STATEMENT EXECUTE FUNCTION tk_note_everybody();

-- Whose a device is, is remembered by its address: also where its subscriber is not in memory.
CREATE OR REPLACE FUNCTION tk_note_device() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES ('tk_device', OLD.mac, extract(epoch FROM clock_timestamp())::bigint);
        PERFORM tk_note_owner(OLD.subscriber_id, NULL);
    END IF;
    IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND (NEW.mac <> OLD.mac OR NEW.subscriber_id <> OLD.subscriber_id) THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES ('tk_device', NEW.mac, extract(epoch FROM clock_timestamp())::bigint);
        PERFORM tk_note_owner(NEW.subscriber_id, NULL);
    END IF;
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_autologin ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_autologin AFTER UPDATE OF autologin ON tk_subscriber FOR EACH ROW
    WHEN (OLD.autologin IS DISTINCT FROM NEW.autologin) EXECUTE FUNCTION tk_note_username();
