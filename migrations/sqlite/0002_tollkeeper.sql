-- Our own tables. Times are seconds since 1970 UTC, rates bit/s, volumes octets; money has 18 places.

-- Zones, ISPs, entities: what a dialect calls an account. Main is number 0.
CREATE TABLE IF NOT EXISTS tk_account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    parent_id BIGINT,
    title TEXT NOT NULL DEFAULT '',
    time_zone TEXT NOT NULL DEFAULT '',
    currency TEXT NOT NULL DEFAULT '',
    enabled INTEGER NOT NULL DEFAULT 1
);

-- Operators: IBSng's admins, console logins. rights: read, write, secrets, joined by commas.
CREATE TABLE IF NOT EXISTS tk_admin (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL DEFAULT 0,
    login TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    rights TEXT NOT NULL DEFAULT 'read',
    locked INTEGER NOT NULL DEFAULT 0,
    collects INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL DEFAULT 0
);

-- Credentials of the management APIs; the secret itself is not kept.
CREATE TABLE IF NOT EXISTS tk_api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    admin_id BIGINT,
    account_id BIGINT NOT NULL DEFAULT 0,
    dialect TEXT NOT NULL,
    key_id TEXT NOT NULL UNIQUE,
    secret_hash TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    rights TEXT NOT NULL DEFAULT 'read',
    enabled INTEGER NOT NULL DEFAULT 1,
    allowed_cidrs TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    last_used_at BIGINT
);

-- Plans: name and groupname are one and the same to every dialect; static policy is in radgroup*.
CREATE TABLE IF NOT EXISTS tk_plan (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL DEFAULT 0,
    name TEXT NOT NULL UNIQUE,
    groupname TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT '',
    enabled INTEGER NOT NULL DEFAULT 1,
    profile_id BIGINT,
    price TEXT,
    currency TEXT NOT NULL DEFAULT '',
    tax TEXT,
    credit_on_renew TEXT,
    credit_on_recharge TEXT,
    billing_cycle TEXT NOT NULL DEFAULT '',
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
    concurrency TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL DEFAULT 0
);

