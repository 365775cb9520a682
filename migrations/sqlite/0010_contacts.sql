-- Who a subscriber is to people. Nothing here decides a login, so nothing here is in the change feed.
CREATE TABLE IF NOT EXISTS tk_contact (
    subscriber_id INTEGER PRIMARY KEY,
    title TEXT,
    first_name TEXT,
    last_name TEXT,
    phone TEXT,
    alt_phone TEXT,
    mobile TEXT,
    email TEXT,
    alt_email TEXT,
    gender TEXT,
    birthdate TEXT,
    address1 TEXT,
    address2 TEXT,
    city TEXT,
    state TEXT,
    zip TEXT,
    country TEXT,
    company TEXT,
    business TEXT,
    document_type TEXT,
    document_id TEXT,
    race TEXT,
    religion TEXT,
    nationality TEXT,
    profession TEXT,
    interests TEXT,
    marital_status TEXT,
    locale TEXT,
    room TEXT
);

CREATE INDEX IF NOT EXISTS tk_contact_phone ON tk_contact (phone) WHERE phone IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_alt_phone ON tk_contact (alt_phone) WHERE alt_phone IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_mobile ON tk_contact (mobile) WHERE mobile IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_email ON tk_contact (email) WHERE email IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_alt_email ON tk_contact (alt_email) WHERE alt_email IS NOT NULL;

-- Who wrote a row of radcheck or radreply through us; of rows that other tools wrote nothing is known.
CREATE TABLE IF NOT EXISTS tk_attr_source (
    tbl TEXT NOT NULL,
    row_id BIGINT NOT NULL,
    dialect TEXT NOT NULL DEFAULT '',
    admin TEXT NOT NULL DEFAULT '',
    at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tbl, row_id)
);

-- Logins are looked for without regard to case.
CREATE INDEX IF NOT EXISTS tk_subscriber_folded ON tk_subscriber (username COLLATE NOCASE);
