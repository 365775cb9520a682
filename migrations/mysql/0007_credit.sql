-- Credit: what subscribers have to spend on sessions that their plan charges, and everything that moved it.
-- Money is decimal, 18 places.

-- Wallets. balance is what the rows of tk_ledger add up to; spent is what sessions took of it, once each is
-- closed; charged is what sessions have cost so far, open ones included. So balance + spent is what was
-- granted, whatever sessions do, and balance + spent - charged is what is left.
CREATE TABLE IF NOT EXISTS tk_wallet (
    subscriber_id BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL DEFAULT 'credit',
    balance DECIMAL(30, 18) NOT NULL DEFAULT 0,
    spent DECIMAL(30, 18) NOT NULL DEFAULT 0,
    charged DECIMAL(30, 18) NOT NULL DEFAULT 0,
    credit_limit DECIMAL(30, 18) NOT NULL DEFAULT 0,
    currency VARCHAR(32) NOT NULL DEFAULT '',
    updated_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, kind)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What moved a wallet, never changed: after_balance = before_balance + delta. session and sequence: which
-- posting of which session (its acctuniqueid) it is.
CREATE TABLE IF NOT EXISTS tk_ledger (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    wallet VARCHAR(32) NOT NULL DEFAULT 'credit',
    action VARCHAR(32) NOT NULL,
    before_balance DECIMAL(30, 18) NOT NULL,
    delta DECIMAL(30, 18) NOT NULL,
    after_balance DECIMAL(30, 18) NOT NULL,
    price DECIMAL(30, 18),
    currency VARCHAR(32) NOT NULL DEFAULT '',
    plan_id BIGINT,
    reference VARCHAR(190) NOT NULL DEFAULT '',
    comment VARCHAR(1000) NOT NULL DEFAULT '',
    actor VARCHAR(190) NOT NULL DEFAULT '',
    dialect VARCHAR(32) NOT NULL DEFAULT '',
    remote_addr VARCHAR(190) NOT NULL DEFAULT '',
    at BIGINT NOT NULL,
    reverses_id BIGINT,
    session CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
    sequence BIGINT,
    UNIQUE KEY tk_ledger_session (session, sequence),
    KEY tk_ledger_subscriber (subscriber_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What a subscriber used and paid under a rule since its last renewal; bytes of both directions.
CREATE TABLE IF NOT EXISTS tk_charge_usage (
    subscriber_id BIGINT NOT NULL,
    rule_id BIGINT NOT NULL,
    credit DECIMAL(30, 18) NOT NULL DEFAULT 0,
    seconds BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (subscriber_id, rule_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What a charged session cost, by acctuniqueid, written with every record of it. posted: what of
-- credit_used is in the ledger; posted_charges: by rule, what of it is in tk_charge_usage. charges: JSON,
-- rated (seconds, input, output) until a time, and by rule what was used when and at which price.
CREATE TABLE IF NOT EXISTS tk_cdr (
    unique_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    subscriber_id BIGINT NOT NULL,
    plan_id BIGINT NOT NULL,
    plan_name VARCHAR(190) NOT NULL DEFAULT '',
    before_credit DECIMAL(30, 18) NOT NULL,
    credit_used DECIMAL(30, 18) NOT NULL DEFAULT 0,
    charges LONGTEXT NOT NULL,
    retry_count BIGINT NOT NULL DEFAULT 1,
    posted DECIMAL(30, 18) NOT NULL DEFAULT 0,
    postings BIGINT NOT NULL DEFAULT 0,
    posted_charges LONGTEXT NOT NULL,
    KEY tk_cdr_subscriber (subscriber_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The change feed: a wallet under its subscriber's login, a rule under its plan's group. What sessions take
-- moves spent with the balance, or charged alone, and is no news.

DROP TRIGGER IF EXISTS tk_on_tk_wallet_added;

CREATE TRIGGER tk_on_tk_wallet_added AFTER INSERT ON tk_wallet FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_wallet', username, UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_wallet_changed;

CREATE TRIGGER tk_on_tk_wallet_changed AFTER UPDATE ON tk_wallet FOR EACH ROW
    IF NEW.spent = OLD.spent AND (NEW.balance <> OLD.balance OR NEW.credit_limit <> OLD.credit_limit) THEN
        INSERT INTO tk_changes (tbl, k, at)
        SELECT 'tk_wallet', username, UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = NEW.subscriber_id AND username IS NOT NULL;
    END IF;

DROP TRIGGER IF EXISTS tk_on_tk_wallet_removed;

CREATE TRIGGER tk_on_tk_wallet_removed AFTER DELETE ON tk_wallet FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_wallet', username, UNIX_TIMESTAMP() FROM tk_subscriber WHERE id = OLD.subscriber_id AND username IS NOT NULL;

DROP TRIGGER IF EXISTS tk_on_tk_charge_rule_added;

CREATE TRIGGER tk_on_tk_charge_rule_added AFTER INSERT ON tk_charge_rule FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_charge_rule', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = NEW.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_charge_rule_changed;

CREATE TRIGGER tk_on_tk_charge_rule_changed AFTER UPDATE ON tk_charge_rule FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_charge_rule', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = OLD.plan_id
    UNION ALL
    SELECT 'tk_charge_rule', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = NEW.plan_id AND NEW.plan_id <> OLD.plan_id;

DROP TRIGGER IF EXISTS tk_on_tk_charge_rule_removed;

CREATE TRIGGER tk_on_tk_charge_rule_removed AFTER DELETE ON tk_charge_rule FOR EACH ROW
    INSERT INTO tk_changes (tbl, k, at)
    SELECT 'tk_charge_rule', groupname, UNIX_TIMESTAMP() FROM tk_plan WHERE id = OLD.plan_id;
