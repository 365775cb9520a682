-- Sessions of the management APIs; token_hash is SHA-256 of the token, which is not kept. kind: admin or
-- subscriber, principal_id its number.
CREATE TABLE IF NOT EXISTS tk_api_session (
    token_hash text NOT NULL PRIMARY KEY,
    dialect text NOT NULL DEFAULT '',
    kind text NOT NULL DEFAULT 'admin',
    principal_id bigint NOT NULL,
    login text NOT NULL DEFAULT '',
    created_at bigint NOT NULL DEFAULT 0,
    seen_at bigint NOT NULL DEFAULT 0,
    remote_addr text NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS tk_api_session_seen ON tk_api_session (seen_at);

-- What a dialect keeps of a subscriber without a meaning here. "radcheck NAME" and "radreply NAME" are rows of
-- FreeRADIUS's tables of a subscriber that has no login yet: operator, blank, value.
CREATE TABLE IF NOT EXISTS tk_custom_field (
    subscriber_id bigint NOT NULL,
    name text NOT NULL,
    value text NOT NULL DEFAULT '',
    PRIMARY KEY (subscriber_id, name)
);

-- Names of a subscriber beside its login; kind: serial, voip.
CREATE TABLE IF NOT EXISTS tk_credential (
    subscriber_id bigint NOT NULL,
    kind text NOT NULL,
    identifier text NOT NULL,
    PRIMARY KEY (kind, identifier)
);

CREATE INDEX IF NOT EXISTS tk_credential_subscriber ON tk_credential (subscriber_id);
