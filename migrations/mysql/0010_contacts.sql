-- Who a subscriber is to people. Nothing here decides a login, so nothing here is in the change feed.
CREATE TABLE IF NOT EXISTS tk_contact (
    subscriber_id BIGINT NOT NULL PRIMARY KEY,
    title VARCHAR(255),
    first_name VARCHAR(255),
    last_name VARCHAR(255),
    phone VARCHAR(255),
    alt_phone VARCHAR(255),
    mobile VARCHAR(255),
    email VARCHAR(255),
    alt_email VARCHAR(255),
    gender VARCHAR(255),
    birthdate VARCHAR(255),
    address1 VARCHAR(255),
    address2 VARCHAR(255),
    city VARCHAR(255),
    state VARCHAR(255),
    zip VARCHAR(255),
    country VARCHAR(255),
    company VARCHAR(255),
    business VARCHAR(255),
    document_type VARCHAR(255),
    document_id VARCHAR(255),
    race VARCHAR(255),
    religion VARCHAR(255),
    nationality VARCHAR(255),
    profession VARCHAR(255),
    interests VARCHAR(255),
    marital_status VARCHAR(255),
    locale VARCHAR(255),
    room VARCHAR(255),
    KEY tk_contact_phone (phone),
    KEY tk_contact_alt_phone (alt_phone),
    KEY tk_contact_mobile (mobile),
    KEY tk_contact_email (email),
    KEY tk_contact_alt_email (alt_email)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who wrote a row of radcheck or radreply through us; of rows that other tools wrote nothing is known.
CREATE TABLE IF NOT EXISTS tk_attr_source (
    tbl VARCHAR(32) NOT NULL,
    row_id BIGINT NOT NULL,
    dialect VARCHAR(16) NOT NULL DEFAULT '',
    admin VARCHAR(190) NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tbl, row_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