-- One number per subscriber for every dialect. Credentials and attributes stay in rad*, found by
-- username, octet for octet; a deleted subscriber has given its name back.
CREATE TABLE IF NOT EXISTS tk_subscriber (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id BIGINT NOT NULL DEFAULT 0,
    username TEXT UNIQUE,
    kind TEXT NOT NULL DEFAULT 'user',
    plan_id BIGINT,
    status TEXT NOT NULL DEFAULT 'active',
    status_reason TEXT NOT NULL DEFAULT '',
    service_state TEXT NOT NULL DEFAULT 'package',
    locked_reason TEXT NOT NULL DEFAULT '',
    concurrency TEXT NOT NULL DEFAULT '',
    reset_day INTEGER,
    sold INTEGER NOT NULL DEFAULT 0,
    batch_id BIGINT,
    activation_at BIGINT,
    first_use_at BIGINT,
    real_first_use_at BIGINT,
    last_use_at BIGINT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL DEFAULT 0,
    created_by TEXT NOT NULL DEFAULT '',
    updated_at BIGINT NOT NULL DEFAULT 0,
    updated_by TEXT NOT NULL DEFAULT '',
    comments TEXT NOT NULL DEFAULT '',
    type_label TEXT NOT NULL DEFAULT '',
    language TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_subscriber_plan ON tk_subscriber (plan_id);

-- What FreeRADIUS's nas has no column for, by nas.id.
CREATE TABLE IF NOT EXISTS tk_nas (
    nas_id BIGINT NOT NULL PRIMARY KEY,
    identifier TEXT,
    coa_port INTEGER,
    coa_secret TEXT,
    secret_next TEXT,
    swap_octets INTEGER NOT NULL DEFAULT 0,
    require_ma TEXT,
    limit_proxy_state TEXT,
    vendor_profile TEXT NOT NULL DEFAULT '',
    disabled INTEGER NOT NULL DEFAULT 0,
    last_seen_at BIGINT
);

-- What radacct cannot hold of a session, by acctuniqueid. Written when a session opens or closes or
-- when something here changes, not with every interim: counters and times are radacct's.
-- counted_*: what was added to tk_usage, null where it is the session's total.
-- unreported: 1 seconds, 2 input, 4 output: only the base is known.
-- stop_seen: a real Stop closed it, so that nothing re-opens it; else the close is a guess.
-- extra: JSON of what has no column, or did not fit into radacct's.
CREATE TABLE IF NOT EXISTS tk_session (
    unique_id TEXT NOT NULL PRIMARY KEY,
    session_key TEXT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    nas_source TEXT NOT NULL,
    nas_address TEXT,
    nas_identifier TEXT NOT NULL DEFAULT '',
    subscriber_id BIGINT,
    groupname TEXT NOT NULL DEFAULT '',
    token TEXT,
    started BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    stop_seen INTEGER NOT NULL DEFAULT 0,
    base_seconds BIGINT NOT NULL DEFAULT 0,
    base_input BIGINT NOT NULL DEFAULT 0,
    base_output BIGINT NOT NULL DEFAULT 0,
    unreported INTEGER NOT NULL DEFAULT 0,
    counted_seconds BIGINT,
    counted_input BIGINT,
    counted_output BIGINT,
    flags TEXT NOT NULL DEFAULT '',
    extra TEXT
);

CREATE INDEX IF NOT EXISTS tk_session_key ON tk_session (session_key, epoch);

-- Usage by day (days since 1970 in the server's zone; -1 is the bucket of everything). Absolute.
CREATE TABLE IF NOT EXISTS tk_usage (
    subscriber_id BIGINT NOT NULL,
    day INTEGER NOT NULL,
    seconds BIGINT NOT NULL DEFAULT 0,
    input BIGINT NOT NULL DEFAULT 0,
    output BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, day)
);

-- Accounting-On and -Off as they came; swept_at: its sessions are closed.
CREATE TABLE IF NOT EXISTS tk_nas_reload (
    source TEXT NOT NULL,
    address TEXT NOT NULL DEFAULT '',
    identifier TEXT NOT NULL DEFAULT '',
    reloaded_at BIGINT NOT NULL,
    swept_at BIGINT,
    PRIMARY KEY (source, address, identifier)
);

-- Every order to a NAS about a session (RFC 5176) and what came of it. code: 40 Disconnect-Request,
-- 43 CoA-Request. taken_at is null while the row waits for a server.
CREATE TABLE IF NOT EXISTS tk_coa (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    code INTEGER NOT NULL,
    attributes TEXT,
    queued_at BIGINT NOT NULL,
    queued_by TEXT NOT NULL DEFAULT '',
    taken_at BIGINT,
    sent_at BIGINT,
    done_at BIGINT,
    outcome TEXT,
    error_cause BIGINT
);

CREATE INDEX IF NOT EXISTS tk_coa_session ON tk_coa (session);

CREATE INDEX IF NOT EXISTS tk_coa_taken ON tk_coa (taken_at, id);

-- Login attempts with the reason; radpostauth has the same ones as FreeRADIUS writes them.
CREATE TABLE IF NOT EXISTS tk_auth_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    username TEXT NOT NULL,
    subscriber_id BIGINT,
    reason TEXT NOT NULL DEFAULT '',
    rule TEXT NOT NULL DEFAULT '',
    method TEXT NOT NULL DEFAULT '',
    nas TEXT NOT NULL DEFAULT '',
    calling_station_id TEXT NOT NULL DEFAULT '',
    called_station_id TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_auth_log_username ON tk_auth_log (username, id);

CREATE INDEX IF NOT EXISTS tk_auth_log_at ON tk_auth_log (at);

-- Who changed what through us.
CREATE TABLE IF NOT EXISTS tk_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL DEFAULT '',
    dialect TEXT NOT NULL DEFAULT '',
    object TEXT NOT NULL DEFAULT '',
    object_id BIGINT,
    attribute TEXT NOT NULL DEFAULT '',
    old_value TEXT,
    new_value TEXT,
    remote_addr TEXT NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_audit_object ON tk_audit (object, object_id);

-- The change feed: which key of which table was written, by whomever. Servers follow it.
CREATE TABLE IF NOT EXISTS tk_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tbl TEXT NOT NULL,
    k TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS tk_changes_at ON tk_changes (at);

INSERT OR IGNORE INTO tk_account (id, name, title) VALUES (0, 'Main', 'Main');
