-- The change feed: whoever writes these tables, by whatever tool, leaves the key in tk_changes.
-- Our own stamps (first_use_at, last_use_at, last_used_at, last_seen_at) and rows made on first sight
-- of a login say nothing new and leave nothing; radacct, tk_session and tk_usage have no triggers.
-- TRUNCATE runs no trigger on this database: delete rows instead.

DROP TRIGGER IF EXISTS tk_on_radcheck_added;

CREATE TRIGGER tk_on_radcheck_added AFTER INSERT ON radcheck FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radcheck', NEW.username, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radcheck_changed;

CREATE TRIGGER tk_on_radcheck_changed AFTER UPDATE ON radcheck FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'radcheck', OLD.username, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'radcheck', NEW.username, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.username <=> BINARY NEW.username);

DROP TRIGGER IF EXISTS tk_on_radcheck_removed;

CREATE TRIGGER tk_on_radcheck_removed AFTER DELETE ON radcheck FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radcheck', OLD.username, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radreply_added;

CREATE TRIGGER tk_on_radreply_added AFTER INSERT ON radreply FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radreply', NEW.username, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radreply_changed;

CREATE TRIGGER tk_on_radreply_changed AFTER UPDATE ON radreply FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'radreply', OLD.username, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'radreply', NEW.username, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.username <=> BINARY NEW.username);

DROP TRIGGER IF EXISTS tk_on_radreply_removed;

CREATE TRIGGER tk_on_radreply_removed AFTER DELETE ON radreply FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radreply', OLD.username, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radusergroup_added;

CREATE TRIGGER tk_on_radusergroup_added AFTER INSERT ON radusergroup FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radusergroup', NEW.username, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radusergroup_changed;

CREATE TRIGGER tk_on_radusergroup_changed AFTER UPDATE ON radusergroup FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'radusergroup', OLD.username, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'radusergroup', NEW.username, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.username <=> BINARY NEW.username);

DROP TRIGGER IF EXISTS tk_on_radusergroup_removed;

CREATE TRIGGER tk_on_radusergroup_removed AFTER DELETE ON radusergroup FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radusergroup', OLD.username, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radgroupcheck_added;

CREATE TRIGGER tk_on_radgroupcheck_added AFTER INSERT ON radgroupcheck FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupcheck', NEW.groupname, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radgroupcheck_changed;

CREATE TRIGGER tk_on_radgroupcheck_changed AFTER UPDATE ON radgroupcheck FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'radgroupcheck', OLD.groupname, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'radgroupcheck', NEW.groupname, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.groupname <=> BINARY NEW.groupname);

DROP TRIGGER IF EXISTS tk_on_radgroupcheck_removed;

CREATE TRIGGER tk_on_radgroupcheck_removed AFTER DELETE ON radgroupcheck FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupcheck', OLD.groupname, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radgroupreply_added;

CREATE TRIGGER tk_on_radgroupreply_added AFTER INSERT ON radgroupreply FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupreply', NEW.groupname, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_radgroupreply_changed;

CREATE TRIGGER tk_on_radgroupreply_changed AFTER UPDATE ON radgroupreply FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'radgroupreply', OLD.groupname, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'radgroupreply', NEW.groupname, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.groupname <=> BINARY NEW.groupname);

DROP TRIGGER IF EXISTS tk_on_radgroupreply_removed;

CREATE TRIGGER tk_on_radgroupreply_removed AFTER DELETE ON radgroupreply FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'radgroupreply', OLD.groupname, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_nas_added;

CREATE TRIGGER tk_on_nas_added AFTER INSERT ON nas FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'nas', CAST(NEW.id AS CHAR), UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_nas_changed;

CREATE TRIGGER tk_on_nas_changed AFTER UPDATE ON nas FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'nas', CAST(OLD.id AS CHAR), UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'nas', CAST(NEW.id AS CHAR), UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.id <=> BINARY NEW.id);

DROP TRIGGER IF EXISTS tk_on_nas_removed;

CREATE TRIGGER tk_on_nas_removed AFTER DELETE ON nas FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'nas', CAST(OLD.id AS CHAR), UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_nas_added;

CREATE TRIGGER tk_on_tk_nas_added AFTER INSERT ON tk_nas FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_nas', CAST(NEW.nas_id AS CHAR), UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_nas_changed;

CREATE TRIGGER tk_on_tk_nas_changed AFTER UPDATE ON tk_nas FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_nas', CAST(OLD.nas_id AS CHAR), UNIX_TIMESTAMP() FROM DUAL WHERE (NOT (OLD.nas_id <=> NEW.nas_id) OR NOT (OLD.identifier <=> NEW.identifier) OR NOT (OLD.coa_port <=> NEW.coa_port) OR NOT (OLD.coa_secret <=> NEW.coa_secret) OR NOT (OLD.secret_next <=> NEW.secret_next) OR NOT (OLD.swap_octets <=> NEW.swap_octets) OR NOT (OLD.require_ma <=> NEW.require_ma) OR NOT (OLD.limit_proxy_state <=> NEW.limit_proxy_state) OR NOT (OLD.vendor_profile <=> NEW.vendor_profile) OR NOT (OLD.disabled <=> NEW.disabled))
    UNION ALL
    SELECT 'tk_nas', CAST(NEW.nas_id AS CHAR), UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.nas_id <=> BINARY NEW.nas_id);

