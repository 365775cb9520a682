-- What a plan charges. The rule with the empty name is made of the plan's own figures; a dialect may
-- add others, each for a window of time and for certain NASes (empty is always, everywhere).
CREATE TABLE IF NOT EXISTS tk_charge_rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    plan_id BIGINT NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    per_minute TEXT NOT NULL DEFAULT '0',
    per_kib TEXT NOT NULL DEFAULT '0',
    time_window TEXT NOT NULL DEFAULT '',
    nas TEXT NOT NULL DEFAULT '',
    UNIQUE (plan_id, name)
);
