-- What a plan charges. The rule with the empty name is made of the plan's own figures; a dialect may
-- add others, each for a window of time and for certain NASes (empty is always, everywhere).
CREATE TABLE IF NOT EXISTS tk_charge_rule (
    id bigserial PRIMARY KEY,
    plan_id bigint NOT NULL,
    name text NOT NULL DEFAULT '',
    per_minute numeric(30, 18) NOT NULL DEFAULT 0,
    per_kib numeric(30, 18) NOT NULL DEFAULT 0,
    time_window text NOT NULL DEFAULT '',
    nas text NOT NULL DEFAULT '',
    UNIQUE (plan_id, name)
);