DROP TRIGGER IF EXISTS tk_on_tk_nas_removed;

CREATE TRIGGER tk_on_tk_nas_removed AFTER DELETE ON tk_nas FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_nas', CAST(OLD.nas_id AS CHAR), UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_plan_added;

CREATE TRIGGER tk_on_tk_plan_added AFTER INSERT ON tk_plan FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', NEW.groupname, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_plan_changed;

CREATE TRIGGER tk_on_tk_plan_changed AFTER UPDATE ON tk_plan FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_plan', OLD.groupname, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'tk_plan', NEW.groupname, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.groupname <=> BINARY NEW.groupname);

DROP TRIGGER IF EXISTS tk_on_tk_plan_removed;

CREATE TRIGGER tk_on_tk_plan_removed AFTER DELETE ON tk_plan FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_plan', OLD.groupname, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_added;

CREATE TRIGGER tk_on_tk_subscriber_added AFTER INSERT ON tk_subscriber FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', CONVERT(NEW.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL WHERE NEW.username IS NOT NULL AND NEW.created_by <> 'first sight';

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_changed;

CREATE TRIGGER tk_on_tk_subscriber_changed AFTER UPDATE ON tk_subscriber FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_subscriber', CONVERT(OLD.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL WHERE (NOT (OLD.account_id <=> NEW.account_id) OR NOT (OLD.username <=> NEW.username) OR NOT (OLD.kind <=> NEW.kind) OR NOT (OLD.plan_id <=> NEW.plan_id) OR NOT (OLD.status <=> NEW.status) OR NOT (OLD.service_state <=> NEW.service_state) OR NOT (OLD.locked_reason <=> NEW.locked_reason) OR NOT (OLD.concurrency <=> NEW.concurrency) OR NOT (OLD.reset_day <=> NEW.reset_day) OR NOT (OLD.activation_at <=> NEW.activation_at) OR NOT (OLD.expires_at <=> NEW.expires_at)) AND OLD.username IS NOT NULL
    UNION ALL
    SELECT 'tk_subscriber', CONVERT(NEW.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.username <=> BINARY NEW.username) AND NEW.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_subscriber_removed;

CREATE TRIGGER tk_on_tk_subscriber_removed AFTER DELETE ON tk_subscriber FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_subscriber', CONVERT(OLD.username USING utf8mb4), UNIX_TIMESTAMP() FROM DUAL WHERE OLD.username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_admin_added;

CREATE TRIGGER tk_on_tk_admin_added AFTER INSERT ON tk_admin FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_admin', NEW.login, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_admin_changed;

CREATE TRIGGER tk_on_tk_admin_changed AFTER UPDATE ON tk_admin FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_admin', OLD.login, UNIX_TIMESTAMP() FROM DUAL WHERE 1 = 1
    UNION ALL
    SELECT 'tk_admin', NEW.login, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.login <=> BINARY NEW.login);

DROP TRIGGER IF EXISTS tk_on_tk_admin_removed;

CREATE TRIGGER tk_on_tk_admin_removed AFTER DELETE ON tk_admin FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_admin', OLD.login, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_api_key_added;

CREATE TRIGGER tk_on_tk_api_key_added AFTER INSERT ON tk_api_key FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_api_key', NEW.key_id, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_api_key_changed;

CREATE TRIGGER tk_on_tk_api_key_changed AFTER UPDATE ON tk_api_key FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_api_key', OLD.key_id, UNIX_TIMESTAMP() FROM DUAL WHERE (NOT (OLD.admin_id <=> NEW.admin_id) OR NOT (OLD.account_id <=> NEW.account_id) OR NOT (OLD.dialect <=> NEW.dialect) OR NOT (OLD.key_id <=> NEW.key_id) OR NOT (OLD.secret_hash <=> NEW.secret_hash) OR NOT (OLD.version <=> NEW.version) OR NOT (OLD.rights <=> NEW.rights) OR NOT (OLD.enabled <=> NEW.enabled) OR NOT (OLD.allowed_cidrs <=> NEW.allowed_cidrs))
    UNION ALL
    SELECT 'tk_api_key', NEW.key_id, UNIX_TIMESTAMP() FROM DUAL WHERE NOT (BINARY OLD.key_id <=> BINARY NEW.key_id);

DROP TRIGGER IF EXISTS tk_on_tk_api_key_removed;

CREATE TRIGGER tk_on_tk_api_key_removed AFTER DELETE ON tk_api_key FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_api_key', OLD.key_id, UNIX_TIMESTAMP();

DROP TRIGGER IF EXISTS tk_on_tk_coa_added;

CREATE TRIGGER tk_on_tk_coa_added AFTER INSERT ON tk_coa FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_coa', CAST(NEW.id AS CHAR), UNIX_TIMESTAMP() FROM DUAL WHERE NEW.taken_at IS NULL;
