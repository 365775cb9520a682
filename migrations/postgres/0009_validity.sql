-- How long a subscription lasts, and from which devices it may be used.
-- A rule belongs to a subscriber or to a plan. kind: fixed (value: seconds since 1970), after_creation,
-- after_first_use, after_last_use, after_renew (value: so many of unit), day_of_month (value: 1 to 31).
-- unit: minutes, hours, days, months, years.
CREATE TABLE IF NOT EXISTS tk_expiry_rule (
    id bigserial PRIMARY KEY,
    subscriber_id bigint,
    plan_id bigint,
    kind text NOT NULL,
    value bigint NOT NULL DEFAULT 0,
    unit text NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_expiry_rule_subscriber ON tk_expiry_rule (subscriber_id);

CREATE INDEX IF NOT EXISTS tk_expiry_rule_plan ON tk_expiry_rule (plan_id);

-- source: static binds the subscriber to the device; autologin and loginaccount let a device in.
CREATE TABLE IF NOT EXISTS tk_device (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    mac text NOT NULL DEFAULT '',
    ip text NOT NULL DEFAULT '',
    source text NOT NULL DEFAULT 'static',
    valid_until bigint
);

CREATE INDEX IF NOT EXISTS tk_device_subscriber ON tk_device (subscriber_id);

CREATE INDEX IF NOT EXISTS tk_device_mac ON tk_device (mac);

-- The last renewal: the beginning of the present term.
ALTER TABLE tk_subscriber ADD COLUMN IF NOT EXISTS renewed_at bigint;

-- A rule or a device is news of its subscriber, or of its plan's group.
CREATE OR REPLACE FUNCTION tk_note_owner(subscriber bigint, plan bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', s.username, extract(epoch FROM clock_timestamp())::bigint
        FROM tk_subscriber s WHERE s.id = subscriber AND s.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', p.groupname, extract(epoch FROM clock_timestamp())::bigint
        FROM tk_plan p WHERE p.id = plan;
    PERFORM pg_notify('tk_changes', '');
END
$$;

CREATE OR REPLACE FUNCTION tk_note_expiry_rule() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM tk_note_owner(OLD.subscriber_id, OLD.plan_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM tk_note_owner(NEW.subscriber_id, NEW.plan_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_device() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
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

-- Everybody may be meant.
CREATE OR REPLACE FUNCTION tk_note_everybody() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO tk_changes (tbl, k, at) VALUES ('tk_account', '', extract(epoch FROM clock_timestamp())::bigint);
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS tk_on_tk_expiry_rule_changed ON tk_expiry_rule;

CREATE TRIGGER tk_on_tk_expiry_rule_changed AFTER INSERT OR UPDATE OR DELETE ON tk_expiry_rule FOR EACH ROW EXECUTE FUNCTION tk_note_expiry_rule();

DROP TRIGGER IF EXISTS tk_on_tk_expiry_rule_emptied ON tk_expiry_rule;

CREATE TRIGGER tk_on_tk_expiry_rule_emptied AFTER TRUNCATE ON tk_expiry_rule FOR EACH STATEMENT EXECUTE FUNCTION tk_note_everybody();

DROP TRIGGER IF EXISTS tk_on_tk_device_changed ON tk_device;

CREATE TRIGGER tk_on_tk_device_changed AFTER INSERT OR UPDATE OR DELETE ON tk_device FOR EACH ROW EXECUTE FUNCTION tk_note_device();

DROP TRIGGER IF EXISTS tk_on_tk_device_emptied ON tk_device;

CREATE TRIGGER tk_on_tk_device_emptied AFTER TRUNCATE ON tk_device FOR EACH STATEMENT EXECUTE FUNCTION tk_note_everybody();

-- Another server's first login of the term, and a term that begins anew.
DROP TRIGGER IF EXISTS tk_on_tk_subscriber_term ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_term AFTER UPDATE OF first_use_at, renewed_at, status_reason ON tk_subscriber FOR EACH ROW
    WHEN (OLD.first_use_at IS DISTINCT FROM NEW.first_use_at OR OLD.renewed_at IS DISTINCT FROM NEW.renewed_at OR OLD.status_reason IS DISTINCT FROM NEW.status_reason)
    EXECUTE FUNCTION tk_note_username();
