-- What this server keeps for itself by name.
CREATE TABLE IF NOT EXISTS tk_setting (
    name varchar(64) NOT NULL PRIMARY KEY,
    value text NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
