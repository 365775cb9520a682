-- The change feed: whoever writes these tables, by whatever tool, leaves the key in tk_changes.
-- Our own stamps (first_use_at, last_use_at, last_used_at, last_seen_at) and rows made on first sight
-- of a login say nothing new and leave nothing; radacct, tk_session and tk_usage have no triggers.
-- The functions run with the rights of the tables' owner, so that a tool that may write radcheck need
-- not be allowed to write tk_changes. The empty key of a TRUNCATE means every key.

CREATE OR REPLACE FUNCTION tk_note_username() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.username IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, OLD.username, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    IF (TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.username IS DISTINCT FROM OLD.username)) AND NEW.username IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, NEW.username, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_groupname() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.groupname IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, OLD.groupname, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    IF (TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.groupname IS DISTINCT FROM OLD.groupname)) AND NEW.groupname IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, NEW.groupname, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_id() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.id IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, OLD.id, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    IF (TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.id IS DISTINCT FROM OLD.id)) AND NEW.id IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, NEW.id, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_nas_id() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.nas_id IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, OLD.nas_id, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    IF (TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.nas_id IS DISTINCT FROM OLD.nas_id)) AND NEW.nas_id IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, NEW.nas_id, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_login() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.login IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, OLD.login, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    IF (TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.login IS DISTINCT FROM OLD.login)) AND NEW.login IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, NEW.login, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_key_id() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.key_id IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, OLD.key_id, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    IF (TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.key_id IS DISTINCT FROM OLD.key_id)) AND NEW.key_id IS NOT NULL THEN
        INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, NEW.key_id, extract(epoch FROM clock_timestamp())::bigint);
    END IF;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_all() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO tk_changes (tbl, k, at) VALUES (TG_TABLE_NAME, '', extract(epoch FROM clock_timestamp())::bigint);
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS tk_on_radcheck_changed ON radcheck;

CREATE TRIGGER tk_on_radcheck_changed AFTER INSERT OR UPDATE OR DELETE ON radcheck FOR EACH ROW EXECUTE FUNCTION tk_note_username();

DROP TRIGGER IF EXISTS tk_on_radcheck_emptied ON radcheck;

CREATE TRIGGER tk_on_radcheck_emptied AFTER TRUNCATE ON radcheck FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_radreply_changed ON radreply;

CREATE TRIGGER tk_on_radreply_changed AFTER INSERT OR UPDATE OR DELETE ON radreply FOR EACH ROW EXECUTE FUNCTION tk_note_username();

DROP TRIGGER IF EXISTS tk_on_radreply_emptied ON radreply;

CREATE TRIGGER tk_on_radreply_emptied AFTER TRUNCATE ON radreply FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_radusergroup_changed ON radusergroup;

CREATE TRIGGER tk_on_radusergroup_changed AFTER INSERT OR UPDATE OR DELETE ON radusergroup FOR EACH ROW EXECUTE FUNCTION tk_note_username();

DROP TRIGGER IF EXISTS tk_on_radusergroup_emptied ON radusergroup;

CREATE TRIGGER tk_on_radusergroup_emptied AFTER TRUNCATE ON radusergroup FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_radgroupcheck_changed ON radgroupcheck;

CREATE TRIGGER tk_on_radgroupcheck_changed AFTER INSERT OR UPDATE OR DELETE ON radgroupcheck FOR EACH ROW EXECUTE FUNCTION tk_note_groupname();

DROP TRIGGER IF EXISTS tk_on_radgroupcheck_emptied ON radgroupcheck;

CREATE TRIGGER tk_on_radgroupcheck_emptied AFTER TRUNCATE ON radgroupcheck FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_radgroupreply_changed ON radgroupreply;

CREATE TRIGGER tk_on_radgroupreply_changed AFTER INSERT OR UPDATE OR DELETE ON radgroupreply FOR EACH ROW EXECUTE FUNCTION tk_note_groupname();

DROP TRIGGER IF EXISTS tk_on_radgroupreply_emptied ON radgroupreply;

CREATE TRIGGER tk_on_radgroupreply_emptied AFTER TRUNCATE ON radgroupreply FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_nas_changed ON nas;

CREATE TRIGGER tk_on_nas_changed AFTER INSERT OR UPDATE OR DELETE ON nas FOR EACH ROW EXECUTE FUNCTION tk_note_id();

