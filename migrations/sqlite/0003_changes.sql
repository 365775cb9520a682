-- The change feed: whoever writes these tables, by whatever tool, leaves the key in tk_changes.
-- Our own stamps (first_use_at, last_use_at, last_used_at, last_seen_at) and rows made on first sight
-- of a login say nothing new and leave nothing; radacct, tk_session and tk_usage have no triggers.

CREATE TRIGGER IF NOT EXISTS tk_on_radcheck_added AFTER INSERT ON radcheck BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radcheck', NEW.username, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radcheck_changed AFTER UPDATE ON radcheck BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radcheck', OLD.username, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radcheck', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT OLD.username;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radcheck_removed AFTER DELETE ON radcheck BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radcheck', OLD.username, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radreply_added AFTER INSERT ON radreply BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radreply', NEW.username, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radreply_changed AFTER UPDATE ON radreply BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radreply', OLD.username, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radreply', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT OLD.username;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radreply_removed AFTER DELETE ON radreply BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radreply', OLD.username, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radusergroup_added AFTER INSERT ON radusergroup BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radusergroup', NEW.username, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radusergroup_changed AFTER UPDATE ON radusergroup BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radusergroup', OLD.username, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radusergroup', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT OLD.username;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radusergroup_removed AFTER DELETE ON radusergroup BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radusergroup', OLD.username, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radgroupcheck_added AFTER INSERT ON radgroupcheck BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupcheck', NEW.groupname, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radgroupcheck_changed AFTER UPDATE ON radgroupcheck BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupcheck', OLD.groupname, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupcheck', NEW.groupname, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.groupname IS NOT OLD.groupname;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radgroupcheck_removed AFTER DELETE ON radgroupcheck BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupcheck', OLD.groupname, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radgroupreply_added AFTER INSERT ON radgroupreply BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupreply', NEW.groupname, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radgroupreply_changed AFTER UPDATE ON radgroupreply BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupreply', OLD.groupname, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupreply', NEW.groupname, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.groupname IS NOT OLD.groupname;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_radgroupreply_removed AFTER DELETE ON radgroupreply BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupreply', OLD.groupname, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_nas_added AFTER INSERT ON nas BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'nas', NEW.id, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_nas_changed AFTER UPDATE ON nas BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'nas', OLD.id, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'nas', NEW.id, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.id IS NOT OLD.id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_nas_removed AFTER DELETE ON nas BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'nas', OLD.id, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_nas_added AFTER INSERT ON tk_nas BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_nas', NEW.nas_id, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_nas_changed AFTER UPDATE OF nas_id, identifier, coa_port, coa_secret, secret_next, swap_octets, require_ma, limit_proxy_state, vendor_profile, disabled ON tk_nas BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_nas', OLD.nas_id, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_nas', NEW.nas_id, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.nas_id IS NOT OLD.nas_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_nas_removed AFTER DELETE ON tk_nas BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_nas', OLD.nas_id, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_plan_added AFTER INSERT ON tk_plan BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', NEW.groupname, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_plan_changed AFTER UPDATE ON tk_plan BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', OLD.groupname, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', NEW.groupname, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.groupname IS NOT OLD.groupname;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_plan_removed AFTER DELETE ON tk_plan BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', OLD.groupname, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_subscriber_added AFTER INSERT ON tk_subscriber WHEN NEW.created_by <> 'first sight' BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_subscriber_changed AFTER UPDATE OF account_id, username, kind, plan_id, status, service_state, locked_reason, concurrency, reset_day, activation_at, expires_at ON tk_subscriber BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', OLD.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE OLD.username IS NOT NULL;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', NEW.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.username IS NOT NULL AND NEW.username IS NOT OLD.username;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_subscriber_removed AFTER DELETE ON tk_subscriber BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', OLD.username, CAST(strftime('%s', 'now') AS INTEGER) WHERE OLD.username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_admin_added AFTER INSERT ON tk_admin BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_admin', NEW.login, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_admin_changed AFTER UPDATE ON tk_admin BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_admin', OLD.login, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_admin', NEW.login, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.login IS NOT OLD.login;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_admin_removed AFTER DELETE ON tk_admin BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_admin', OLD.login, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_api_key_added AFTER INSERT ON tk_api_key BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_api_key', NEW.key_id, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_api_key_changed AFTER UPDATE OF admin_id, account_id, dialect, key_id, secret_hash, version, rights, enabled, allowed_cidrs ON tk_api_key BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_api_key', OLD.key_id, CAST(strftime('%s', 'now') AS INTEGER);
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_api_key', NEW.key_id, CAST(strftime('%s', 'now') AS INTEGER) WHERE NEW.key_id IS NOT OLD.key_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_api_key_removed AFTER DELETE ON tk_api_key BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_api_key', OLD.key_id, CAST(strftime('%s', 'now') AS INTEGER);
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_coa_added AFTER INSERT ON tk_coa WHEN NEW.taken_at IS NULL BEGIN
    INSERT INTO tk_changes (tbl, k, at) VALUES ('tk_coa', NEW.id, CAST(strftime('%s', 'now') AS INTEGER));
END;
