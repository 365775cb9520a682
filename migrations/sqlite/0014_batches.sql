-- Accounts that were made together. parameters: what was asked for, without secrets.
CREATE TABLE IF NOT EXISTS tk_batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    created_by TEXT NOT NULL DEFAULT '',
    dialect TEXT NOT NULL DEFAULT '',
    parameters TEXT NOT NULL DEFAULT '',
    accounts BIGINT NOT NULL DEFAULT 0
);

-- What dialects keep of a subscriber that means nothing to this server. Nothing here decides a login.
CREATE TABLE IF NOT EXISTS tk_custom_field (
    subscriber_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (subscriber_id, name)
);
