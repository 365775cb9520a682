-- Accounts that were made together. parameters: what was asked for, without secrets.
CREATE TABLE IF NOT EXISTS tk_batch (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at BIGINT NOT NULL,
    created_by VARCHAR(190) NOT NULL DEFAULT '',
    dialect VARCHAR(16) NOT NULL DEFAULT '',
    parameters VARCHAR(1000) NOT NULL DEFAULT '',
    accounts BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What dialects keep of a subscriber that means nothing to this server. Nothing here decides a login.
CREATE TABLE IF NOT EXISTS tk_custom_field (
    subscriber_id BIGINT NOT NULL,
    name VARCHAR(190) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (subscriber_id, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
