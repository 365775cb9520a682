-- Credit: what subscribers have to spend on sessions that their plan charges, and everything that moved it.
-- Money is decimal, 18 places.

-- Wallets. balance is what the rows of tk_ledger add up to; spent is what sessions took of it, once each is
-- closed; charged is what sessions have cost so far, open ones included. So balance + spent is what was
-- granted, whatever sessions do, and balance + spent - charged is what is left.
CREATE TABLE IF NOT EXISTS tk_wallet (
    subscriber_id bigint NOT NULL,
    kind text NOT NULL DEFAULT 'credit',
    balance numeric(30, 18) NOT NULL DEFAULT 0,
    spent numeric(30, 18) NOT NULL DEFAULT 0,
    charged numeric(30, 18) NOT NULL DEFAULT 0,
    credit_limit numeric(30, 18) NOT NULL DEFAULT 0,
    currency text NOT NULL DEFAULT '',
    updated_at bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, kind)
);

-- What moved a wallet, never changed: after_balance = before_balance + delta. session and sequence: which
-- posting of which session (its acctuniqueid) it is.
CREATE TABLE IF NOT EXISTS tk_ledger (
    id bigserial PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    wallet text NOT NULL DEFAULT 'credit',
    action text NOT NULL,
    before_balance numeric(30, 18) NOT NULL,
    delta numeric(30, 18) NOT NULL,
    after_balance numeric(30, 18) NOT NULL,
    price numeric(30, 18),
    currency text NOT NULL DEFAULT '',
    plan_id bigint,
    reference text NOT NULL DEFAULT '',
    comment text NOT NULL DEFAULT '',
    actor text NOT NULL DEFAULT '',
    dialect text NOT NULL DEFAULT '',
    remote_addr text NOT NULL DEFAULT '',
    at bigint NOT NULL,
    reverses_id bigint,
    session text,
    sequence bigint,
    UNIQUE (session, sequence)
);

CREATE INDEX IF NOT EXISTS tk_ledger_subscriber ON tk_ledger (subscriber_id, id);

-- What a subscriber used and paid under a rule since its last renewal; bytes of both directions.
CREATE TABLE IF NOT EXISTS tk_charge_usage (
    subscriber_id bigint NOT NULL,
    rule_id bigint NOT NULL,
    credit numeric(30, 18) NOT NULL DEFAULT 0,
    seconds bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, rule_id)
);

-- What a charged session cost, by acctuniqueid, written with every record of it. posted: what of
-- credit_used is in the ledger; posted_charges: by rule, what of it is in tk_charge_usage. charges: JSON,
-- rated (seconds, input, output) until a time, and by rule what was used when and at which price.
CREATE TABLE IF NOT EXISTS tk_cdr (
    unique_id text NOT NULL PRIMARY KEY,
    subscriber_id bigint NOT NULL,
    plan_id bigint NOT NULL,
    plan_name text NOT NULL DEFAULT '',
    before_credit numeric(30, 18) NOT NULL,
    credit_used numeric(30, 18) NOT NULL DEFAULT 0,
    charges text NOT NULL,
    retry_count bigint NOT NULL DEFAULT 1,
    posted numeric(30, 18) NOT NULL DEFAULT 0,
    postings bigint NOT NULL DEFAULT 0,
    posted_charges text NOT NULL
);

CREATE INDEX IF NOT EXISTS tk_cdr_subscriber ON tk_cdr (subscriber_id);

-- The change feed: a wallet under its subscriber's login, a rule under its plan's group. What sessions take
-- moves spent with the balance, or charged alone, and is no news.

CREATE OR REPLACE FUNCTION tk_note_wallet() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO tk_changes (tbl, k, at)
    SELECT TG_TABLE_NAME, username, extract(epoch FROM clock_timestamp())::bigint FROM tk_subscriber
    WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.subscriber_id ELSE NEW.subscriber_id END AND username IS NOT NULL;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION tk_note_charge_rule() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO tk_changes (tbl, k, at)
    SELECT TG_TABLE_NAME, groupname, extract(epoch FROM clock_timestamp())::bigint FROM tk_plan
    WHERE id = CASE WHEN TG_OP = 'INSERT' THEN NEW.plan_id ELSE OLD.plan_id END
       OR id = CASE WHEN TG_OP = 'UPDATE' THEN NEW.plan_id END;
    PERFORM pg_notify('tk_changes', '');
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS tk_on_tk_wallet_added ON tk_wallet;

CREATE TRIGGER tk_on_tk_wallet_added AFTER INSERT OR DELETE ON tk_wallet FOR EACH ROW EXECUTE FUNCTION tk_note_wallet();

DROP TRIGGER IF EXISTS tk_on_tk_wallet_changed ON tk_wallet;

CREATE TRIGGER tk_on_tk_wallet_changed AFTER UPDATE ON tk_wallet FOR EACH ROW
    WHEN (NEW.spent = OLD.spent AND (NEW.balance <> OLD.balance OR NEW.credit_limit <> OLD.credit_limit))
    EXECUTE FUNCTION tk_note_wallet();

DROP TRIGGER IF EXISTS tk_on_tk_wallet_emptied ON tk_wallet;

CREATE TRIGGER tk_on_tk_wallet_emptied AFTER TRUNCATE ON tk_wallet FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();

DROP TRIGGER IF EXISTS tk_on_tk_charge_rule_changed ON tk_charge_rule;

CREATE TRIGGER tk_on_tk_charge_rule_changed AFTER INSERT OR UPDATE OR DELETE ON tk_charge_rule FOR EACH ROW EXECUTE FUNCTION tk_note_charge_rule();

DROP TRIGGER IF EXISTS tk_on_tk_charge_rule_emptied ON tk_charge_rule;

CREATE TRIGGER tk_on_tk_charge_rule_emptied AFTER TRUNCATE ON tk_charge_rule FOR EACH STATEMENT EXECUTE FUNCTION tk_note_all();
