-- What lists and reports need with millions of rows. FreeRADIUS's own indexes find logins, addresses and
-- times of sessions; the expressions that the other databases index have no index here that MariaDB knows.
-- Each step looks first, since MySQL commits a change of a table by itself and this file may be run again
-- after it stopped in the middle.
SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'radpostauth' AND index_name = 'tk_radpostauth_at') = 0,
    'CREATE INDEX tk_radpostauth_at ON radpostauth (authdate)', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;

-- Who bought: a subscriber may be gone, or have another login since.
SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'tk_topup' AND column_name = 'username') = 0,
    'ALTER TABLE tk_topup ADD COLUMN username VARCHAR(1012) NOT NULL DEFAULT \'\'', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;

UPDATE tk_topup JOIN tk_subscriber s ON s.id = tk_topup.subscriber_id AND s.username IS NOT NULL
SET tk_topup.username = s.username WHERE tk_topup.username = '';

SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'tk_topup' AND index_name = 'tk_topup_at') = 0,
    'CREATE INDEX tk_topup_at ON tk_topup (at)', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;

SET @tk_add = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'tk_ledger' AND index_name = 'tk_ledger_at') = 0,
    'CREATE INDEX tk_ledger_at ON tk_ledger (at)', 'DO 0');
PREPARE tk_step FROM @tk_add;
EXECUTE tk_step;
DEALLOCATE PREPARE tk_step;
