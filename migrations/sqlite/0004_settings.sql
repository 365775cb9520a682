-- What this server keeps for itself by name.
CREATE TABLE IF NOT EXISTS tk_setting (
    name text NOT NULL PRIMARY KEY,
    value text NOT NULL
);