DROP TRIGGER IF EXISTS tk_on_nas_emptied ON nas;

CREATE TRIGGER tk_on_nas_emptied AFTER TRUNCATE ON nas FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_nas_added ON tk_nas;

CREATE TRIGGER tk_on_tk_nas_added AFTER INSERT ON tk_nas FOR EACH ROW EXECUTE FUNCTION tk_note_nas_id();

DROP TRIGGER IF EXISTS tk_on_tk_nas_changed ON tk_nas;

CREATE TRIGGER tk_on_tk_nas_changed AFTER UPDATE OF nas_id, identifier, coa_port, coa_secret, secret_next, swap_octets, require_ma, limit_proxy_state, vendor_profile, disabled ON tk_nas FOR EACH ROW EXECUTE FUNCTION tk_note_nas_id();

DROP TRIGGER IF EXISTS tk_on_tk_nas_removed ON tk_nas;

CREATE TRIGGER tk_on_tk_nas_removed AFTER DELETE ON tk_nas FOR EACH ROW EXECUTE FUNCTION tk_note_nas_id();

DROP TRIGGER IF EXISTS tk_on_tk_nas_emptied ON tk_nas;

CREATE TRIGGER tk_on_tk_nas_emptied AFTER TRUNCATE ON tk_nas FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_plan_changed ON tk_plan;

CREATE TRIGGER tk_on_tk_plan_changed AFTER INSERT OR UPDATE OR DELETE ON tk_plan FOR EACH ROW EXECUTE FUNCTION tk_note_groupname();

DROP TRIGGER IF EXISTS tk_on_tk_plan_emptied ON tk_plan;

CREATE TRIGGER tk_on_tk_plan_emptied AFTER TRUNCATE ON tk_plan FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_added ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_added AFTER INSERT ON tk_subscriber FOR EACH ROW WHEN (NEW.created_by <> 'first sight') EXECUTE FUNCTION tk_note_username();

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_changed ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_changed AFTER UPDATE OF account_id, username, kind, plan_id, status, service_state, locked_reason, concurrency, reset_day, activation_at, expires_at ON tk_subscriber FOR EACH ROW EXECUTE FUNCTION tk_note_username();

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_removed ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_removed AFTER DELETE ON tk_subscriber FOR EACH ROW EXECUTE FUNCTION tk_note_username();

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_emptied ON tk_subscriber;

CREATE TRIGGER tk_on_tk_subscriber_emptied AFTER TRUNCATE ON tk_subscriber FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_admin_changed ON tk_admin;

CREATE TRIGGER tk_on_tk_admin_changed AFTER INSERT OR UPDATE OR DELETE ON tk_admin FOR EACH ROW EXECUTE FUNCTION tk_note_login();

DROP TRIGGER IF EXISTS tk_on_tk_admin_emptied ON tk_admin;

CREATE TRIGGER tk_on_tk_admin_emptied AFTER TRUNCATE ON tk_admin FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_api_key_added ON tk_api_key;

CREATE TRIGGER tk_on_tk_api_key_added AFTER INSERT ON tk_api_key FOR EACH ROW EXECUTE FUNCTION tk_note_key_id();

DROP TRIGGER IF EXISTS tk_on_tk_api_key_changed ON tk_api_key;

CREATE TRIGGER tk_on_tk_api_key_changed AFTER UPDATE OF admin_id, account_id, dialect, key_id, secret_hash, version, rights, enabled, allowed_cidrs ON tk_api_key FOR EACH ROW EXECUTE FUNCTION tk_note_key_id();

DROP TRIGGER IF EXISTS tk_on_tk_api_key_removed ON tk_api_key;

CREATE TRIGGER tk_on_tk_api_key_removed AFTER DELETE ON tk_api_key FOR EACH ROW EXECUTE FUNCTION tk_note_key_id();

DROP TRIGGER IF EXISTS tk_on_tk_api_key_emptied ON tk_api_key;

CREATE TRIGGER tk_on_tk_api_key_emptied AFTER TRUNCATE ON tk_api_key FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_coa_added ON tk_coa;

CREATE TRIGGER tk_on_tk_coa_added AFTER INSERT ON tk_coa FOR EACH ROW WHEN (NEW.taken_at IS NULL) EXECUTE FUNCTION tk_note_id();
