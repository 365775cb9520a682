-- Sessions of the management APIs; token_hash is SHA-256 of the token, which is not kept. kind: admin or
-- subscriber, principal_id its number.
CREATE TABLE IF NOT EXISTS tk_api_session (
    token_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    dialect VARCHAR(32) NOT NULL DEFAULT '',
    kind VARCHAR(32) NOT NULL DEFAULT 'admin',
    principal_id BIGINT NOT NULL,
    login VARCHAR(190) NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL DEFAULT 0,
    seen_at BIGINT NOT NULL DEFAULT 0,
    remote_addr VARCHAR(190) NOT NULL DEFAULT '',
    KEY tk_api_session_seen (seen_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What a dialect keeps of a subscriber without a meaning here. "radcheck NAME" and "radreply NAME" are rows of
-- FreeRADIUS's tables of a subscriber that has no login yet: operator, blank, value.
CREATE TABLE IF NOT EXISTS tk_custom_field (
    subscriber_id BIGINT NOT NULL,
    name VARCHAR(190) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (subscriber_id, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Names of a subscriber beside its login; kind: serial, voip.
CREATE TABLE IF NOT EXISTS tk_credential (
    subscriber_id BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    identifier VARCHAR(190) NOT NULL,
    PRIMARY KEY (kind, identifier),
    KEY tk_credential_subscriber (subscriber_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
