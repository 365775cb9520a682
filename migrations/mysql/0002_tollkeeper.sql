-- Our own tables. Times are seconds since 1970 UTC, rates bit/s, volumes octets; money has 18 places.

-- Zones, ISPs, entities: what a dialect calls an account. Main is number 0.
CREATE TABLE IF NOT EXISTS tk_account (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(190) NOT NULL UNIQUE,
    parent_id BIGINT,
    title VARCHAR(190) NOT NULL DEFAULT '',
    time_zone VARCHAR(64) NOT NULL DEFAULT '',
    currency VARCHAR(8) NOT NULL DEFAULT '',
    enabled SMALLINT NOT NULL DEFAULT 1
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Operators: IBSng's admins, console logins. rights: read, write, secrets, joined by commas.
CREATE TABLE IF NOT EXISTS tk_admin (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL DEFAULT 0,
    login VARCHAR(190) NOT NULL UNIQUE,
    password_hash VARCHAR(255) NOT NULL,
    rights VARCHAR(64) NOT NULL DEFAULT 'read',
    locked SMALLINT NOT NULL DEFAULT 0,
    collects SMALLINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Credentials of the management APIs; the secret itself is not kept.
CREATE TABLE IF NOT EXISTS tk_api_key (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    admin_id BIGINT,
    account_id BIGINT NOT NULL DEFAULT 0,
    dialect VARCHAR(16) NOT NULL,
    key_id VARCHAR(190) NOT NULL UNIQUE,
    secret_hash VARCHAR(255) NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    rights VARCHAR(64) NOT NULL DEFAULT 'read',
    enabled SMALLINT NOT NULL DEFAULT 1,
    allowed_cidrs VARCHAR(1000) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    last_used_at BIGINT
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Plans: name and groupname are one and the same to every dialect; static policy is in radgroup*.
CREATE TABLE IF NOT EXISTS tk_plan (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL DEFAULT 0,
    name VARCHAR(190) NOT NULL UNIQUE,
    groupname VARCHAR(190) NOT NULL,
    description VARCHAR(1000) NOT NULL DEFAULT '',
    kind VARCHAR(16) NOT NULL DEFAULT '',
    enabled SMALLINT NOT NULL DEFAULT 1,
    profile_id BIGINT,
    price DECIMAL(30, 18),
    currency VARCHAR(8) NOT NULL DEFAULT '',
    tax DECIMAL(30, 18),
    credit_on_renew DECIMAL(30, 18),
    credit_on_recharge DECIMAL(30, 18),
    billing_cycle VARCHAR(16) NOT NULL DEFAULT '',
    next_plan_id BIGINT,
    time_seconds BIGINT,
    quota_octets BIGINT,
    rate_down BIGINT,
    rate_up BIGINT,
    daily_seconds BIGINT,
    daily_octets BIGINT,
    monthly_seconds BIGINT,
    monthly_octets BIGINT,
    validity_days INTEGER,
    reset_day INTEGER,
    concurrency VARCHAR(16) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One number per subscriber for every dialect. Credentials and attributes stay in rad*, found by
-- username, octet for octet; a deleted subscriber has given its name back.
CREATE TABLE IF NOT EXISTS tk_subscriber (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id BIGINT NOT NULL DEFAULT 0,
    username VARBINARY(1012) UNIQUE,
    kind VARCHAR(16) NOT NULL DEFAULT 'user',
    plan_id BIGINT,
    status VARCHAR(20) NOT NULL DEFAULT 'active',
    status_reason VARCHAR(255) NOT NULL DEFAULT '',
    service_state VARCHAR(24) NOT NULL DEFAULT 'package',
    locked_reason VARCHAR(255) NOT NULL DEFAULT '',
    concurrency VARCHAR(16) NOT NULL DEFAULT '',
    reset_day INTEGER,
    sold SMALLINT NOT NULL DEFAULT 0,
    batch_id BIGINT,
    activation_at BIGINT,
    first_use_at BIGINT,
    real_first_use_at BIGINT,
    last_use_at BIGINT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL DEFAULT 0,
    created_by VARCHAR(190) NOT NULL DEFAULT '',
    updated_at BIGINT NOT NULL DEFAULT 0,
    updated_by VARCHAR(190) NOT NULL DEFAULT '',
    comments VARCHAR(1000) NOT NULL DEFAULT '',
    type_label VARCHAR(64) NOT NULL DEFAULT '',
    language VARCHAR(16) NOT NULL DEFAULT '',
    KEY tk_subscriber_plan (plan_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What FreeRADIUS's nas has no column for, by nas.id.
CREATE TABLE IF NOT EXISTS tk_nas (
    nas_id BIGINT NOT NULL PRIMARY KEY,
    identifier VARCHAR(253),
    coa_port INTEGER,
    coa_secret VARCHAR(253),
    secret_next VARCHAR(253),
    swap_octets SMALLINT NOT NULL DEFAULT 0,
    require_ma VARCHAR(8),
    limit_proxy_state VARCHAR(8),
    vendor_profile VARCHAR(64) NOT NULL DEFAULT '',
    disabled SMALLINT NOT NULL DEFAULT 0,
    last_seen_at BIGINT
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What radacct cannot hold of a session, by acctuniqueid. Written when a session opens or closes or
-- when something here changes, not with every interim: counters and times are radacct's.
-- counted_*: what was added to tk_usage, null where it is the session's total.
-- unreported: 1 seconds, 2 input, 4 output: only the base is known.
-- stop_seen: a real Stop closed it, so that nothing re-opens it; else the close is a guess.
-- extra: JSON of what has no column, or did not fit into radacct's.
CREATE TABLE IF NOT EXISTS tk_session (
    unique_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    session_key CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    nas_source VARCHAR(45) NOT NULL,
    nas_address VARCHAR(45),
    nas_identifier VARCHAR(1012) NOT NULL DEFAULT '',
    subscriber_id BIGINT,
    groupname VARCHAR(1012) NOT NULL DEFAULT '',
    token CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
    started BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    stop_seen SMALLINT NOT NULL DEFAULT 0,
    base_seconds BIGINT NOT NULL DEFAULT 0,
    base_input BIGINT NOT NULL DEFAULT 0,
    base_output BIGINT NOT NULL DEFAULT 0,
    unreported INTEGER NOT NULL DEFAULT 0,
    counted_seconds BIGINT,
    counted_input BIGINT,
    counted_output BIGINT,
    flags VARCHAR(190) NOT NULL DEFAULT '',
    extra MEDIUMTEXT,
    KEY tk_session_key (session_key, epoch)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Usage by day (days since 1970 in the server's zone; -1 is the bucket of everything). Absolute.
CREATE TABLE IF NOT EXISTS tk_usage (
    subscriber_id BIGINT NOT NULL,
    day INTEGER NOT NULL,
    seconds BIGINT NOT NULL DEFAULT 0,
    input BIGINT NOT NULL DEFAULT 0,
    output BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, day)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Accounting-On and -Off as they came; swept_at: its sessions are closed.
CREATE TABLE IF NOT EXISTS tk_nas_reload (
    source VARCHAR(45) NOT NULL,
    address VARCHAR(45) NOT NULL DEFAULT '',
    identifier VARBINARY(1012) NOT NULL DEFAULT '',
    reloaded_at BIGINT NOT NULL,
    swept_at BIGINT,
    PRIMARY KEY (source, address, identifier)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Every order to a NAS about a session (RFC 5176) and what came of it. code: 40 Disconnect-Request,
-- 43 CoA-Request. taken_at is null while the row waits for a server.
CREATE TABLE IF NOT EXISTS tk_coa (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    session CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    code INTEGER NOT NULL,
    attributes MEDIUMTEXT,
    queued_at BIGINT NOT NULL,
    queued_by VARCHAR(190) NOT NULL DEFAULT '',
    taken_at BIGINT,
    sent_at BIGINT,
    done_at BIGINT,
    outcome VARCHAR(24),
    error_cause BIGINT,
    KEY tk_coa_session (session),
    KEY tk_coa_taken (taken_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Login attempts with the reason; radpostauth has the same ones as FreeRADIUS writes them.
CREATE TABLE IF NOT EXISTS tk_auth_log (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at BIGINT NOT NULL,
    username VARBINARY(1012) NOT NULL,
    subscriber_id BIGINT,
    reason VARCHAR(40) NOT NULL DEFAULT '',
    rule VARCHAR(1000) NOT NULL DEFAULT '',
    method VARCHAR(24) NOT NULL DEFAULT '',
    nas VARCHAR(45) NOT NULL DEFAULT '',
    calling_station_id VARCHAR(1012) NOT NULL DEFAULT '',
    called_station_id VARCHAR(1012) NOT NULL DEFAULT '',
    KEY tk_auth_log_username (username(190), id),
    KEY tk_auth_log_at (at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who changed what through us.
CREATE TABLE IF NOT EXISTS tk_audit (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor VARCHAR(190) NOT NULL DEFAULT '',
    dialect VARCHAR(16) NOT NULL DEFAULT '',
    object VARCHAR(190) NOT NULL DEFAULT '',
    object_id BIGINT,
    attribute VARCHAR(190) NOT NULL DEFAULT '',
    old_value MEDIUMTEXT,
    new_value MEDIUMTEXT,
    remote_addr VARCHAR(45) NOT NULL DEFAULT '',
    KEY tk_audit_object (object, object_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The change feed: which key of which table was written, by whomever. Servers follow it.
CREATE TABLE IF NOT EXISTS tk_changes (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tbl VARCHAR(32) NOT NULL,
    k MEDIUMTEXT NOT NULL,
    at BIGINT NOT NULL,
    KEY tk_changes_at (at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO tk_account (name, title) VALUES ('Main', 'Main');

-- An AUTO_INCREMENT column takes a written 0 for "the next one".
UPDATE tk_account SET id = 0 WHERE name = 'Main';
