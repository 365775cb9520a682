-- What a plan charges. The rule with the empty name is made of the plan's own figures; a dialect may
-- add others, each for a window of time and for certain NASes (empty is always, everywhere).
CREATE TABLE IF NOT EXISTS tk_charge_rule (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    plan_id BIGINT NOT NULL,
    name VARCHAR(190) NOT NULL DEFAULT '',
    per_minute DECIMAL(30, 18) NOT NULL DEFAULT 0,
    per_kib DECIMAL(30, 18) NOT NULL DEFAULT 0,
    time_window VARCHAR(250) NOT NULL DEFAULT '',
    nas VARCHAR(250) NOT NULL DEFAULT '',
    UNIQUE KEY tk_charge_rule_name (plan_id, name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
