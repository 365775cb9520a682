-- Who a subscriber is to people. Nothing here decides a login, so nothing here is in the change feed.
CREATE TABLE IF NOT EXISTS tk_contact (
    subscriber_id bigint NOT NULL PRIMARY KEY,
    title text,
    first_name text,
    last_name text,
    phone text,
    alt_phone text,
    mobile text,
    email text,
    alt_email text,
    gender text,
    birthdate text,
    address1 text,
    address2 text,
    city text,
    state text,
    zip text,
    country text,
    company text,
    business text,
    document_type text,
    document_id text,
    race text,
    religion text,
    nationality text,
    profession text,
    interests text,
    marital_status text,
    locale text,
    room text
);

CREATE INDEX IF NOT EXISTS tk_contact_phone ON tk_contact (phone) WHERE phone IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_alt_phone ON tk_contact (alt_phone) WHERE alt_phone IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_mobile ON tk_contact (mobile) WHERE mobile IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_email ON tk_contact (email) WHERE email IS NOT NULL;

CREATE INDEX IF NOT EXISTS tk_contact_alt_email ON tk_contact (alt_email) WHERE alt_email IS NOT NULL;

-- Who wrote a row of radcheck or radreply through us; of rows that other tools wrote nothing is known.
CREATE TABLE IF NOT EXISTS tk_attr_source (
    tbl text NOT NULL,
    row_id bigint NOT NULL,
    dialect text NOT NULL DEFAULT '',
    admin text NOT NULL DEFAULT '',
    at bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tbl, row_id)
);

-- Logins are looked for without regard to case.
CREATE INDEX IF NOT EXISTS tk_subscriber_folded ON tk_subscriber (lower(username));
