-- Credit: what subscribers have to spend on sessions that their plan charges, and everything that moved it.
-- Money is decimal, 18 places, as text.

-- Wallets. balance is what the rows of tk_ledger add up to; spent is what sessions took of it, once each is
-- closed; charged is what sessions have cost so far, open ones included. So balance + spent is what was
-- granted, whatever sessions do, and balance + spent - charged is what is left.
CREATE TABLE IF NOT EXISTS tk_wallet (
    subscriber_id BIGINT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'credit',
    balance TEXT NOT NULL DEFAULT '0',
    spent TEXT NOT NULL DEFAULT '0',
    charged TEXT NOT NULL DEFAULT '0',
    credit_limit TEXT NOT NULL DEFAULT '0',
    currency TEXT NOT NULL DEFAULT '',
    updated_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, kind)
);

-- What moved a wallet, never changed: after_balance = before_balance + delta. session and sequence: which
-- posting of which session (its acctuniqueid) it is.
CREATE TABLE IF NOT EXISTS tk_ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id BIGINT NOT NULL,
    wallet TEXT NOT NULL DEFAULT 'credit',
    action TEXT NOT NULL,
    before_balance TEXT NOT NULL,
    delta TEXT NOT NULL,
    after_balance TEXT NOT NULL,
    price TEXT,
    currency TEXT NOT NULL DEFAULT '',
    plan_id BIGINT,
    reference TEXT NOT NULL DEFAULT '',
    comment TEXT NOT NULL DEFAULT '',
    actor TEXT NOT NULL DEFAULT '',
    dialect TEXT NOT NULL DEFAULT '',
    remote_addr TEXT NOT NULL DEFAULT '',
    at BIGINT NOT NULL,
    reverses_id BIGINT,
    session TEXT,
    sequence BIGINT,
    UNIQUE (session, sequence)
);

CREATE INDEX IF NOT EXISTS tk_ledger_subscriber ON tk_ledger (subscriber_id, id);

-- What a subscriber used and paid under a rule since its last renewal; bytes of both directions.
CREATE TABLE IF NOT EXISTS tk_charge_usage (
    subscriber_id BIGINT NOT NULL,
    rule_id BIGINT NOT NULL,
    credit TEXT NOT NULL DEFAULT '0',
    seconds BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, rule_id)
);

-- What a charged session cost, by acctuniqueid, written with every record of it. posted: what of
-- credit_used is in the ledger; posted_charges: by rule, what of it is in tk_charge_usage. charges: JSON,
-- rated (seconds, input, output) until a time, and by rule what was used when and at which price.
CREATE TABLE IF NOT EXISTS tk_cdr (
    unique_id TEXT NOT NULL PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    plan_id BIGINT NOT NULL,
    plan_name TEXT NOT NULL DEFAULT '',
    before_credit TEXT NOT NULL,
    credit_used TEXT NOT NULL DEFAULT '0',
    charges TEXT NOT NULL,
    retry_count BIGINT NOT NULL DEFAULT 1,
    posted TEXT NOT NULL DEFAULT '0',
    postings BIGINT NOT NULL DEFAULT 0,
    posted_charges TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS tk_cdr_subscriber ON tk_cdr (subscriber_id);

-- The change feed: a wallet under its subscriber's login, a rule under its plan's group. What sessions take
-- moves spent with the balance, or charged alone, and is no news.
CREATE TRIGGER IF NOT EXISTS tk_on_tk_wallet_added AFTER INSERT ON tk_wallet BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_wallet', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_wallet_changed AFTER UPDATE ON tk_wallet WHEN NEW.spent IS OLD.spent AND (NEW.balance IS NOT OLD.balance OR NEW.credit_limit IS NOT OLD.credit_limit) BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_wallet', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_wallet_removed AFTER DELETE ON tk_wallet BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_wallet', username, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_charge_rule_added AFTER INSERT ON tk_charge_rule BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_charge_rule', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = NEW.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_charge_rule_changed AFTER UPDATE ON tk_charge_rule BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_charge_rule', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = OLD.plan_id;
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_charge_rule', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = NEW.plan_id AND NEW.plan_id IS NOT OLD.plan_id;
END;

CREATE TRIGGER IF NOT EXISTS tk_on_tk_charge_rule_removed AFTER DELETE ON tk_charge_rule BEGIN
    INSERT INTO tk_changes (tbl, k, at) SELECT 'tk_charge_rule', groupname, CAST(strftime('%s', 'now') AS INTEGER) FROM tk_plan WHERE id = OLD.plan_id;
END;
